"""Forms: what a page of ours sends when somebody presses a button, read strictly."""

from urllib.parse import parse_qsl

from fastapi import Request

from gateway.operator.errors import OperatorRefused

MAX_FIELDS = 32


async def form_of(http: Request, *, most_bytes: int = 1024) -> dict[str, str]:
    """The fields of a form by name. Raises OperatorRefused (`operator.body`)."""
    raw = b""
    async for part in http.stream():
        raw += part
        if len(raw) > most_bytes:
            raise OperatorRefused("operator.body", f"more than {most_bytes} bytes")
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError as error:
        raise OperatorRefused("operator.body", "not a form") from error
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise OperatorRefused("operator.body", "a field appears twice")
    return fields

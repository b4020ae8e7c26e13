"""Arguments of a call as somebody types them: JSON, read as strictly as an agent's."""

from typing import Any

from audit import canonical
from audit.errors import NotStrict
from cli.errors import Exit, stop

MAX_BYTES = 1 << 20


def read_object(text: str, option: str) -> dict[str, Any]:
    """A JSON object, or the end of the command.

    option  where it was given, for the complaint
    """
    try:
        found = canonical.read(text.encode("utf-8", "surrogateescape"), max_bytes=MAX_BYTES)
    except NotStrict as error:
        stop(f"{option}: {error}", Exit.USAGE)
    if not isinstance(found, dict):
        stop(f"{option} must be a JSON object", Exit.USAGE)
    return found

"""Masking: our own upstream credentials are taken out of whatever comes back from upstreams.

A server may echo its headers or environment; the agent must not read there what only the gateway
may know. Only results that contain a secret pay for more than one search per secret.
"""

from collections.abc import Callable

from audit.canonical import Json
from gateway.links.jsonrpc import dump

MASK = "[credential removed]"
SHORTEST = 8
"""Secrets shorter than this are not searched for: they would occur by accident."""


class Masks:
    """Knows the secrets that were resolved so far.

    known  asked for each result, since credentials are resolved when links connect
    """

    def __init__(self, known: Callable[[], frozenset[str]]) -> None:
        self._known = known

    def clean(self, result: dict[str, Json]) -> dict[str, Json]:
        """The result without any of the secrets, in values and in names of members."""
        secrets = [secret for secret in self._known() if len(secret) >= SHORTEST]
        if not secrets:
            return result
        text = dump(result)
        found = [secret for secret in secrets if dump(secret)[1:-1] in text]
        if not found:
            return result
        return {_masked(name, found): _cleaned(value, found) for name, value in result.items()}

    def text(self, text: str) -> str:
        """The text without any of the secrets."""
        return _masked(text, [secret for secret in self._known() if len(secret) >= SHORTEST])


def _cleaned(value: Json, secrets: list[str]) -> Json:
    if isinstance(value, str):
        return _masked(value, secrets)
    if isinstance(value, list):
        return [_cleaned(item, secrets) for item in value]
    if isinstance(value, dict):
        return {_masked(name, secrets): _cleaned(item, secrets) for name, item in value.items()}
    return value


def _masked(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text

"""Masking: our own credentials are taken out of whatever an upstream says.

A server may echo its headers or environment; nobody else may read there what only the gateway may
know. Only what contains a secret pays for more than one search per spelling.
"""

from collections.abc import Iterable

from audit.canonical import Json
from gateway.known_secrets import KnownSecrets, replaced
from gateway.links.jsonrpc import dump

MASK = "[credential removed]"


class Masks:
    """Takes the secrets that are known at that moment out of what an upstream said."""

    def __init__(self, known: KnownSecrets) -> None:
        self._known = known

    def clean(self, said: dict[str, Json]) -> dict[str, Json]:
        """The same without any secret, in values, numbers and names of members."""
        if not self._known.spellings:
            return said
        found = self._known.within(dump(said))
        return _members(said, found) if found else said

    def text(self, text: str) -> str:
        """The same for a plain text."""
        return self._known.without(text, MASK)


def _members(value: dict[str, Json], found: Iterable[str]) -> dict[str, Json]:
    return {replaced(name, found, MASK): _cleaned(item, found) for name, item in value.items()}


def _cleaned(value: Json, found: Iterable[str]) -> Json:
    if isinstance(value, str):
        return replaced(value, found, MASK)
    if isinstance(value, list):
        return [_cleaned(item, found) for item in value]
    if isinstance(value, dict):
        return _members(value, found)
    if isinstance(value, int | float) and not isinstance(value, bool):
        digits = dump(value).decode()
        return MASK if replaced(digits, found, MASK) != digits else value
    return value

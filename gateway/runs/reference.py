"""References: what stands for a large result where only its being there matters.

    {"$result": "9f2c...", "bytes": 81234, "sha256": "...", "shape": {"type": "object", ...},
     "begins": "..."}

Whoever plans sees the reference; whoever is given it to work with gets what it stands for, put in
its place when the gate takes the call. A reference is good in the run that it was made in alone.
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import cast

from audit.canonical import Json
from gateway.links.jsonrpc import dump

NAME = "$result"
BEGINNING = 200
"""Characters of a result that its reference shows."""

_MEMBERS = frozenset({NAME, "bytes", "sha256", "shape", "begins"})
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_MOST_MEMBERS = 32
_LONGEST_NAME = 64
_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
    (dict, "object"),
)


def reference(result_id: str, words: bytes, value: Json) -> dict[str, Json]:
    """What stands for a value, of which `words` is the JSON."""
    text = value if isinstance(value, str) else words.decode()
    return {
        NAME: result_id,
        "bytes": len(words),
        "sha256": sha256(words).hexdigest(),
        "shape": _shape(value),
        "begins": text[:BEGINNING],
    }


def id_of(value: Json) -> str | None:
    """The id that a reference names, whole or by its id alone; None: it is none."""
    if not isinstance(value, dict) or NAME not in value or not value.keys() <= _MEMBERS:
        return None
    named = value[NAME]
    return named if isinstance(named, str) and _ID.fullmatch(named) else None


def references(value: Json) -> Iterator[dict[str, Json]]:
    """Every reference in a value."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if id_of(each) is not None:
            yield cast("dict[str, Json]", each)
        elif isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def told_in(value: Json) -> bytes:
    """The JSON of a value, which its hash and its size are of."""
    return dump(value)


def _shape(value: Json) -> dict[str, Json]:
    """Of which type a value is, and its members, as a JSON schema would say it."""
    shape: dict[str, Json] = {"type": _type(value)}
    if isinstance(value, dict):
        named = [name for name in value if len(name) <= _LONGEST_NAME][:_MOST_MEMBERS]
        shape["properties"] = {name: {"type": _type(value[name])} for name in named}
    elif isinstance(value, list):
        shape["minItems"] = shape["maxItems"] = len(value)
    return shape


def _type(value: Json) -> str:
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "null")

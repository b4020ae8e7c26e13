"""Shapes: the JSON schemas that values of a run have to meet.

Agents write such schemas too: they are read with the same care as those of tools, looked at within
the document alone, and bounded. An object has no members that its schema does not name, unless that
says `additionalProperties`.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import cast

from pydantic import JsonValue

from gateway.catalogue.arguments import ArgumentCheck
from gateway.errors import ArgumentsInvalid, NotUnderstood, SchemaRefused
from gateway.links.jsonrpc import dump_sorted, read
from gateway.runs.run import Json

MOST_BYTES = 16 * 1024
"""Longest schema, in bytes."""

_SHELVES = ("$defs", "definitions")
_WITHIN = tuple(f"#/{shelf}/" for shelf in _SHELVES)
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
_PLACE = "value"


def checked_schema(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """A schema that values can be checked by; else ValueError, in words for whoever wrote it."""
    _compiled(_spelled(schema))
    return schema


def objection(schema: Mapping[str, Json], value: Json) -> str | None:
    """What a schema has against a value, for whoever made it; None: nothing.

    Raises ValueError as `checked_schema` does.
    """
    try:
        _compiled(_spelled(schema)).check({_PLACE: value})
    except ArgumentsInvalid as invalid:
        return str(invalid)
    return None


def _spelled(schema: Mapping[str, Json]) -> bytes:
    spelled = dump_sorted(dict(schema))
    if len(spelled) > MOST_BYTES:
        raise ValueError(f"a schema has at most {MOST_BYTES} bytes")
    return spelled


@lru_cache(maxsize=256)
def _compiled(spelled: bytes) -> ArgumentCheck:
    try:
        schema = cast("dict[str, Json]", read(spelled, max_bytes=MOST_BYTES))
    except NotUnderstood as error:  # it is too deep
        raise ValueError(f"a schema cannot be like this: {error}") from None
    if not all(map(_leads_within, _references(schema))):
        raise ValueError("a reference in a schema leads to its `$defs`")
    # It stands one level down, so that any value can be looked at; what it refers to stays on top.
    shelves = {shelf: schema.pop(shelf) for shelf in _SHELVES if shelf in schema}
    properties: Json = {_PLACE: schema}
    whole: Json = {"type": "object", "properties": properties, "required": [_PLACE], **shelves}
    try:
        return ArgumentCheck.compile("the value", whole)
    except SchemaRefused as refused:
        raise ValueError(f"no schema that values can be checked by: {refused}") from None


def _references(schema: Json) -> list[Json]:
    if isinstance(schema, list):
        return [found for each in schema for found in _references(each)]
    if not isinstance(schema, dict):
        return []
    here = [schema[name] for name in _REFERENCES & schema.keys()]
    return here + [found for each in schema.values() for found in _references(each)]


def _leads_within(reference: Json) -> bool:
    return isinstance(reference, str) and reference.startswith(_WITHIN)

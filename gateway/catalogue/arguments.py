"""The check of a call's arguments against the schema of its tool.

The schema is the server's and often says nothing about further fields. Unknown fields are refused
all the same: at the top by a wrapper around the untouched schema, and in nested objects by
closing each place where a schema lists the members of an object. A schema that says
`additionalProperties` itself stays as open as it says. Defaults are never filled in.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import jsonschema_rs

from audit.canonical import Json
from gateway.catalogue.schema import DRAFT_7, LATEST, NESTED, Schema, children
from gateway.errors import ArgumentsInvalid, SchemaRefused
from gateway.links.jsonrpc import dump

_OWN_ID = "urn:passavant:tool"
_EXACT = "x-passavant-exact-integer"
_FEW = 1_000  # values of which every error is listed: 25 ms, where each can have one
_MOST_ERRORS = 10_000  # ... that may be listed, as far as the schema lets one value have several
_FIELDS = frozenset({"additionalProperties", "unevaluatedProperties"})
_LIGHT = 32  # comparisons of one value that no arguments are large enough for to matter
_MOST_WORK = 16_000_000  # comparisons that a check may take: a second or so, served to nobody else
_TEXT = 16  # bytes that a pattern looks at in the time of a comparison
_SHOWN = 64  # characters of a name that a message repeats

_Form = Literal["none", "listed", "free"]


class _Validator(Protocol):
    def is_valid(self, instance: Mapping[str, Json]) -> bool: ...

    def validate(self, instance: Mapping[str, Json]) -> None: ...

    def iter_errors(
        self, instance: Mapping[str, Json]
    ) -> Iterator[jsonschema_rs.ValidationError]: ...


@dataclass(frozen=True, slots=True)
class ArgumentCheck:
    """A compiled schema.

    work     with how much one value is compared at most (`Schema.work`)
    open_at  JSON pointers into the schema where objects take any further member
    """

    _validator: _Validator = field(repr=False)
    _max_depth: int | None
    work: int
    open_at: tuple[str, ...] = ()

    @classmethod
    def compile(cls, tool: str, document: Json) -> "ArgumentCheck":
        """Compile the input schema of `tool`, without ever looking outside of it.

        Raises SchemaRefused: no object schema, broken, too large, circular without end, referring
        to another document, or with a pattern that has no linear form.
        """
        schema = Schema(tool, document)
        open_at = _close(schema)
        try:
            validator = jsonschema_rs.Draft202012Validator(
                _wrapped(schema),
                offline=True,
                pattern_options=jsonschema_rs.RegexOptions(),
                keywords={_EXACT: _ExactInteger},
            )
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            raise SchemaRefused(f"{tool}: its input schema is broken: {_where(error)}") from None
        return cls(validator, schema.max_depth, schema.work, open_at)

    def check(self, args: Mapping[str, Json]) -> None:
        """Raises ArgumentsInvalid, whose message names the place and what was expected there."""
        if self._max_depth is not None and _deeper(args, self._max_depth):
            raise ArgumentsInvalid(
                f"nested deeper than {self._max_depth}, which is all this tool takes", path=""
            )
        if self.work > _LIGHT and _size(args) * self.work > _MOST_WORK:
            raise ArgumentsInvalid("too large to be checked by a schema like this", path="")
        if not self._validator.is_valid(args):
            raise self._complaint(args)

    def _complaint(self, args: Mapping[str, Json]) -> ArgumentsInvalid:
        """What is wrong. The validator lists every error before it gives the first: of many values
        not all are looked at.
        """
        if _is_small(args, min(_FEW, _MOST_ERRORS // self.work)):
            return _worst(list(self._validator.iter_errors(args)))
        try:
            self._validator.validate(args)
        except jsonschema_rs.ValidationError as error:
            return _first(error)
        raise AssertionError("arguments that are invalid and have no error")


class _ExactInteger:
    """Refuses 40.0 where an integer is expected: JSON Schema takes it for one."""

    def __init__(self, *_: Any) -> None:  # noqa: ANN401 - the validator's own protocol
        pass

    def validate(self, value: object) -> None:
        if type(value) is float:
            raise ValueError("expected integer")


def _wrapped(schema: Schema) -> dict[str, Any]:
    """The schema under a name of ours: one of its own could be that of a document built in."""
    return {
        "$schema": LATEST,
        "$ref": _OWN_ID,
        "unevaluatedProperties": False,
        "$defs": {"tool": {**schema.root, "$id": _OWN_ID}},
    }


def _close(schema: Schema) -> tuple[str, ...]:
    """Close what can be closed in the schema's own copy; return where it stays open."""
    forms: dict[int, _Form] = {}
    places = list(_values(schema.root, "#"))
    values = [node for _place, node in places]
    closing = [node for node in values if _closable(schema, node, forms)]
    if schema.dialect == DRAFT_7:  # it sees through no reference: what is referred to is closed
        closing += [node for node in _referred(schema, values) if _closable(schema, node, forms)]
    kept = {id(node) for node in closing}
    open_at = tuple(
        place
        for place, node in places
        if not any(id(part) in kept for part in (node, *schema.targets(node)))
        and _form(schema, node, forms) != "none"
        and node.get("additionalProperties") is not False
        and node.get("unevaluatedProperties") is not False
    )
    keyword = "additionalProperties" if schema.dialect == DRAFT_7 else "unevaluatedProperties"
    for node in closing:
        node[keyword] = False
    for node in schema.nodes:
        if "integer" in _types(node):
            node[_EXACT] = True
    return open_at


def _referred(schema: Schema, values: list[dict[str, Json]]) -> Iterator[dict[str, Json]]:
    """The schemas that describe whole values by reference, and stand in no other part of one."""
    users: dict[int, list[dict[str, Json]]] = {}
    for node in schema.nodes:
        for part in schema.same_value(node):
            users.setdefault(id(part), []).append(node)
    whole = {id(node) for node in values if id(node) not in users and "$ref" in node}
    for node in schema.nodes:
        by = users.get(id(node), ())
        if by and all(id(user) in whole for user in by):
            yield node


def _values(node: dict[str, Json], place: str) -> Iterator[tuple[str, dict[str, Json]]]:
    """The schemas that describe a value nested in the arguments, each with its place."""
    for keyword, name, inner in children(node):
        if not isinstance(inner, dict):
            continue
        there = f"{place}/{keyword}" if name is None else f"{place}/{keyword}/{name}"
        if keyword in NESTED:
            yield there, inner
        yield from _values(inner, there)


def _closable(schema: Schema, node: dict[str, Json], forms: dict[int, _Form]) -> bool:
    if "additionalProperties" in node or "unevaluatedProperties" in node:
        return False
    if schema.dialect == DRAFT_7:  # it has no `unevaluatedProperties` to see through others
        return "properties" in node and not any(True for _ in schema.same_value(node))
    return _form(schema, node, forms) == "listed"


def _form(schema: Schema, node: dict[str, Json], forms: dict[int, _Form]) -> _Form:
    """Whether the value can be an object, and if so, whether all ways to be one list members."""
    if id(node) not in forms:
        forms[id(node)] = "none"  # for a way that leads back here
        forms[id(node)] = _find_form(schema, node, forms)
    return forms[id(node)]


def _find_form(schema: Schema, node: dict[str, Json], forms: dict[int, _Form]) -> _Form:
    types = _types(node)
    if (types and "object" not in types) or "const" in node or "enum" in node:
        return "none"
    if "properties" in node or "patternProperties" in node:
        return "listed"
    every = [*schema.targets(node), *_listed(node, "allOf")]
    found = {_form(schema, inner, forms) for inner in every}
    if "none" in found or "listed" in found:
        return "none" if "none" in found else "listed"
    for keyword in ("anyOf", "oneOf"):
        ways = {_form(schema, inner, forms) for inner in _listed(node, keyword)}
        if ways and "free" not in ways:
            return "listed" if "listed" in ways else "none"
    return "free"


def _listed(node: dict[str, Json], keyword: str) -> list[dict[str, Json]]:
    inner = node.get(keyword)
    ways = inner if isinstance(inner, list) else []
    return [way if isinstance(way, dict) else {} for way in ways if way is not False]


def _types(node: Mapping[str, Json]) -> tuple[Json, ...]:
    types = node.get("type")
    return tuple(types) if isinstance(types, list) else () if types is None else (types,)


def _deeper(args: Mapping[str, Json], limit: int) -> bool:
    level: list[Json] = [dict(args)]
    for _ in range(limit):
        level = [inner for part in level for inner in _inside(part)]
    return bool(level)


def _inside(part: Json) -> list[Json]:
    return [item for item in _parts(part) if isinstance(item, dict | list)]


def _parts(part: Json) -> Iterable[Json]:
    return part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()


def _size(args: Mapping[str, Json]) -> int:
    """How many values there are to be compared; long texts count as several."""
    size = len(dump(dict(args))) // _TEXT
    level: list[Json] = [dict(args)]
    while level:
        size += len(level)
        level = [inner for part in level for inner in _parts(part)]
    return size


def _is_small(args: Mapping[str, Json], left: int) -> bool:
    """Whether there are so few values in the arguments."""
    level: list[Json] = [dict(args)]
    while level and left >= 0:
        left -= sum(len(part) for part in level if isinstance(part, dict | list))
        level = [inner for part in level for inner in _inside(part)] if left >= 0 else []
    return left >= 0


def _first(error: jsonschema_rs.ValidationError) -> ArgumentsInvalid:
    """One of the things wrong. A failed part makes the fields beside it look unknown, so that alone
    is not believed.
    """
    path = _path(error)
    complaint = "does not fit" if error.kind.name in _FIELDS else _expected(error)
    return ArgumentsInvalid(f"{path or 'arguments'}: {complaint}", path=path)


def _worst(errors: list[jsonschema_rs.ValidationError]) -> ArgumentsInvalid:
    """The first thing wrong; a field is called unknown only when nothing else is wrong."""
    other = next((error for error in errors if error.kind.name not in _FIELDS), None)
    error = other or errors[0]
    path = _path(error)
    if other is not None:
        return ArgumentsInvalid(f"{path or 'arguments'}: {_expected(other)}", path=path)
    unexpected = ", ".join(map(_plain, getattr(error.kind, "unexpected", ())))
    message = f"{path or 'arguments'}: unknown field {unexpected}"
    return ArgumentsInvalid(message, path=path, unknown_field=True)


def _path(error: jsonschema_rs.ValidationError) -> str:
    """JSON pointer into the arguments."""
    return "".join(f"/{_plain(step)}" for step in error.instance_path)


def _expected(error: jsonschema_rs.ValidationError) -> str:
    """What the schema expects; in its own words only where they are a type, a name or a number."""
    kind = error.kind
    match kind.name:
        case "type":
            return f"expected {' or '.join(getattr(kind, 'types', ()))}"
        case "required":
            return f"field {_plain(getattr(kind, 'property', ''))} is missing"
        case name if name == _EXACT:
            return "expected integer"
        case name:
            return f"does not satisfy {name}"


def _plain(name: object) -> str:
    return ascii(str(name)[:_SHOWN])[1:-1]


def _where(error: Exception) -> str:
    """The place in the schema that does not compile; never the validator's text, which quotes."""
    place = "/".join(map(str, getattr(error, "instance_path", ())))
    return f"at /{_plain(place)}"

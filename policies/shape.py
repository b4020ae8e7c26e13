"""Shapes: what kinds of value can stand where, read from a tool's pinned JSON Schema.

A shape is wider than its schema wherever the schema says more than kinds, members and choices: a
value that the schema admits always fits. So what can never be true of a shape can never be true of
an argument, and the checker may refuse it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

_MAX_DEPTH = 16
# References may double at each step: beyond this many parts of one schema all is anything.
_MAX_PARTS = 10_000


class Kind(StrEnum):
    """The kinds of value that conditions tell apart; an int and a float are one."""

    NUMBER = "number"
    TEXT = "text"
    TRUTH = "true or false"
    NULL = "null"
    LIST = "list"
    MAP = "map"
    SET = "set of names"  # labels
    MOMENT = "moment"  # now, timestamp(...)
    SPAN = "span of time"  # duration(...)


JSON_KINDS = frozenset(Kind) - {Kind.SET, Kind.MOMENT, Kind.SPAN}


@dataclass(frozen=True, slots=True)
class Shape:
    """What may stand in one place.

    item      what a list holds; None: anything
    members   what a map holds, by name
    required  members that are always there
    is_open   a map may hold members that are not named
    choices   the only values there can be; None: no such list
    """

    kinds: frozenset[Kind] = JSON_KINDS
    item: "Shape | None" = None
    members: Mapping[str, "Shape"] = field(default_factory=lambda: MappingProxyType({}))
    required: frozenset[str] = frozenset()
    is_open: bool = True
    choices: frozenset[object] | None = None

    def __str__(self) -> str:
        return "anything" if self.kinds >= JSON_KINDS else " or ".join(sorted(self.kinds))


ANYTHING = Shape()


def of_kind(*kinds: Kind) -> Shape:
    """A shape of which only the kinds are known."""
    return Shape(frozenset(kinds))


def read_schema(schema: object) -> Shape:
    """The shape of everything that a JSON Schema (draft 2020-12 or earlier) admits."""
    return _Reader(schema).shape(schema, 0)


_KINDS: Mapping[str, Kind] = {
    "string": Kind.TEXT,
    "number": Kind.NUMBER,
    "integer": Kind.NUMBER,
    "boolean": Kind.TRUTH,
    "null": Kind.NULL,
    "array": Kind.LIST,
    "object": Kind.MAP,
}


class _Reader:
    """Reads one schema; local references are followed to a bounded depth and number."""

    def __init__(self, root: object) -> None:
        self._root = root
        self._parts = 0

    def shape(self, schema: object, depth: int) -> Shape:
        self._parts += 1
        if not isinstance(schema, Mapping) or depth > _MAX_DEPTH or self._parts > _MAX_PARTS:
            return ANYTHING
        parts = [self._own(schema, depth)]
        if "$ref" in schema:
            parts.append(self.shape(self._target(schema["$ref"]), depth + 1))
        parts.extend(self.shape(part, depth + 1) for part in _list(schema.get("allOf")))
        branches = [_list(schema.get(key)) for key in ("anyOf", "oneOf")]
        parts.extend(
            _either([self.shape(part, depth + 1) for part in some]) for some in branches if some
        )
        return _both(parts)

    def _own(self, schema: Mapping[str, object], depth: int) -> Shape:
        properties = schema.get("properties")
        required = frozenset(name for name in _list(schema.get("required")) if type(name) is str)
        items = schema.get("items")
        return Shape(
            kinds=_kinds(schema),
            item=None if items is None else self.shape(items, depth + 1),
            members={
                str(name): self.shape(member, depth + 1) for name, member in properties.items()
            }
            if isinstance(properties, Mapping)
            else {},
            required=required,
            is_open=_is_open(schema),
            choices=_choices(schema),
        )

    def _target(self, reference: object) -> object:
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        target = self._root
        for step in reference[1:].split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if isinstance(target, Mapping) else None
        return target


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _kinds(schema: Mapping[str, object]) -> frozenset[Kind]:
    stated = schema.get("type")
    names = [stated] if isinstance(stated, str) else _list(stated)
    if not names or any(name not in _KINDS for name in names):
        return JSON_KINDS
    return frozenset(_KINDS[str(name)] for name in names)


def _is_open(schema: Mapping[str, object]) -> bool:
    """Arguments that no schema names are refused at the gate, unless it says otherwise."""
    if "properties" not in schema:
        return schema.get("additionalProperties", True) is not False
    extra = ("additionalProperties", "patternProperties", "unevaluatedProperties")
    return any(schema.get(key) not in (None, False) for key in extra)


def _choices(schema: Mapping[str, object]) -> frozenset[object] | None:
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return None
    return frozenset(values)


def _either(shapes: list[Shape]) -> Shape:
    """What fits one of the shapes."""
    items = [shape.item for shape in shapes if Kind.LIST in shape.kinds]
    maps = [shape for shape in shapes if Kind.MAP in shape.kinds]
    choices = [shape.choices for shape in shapes]
    return Shape(
        kinds=frozenset().union(*(shape.kinds for shape in shapes)),
        item=_either([item for item in items if item]) if items and all(items) else None,
        members={
            name: _either([_member(shape, name) for shape in maps if _may_hold(shape, name)])
            for name in {name for shape in maps for name in shape.members}
        },
        required=frozenset.intersection(*(shape.required for shape in maps))
        if maps
        else frozenset(),
        is_open=any(shape.is_open for shape in maps),
        choices=None if None in choices else frozenset().union(*(c for c in choices if c)),
    )


def _may_hold(shape: Shape, name: str) -> bool:
    return shape.is_open or name in shape.members


def _member(shape: Shape, name: str) -> Shape:
    return shape.members.get(name, ANYTHING)


def _both(shapes: list[Shape]) -> Shape:
    """What fits all of the shapes, or something wider."""
    if len(shapes) == 1:
        return shapes[0]
    members: dict[str, Shape] = {}
    for shape in shapes:
        for name, member in shape.members.items():
            members[name] = _both([members[name], member]) if name in members else member
    naming = [shape for shape in shapes if shape.members]
    return Shape(
        kinds=frozenset.intersection(*(shape.kinds for shape in shapes)),
        item=next((shape.item for shape in shapes if shape.item), None),
        members=members,
        required=frozenset().union(*(shape.required for shape in shapes)),
        is_open=all(shape.is_open for shape in (naming or shapes)),
        choices=next((shape.choices for shape in shapes if shape.choices is not None), None),
    )

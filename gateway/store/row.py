"""Rows: values as the stored view holds them, written and read by the types of their fields.

Tuples, sets, mappings and other such values may lie within one; what is None, a Literal or bytes
comes back as such, and a member of another type than its field's is refused. A field that says
`UNSTORED` is left out, and has its default again when it is read.

Entries of the log are written by hand instead: they are read for years, by others too. A row lives
only as long as the code that made it (`gateway.store.view`).
"""

import dataclasses
from base64 import b64decode, b64encode
from collections.abc import Callable, Hashable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Literal, NamedTuple, TypeVar, Union, cast, get_args, get_origin
from typing import get_type_hints as types_of

from audit.canonical import Json

T = TypeVar("T")

UNSTORED: Final[Mapping[str, bool]] = {"unstored": True}
"""As `field(metadata=UNSTORED)`: kept in memory alone."""


class _Form(NamedTuple):
    """How values of one type are written and read; both raise RowRefused."""

    write: Callable[[Any], Json]
    read: Callable[[Any], Any]


class RowRefused(TypeError):
    """A member of a row is not what its field holds."""


def to_row(value: object) -> dict[str, Json]:
    """The members of a dataclass's instance. Raises TypeError when a field cannot be stored."""
    members, _ = _members(cast("Hashable", type(value)))
    return {name: form.write(getattr(value, name)) for name, form in members.items()}


def from_row(cls: type[T], row: Mapping[str, Json]) -> T:
    """The inverse of `to_row`. Raises RowRefused for a row of another class."""
    members, required = _members(cast("Hashable", cls))
    if not required <= row.keys() <= members.keys():
        raise RowRefused(f"a {cls.__name__} has other members: {sorted(row)}")
    return cls(**{name: members[name].read(value) for name, value in row.items()})


@cache
def _members(cls: Any) -> tuple[Mapping[str, _Form], frozenset[str]]:  # noqa: ANN401  # see `_form`
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"{cls.__name__} is no dataclass")
    types = types_of(cls)
    stored = [each.name for each in dataclasses.fields(cls) if "unstored" not in each.metadata]
    return {name: _form(types[name]) for name in stored}, frozenset(stored)


def _form(kind: Any) -> _Form:  # noqa: ANN401  # what `typing` says of types has no type
    arguments = get_args(kind)
    origin = get_origin(kind)
    if kind in _PLAIN:
        return _Form(_as_it_is, _of_type(kind))
    if kind is bytes:
        return _BYTES
    if origin is Literal:
        return _Form(_as_it_is, _one_of(arguments))
    if origin in {Union, UnionType}:
        return _optional(arguments)
    if origin is tuple:
        return _tuple(arguments)
    if origin is frozenset:
        return _set(_form(arguments[0]))
    if origin in {dict, Mapping} and arguments[0] is str:
        return _mapping(_form(arguments[1]))
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _Form(to_row, lambda row: from_row(kind, _mapping_of(row)))
    raise TypeError(f"no row holds a {kind}")


def _optional(kinds: tuple[Any, ...]) -> _Form:
    if len(kinds) > 2:  # any JSON, of which nothing is expected
        return _Form(_as_it_is, _as_it_is)
    (inner,) = [_form(each) for each in kinds if each is not NoneType]
    return _Form(
        lambda value: None if value is None else inner.write(value),
        lambda value: None if value is None else inner.read(value),
    )


def _tuple(kinds: tuple[Any, ...]) -> _Form:
    if kinds[-1] is Ellipsis:
        each = _form(kinds[0])
        return _Form(
            lambda values: [each.write(value) for value in values],
            lambda values: tuple(map(each.read, _list_of(values))),
        )
    forms = tuple(map(_form, kinds))

    def write(values: tuple[Any, ...]) -> Json:
        return [form.write(value) for form, value in zip(forms, values, strict=True)]

    def read(values: Json) -> tuple[Any, ...]:
        found = _list_of(values, len(forms))
        return tuple([form.read(value) for form, value in zip(forms, found, strict=True)])

    return _Form(write, read)


def _set(each: _Form) -> _Form:
    return _Form(
        lambda values: [each.write(value) for value in sorted(values)],
        lambda values: frozenset(map(each.read, _list_of(values))),
    )


def _mapping(each: _Form) -> _Form:
    return _Form(
        lambda values: {key: each.write(value) for key, value in values.items()},
        lambda values: {key: each.read(value) for key, value in _mapping_of(values).items()},
    )


def _of_type(kind: type[T]) -> Callable[[Json], T]:
    def read(value: Json) -> T:
        if type(value) is not kind:
            raise RowRefused(f"{value!r} is no {kind.__name__}")
        return value

    return read


def _one_of(values: tuple[Any, ...]) -> Callable[[Json], Any]:
    def read(value: Json) -> Json:
        if value not in values:
            raise RowRefused(f"{value!r} is none of {values}")
        return value

    return read


def _list_of(value: Json, length: int | None = None) -> list[Json]:
    if not isinstance(value, list) or length not in {None, len(value)}:
        raise RowRefused(f"{value!r} is no list of that length")
    return value


def _mapping_of(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise RowRefused(f"{value!r} is no object")
    return value


def _as_it_is(value: Json) -> Json:
    return value


_PLAIN: Final = frozenset({str, int, bool})
_BYTES: Final = _Form(
    lambda value: b64encode(value).decode(),
    lambda text: b64decode(_of_type(str)(text), validate=True),
)

"""What is equal, ordered and contained in a condition.

As in CEL: numbers by value whatever their kind, everything else only with its own kind. True and
false are no numbers, which in Python they are. How texts compare is handed in.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias, TypeGuard, TypeVar

from policies.errors import ConditionFailed

MAX_MEMBERS = 10_000
"""Of a list or map whose members are compared."""

Members = TypeVar("Members", bound=Collection[Any])
Texts: TypeAlias = Callable[[str, str], bool]


def is_number(value: object) -> TypeGuard[int | float]:
    """An int, or a float that is a number; true and false are neither."""
    return type(value) is int or (type(value) is float and value == value)  # noqa: PLR0124 - NaN


def is_same(value: object, other: object, texts: Texts) -> bool:
    """Deep equality; values of different kinds are different."""
    if type(value) is str and type(other) is str:
        return texts(value, other)
    if is_number(value) and is_number(other):
        return value == other
    if isinstance(value, list | tuple) and isinstance(other, list | tuple):
        return len(value) == len(other) and all(
            is_same(one, two, texts)
            for one, two in zip(_bounded(value), _bounded(other), strict=True)
        )
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        return value.keys() == other.keys() and all(
            is_same(value[key], other[key], texts) for key in _bounded(value)
        )
    return value is other and (value is None or type(value) is bool)


def is_among(item: object, values: object, texts: Texts) -> bool:
    """Is the item in the list, the set of names, or a key of the map?

    Raises ConditionFailed when there is no such collection, or no member is equal and some member
    could not be compared.
    """
    if isinstance(values, frozenset):
        return type(item) is str and item in values
    if isinstance(values, Mapping):
        if not isinstance(item, str | int):  # keys of CEL's maps: texts, whole numbers, truth
            raise ConditionFailed("what is looked for in a map can be no key")
        values = list(values)
    if not isinstance(values, list | tuple):
        raise ConditionFailed("what stands behind `in` is neither a list nor a map")
    failure = None
    for value in _bounded(values):
        try:
            if is_same(value, item, texts):
                return True
        except ConditionFailed as error:
            failure = error
    if failure is not None:
        raise failure
    return False


def _bounded(members: Members) -> Members:
    if len(members) > MAX_MEMBERS:
        raise ConditionFailed(f"more than {MAX_MEMBERS} members are compared")
    return members


def membership(
    values: tuple[object, ...], is_text: Callable[[str], bool]
) -> Callable[[object], bool]:
    """Tells of any value whether it is one of these literals; `is_text` answers for texts."""
    constants = tuple(value for value in values if value is None or type(value) is bool)
    numbers = frozenset(filter(is_number, values))

    def is_member(value: object) -> bool:
        if type(value) is str:
            return is_text(value)
        if value is None or type(value) is bool:
            return any(value is constant for constant in constants)
        return is_number(value) and value in numbers

    return is_member

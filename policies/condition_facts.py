"""How a condition reads the facts: one function for each path, absent members told apart."""

import operator
from collections.abc import Callable, Mapping
from typing import TypeAlias

from policies.condition import Call, Path
from policies.decision import Facts
from policies.errors import ConditionFailed
from policies.history import question

Get: TypeAlias = Callable[[Facts], object]

# Facts whose text is written by strangers. All others are names that the gateway gives.
FOREIGN = frozenset({"args", "user", "session"})


def reader(path: Path) -> Get:
    """The function that reads the path; it raises ConditionFailed where nothing stands."""
    match path.root, path.fields:
        case "args", (field,):
            return _argument(field, str(path))
        case "args", (_, _, *_) as fields:
            return _nested(fields)
        case "session", ("purpose",):
            return _purpose
        case "provenance", (field,):
            return lambda facts: facts.provenance.get(field, "none")
        case "origin", (field,):
            return lambda facts: facts.origin.get(field, "none")
        case "totals", (field,):
            return _total(field)
        case _:
            return operator.attrgetter(path.root)


def presence(path: Path) -> Callable[[Facts], bool]:
    """The function that tells whether the last member of the path is there."""
    *above, field = path.fields
    if path.root == "session":
        return lambda facts: facts.purpose is not None
    if path.root == "totals":
        return lambda facts: field in facts.totals
    get = _nested(tuple(above))

    def has(facts: Facts) -> bool:
        value = get(facts)
        if isinstance(value, Mapping):
            return field in value
        raise ConditionFailed(f"what should hold {path} has no members")

    return has


def happened(call: Call) -> Callable[[Facts], bool]:
    """The function that tells whether the tool of `before()` was ever called."""
    get = _past(call)
    return lambda facts: get(facts) is not None


def past(call: Call) -> Get:
    """The function that reads the answer to `since()` or `count()`."""
    get, tool = _past(call), question(call).tool

    def read(facts: Facts) -> int:
        found = get(facts)
        if found is None:
            raise ConditionFailed(f"{tool} was never called before")
        return found

    return read


def _past(call: Call) -> Callable[[Facts], int | None]:
    key = question(call).key

    def read(facts: Facts) -> int | None:
        try:
            return facts.history[key]
        except KeyError:
            raise ConditionFailed(f"the history of {key} is not known") from None

    return read


def _argument(field: str, name: str) -> Get:
    def read(facts: Facts) -> object:
        try:
            return facts.args[field]
        except KeyError:
            raise ConditionFailed(f"{name} is absent") from None

    return read


def _nested(fields: tuple[str, ...]) -> Get:
    def read(facts: Facts) -> object:
        value: object = facts.args
        name = "args"
        for field in fields:
            if not isinstance(value, Mapping):
                raise ConditionFailed(f"{name} has no members")
            name = f"{name}.{field}"
            if field not in value:
                raise ConditionFailed(f"{name} is absent")
            value = value[field]
        return value

    return read


def _purpose(facts: Facts) -> str:
    if facts.purpose is None:
        raise ConditionFailed("session.purpose is absent")
    return facts.purpose


def _total(field: str) -> Get:
    def read(facts: Facts) -> int:
        if field not in facts.totals:
            raise ConditionFailed(f"totals.{field} is absent")
        return facts.totals[field]

    return read

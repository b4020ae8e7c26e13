"""Conditions at work: a tree becomes one function from facts to true or false.

`&&` and `||` take no notice of a part that fails when another part settles the matter, as in CEL.
A condition that has no value raises ConditionFailed.

Text from outside is compared with the doubt that `policies.text` describes, and the doubt depends
on what the answer does. A comparison *closes* when it makes a refusal more likely (in a deny, or
behind a `!` in an allow); there it holds for whatever looks alike. It *opens* otherwise; there it
holds for the very text alone. Text that is not plain fails the comparison, except where a match
refuses: there it is compared by what it looks like.
"""

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

from policies.address import domain
from policies.condition import And, Call, Compare, Condition, Has, In, Node, Not, Or, Path, Value
from policies.condition_equality import Texts, is_among, is_number, is_same, membership
from policies.condition_facts import FOREIGN, Get, happened, past, presence, reader
from policies.decision import Facts
from policies.errors import ConditionFailed
from policies.file_path import is_under, normal
from policies.instant import duration, timestamp
from policies.pattern import searcher
from policies.text import is_plain, levelled, looks

Test: TypeAlias = Callable[[Facts], bool]

# They compare what has been found to be of one ordered kind.
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_TEXT_TESTS: dict[str, Texts] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": operator.contains,
}
_SIZED = (str, list, tuple, frozenset, dict)
_CONVERSIONS: dict[str, Callable[[str], object]] = {
    "domain": domain,
    "timestamp": timestamp,
    "duration": duration,
}


def build(condition: Condition, *, refuses: bool) -> Test:
    """The function that tells whether a condition that `condition_types.check` accepted holds.

    refuses  the statement refuses, or asks where there was an allow: its comparisons close

    The function raises ConditionFailed when the condition has no value.
    """
    return _Builder(refuses=refuses).truth(condition.root, closes=refuses)


class _Builder:
    """Walks the tree once; `closes` says what the part at hand does, and `!` turns it round."""

    def __init__(self, *, refuses: bool) -> None:
        self._refuses = refuses

    def truth(self, node: Node, *, closes: bool) -> Test:
        match node:
            case And(parts=parts):
                return _all([self.truth(part, closes=closes) for part in parts])
            case Or(parts=parts):
                return _any([self.truth(part, closes=closes) for part in parts])
            case Not(of=of):
                return _negated(self.truth(of, closes=not closes))
            case Has(path=path):
                return presence(path)
            case Compare():
                return self._compare(node, closes=closes)
            case In():
                return self._in(node, closes=closes)
            case Call():
                return self._call(node, closes=closes)
            case Value() | Path():
                return _boolean(_value(node), node)

    def _compare(self, node: Compare, *, closes: bool) -> Test:
        if node.op == "!=":
            return _negated(self._equal(node.left, node.right, closes=not closes))
        if node.op == "==":
            return self._equal(node.left, node.right, closes=closes)
        return _ordered(node)

    def _call(self, node: Call, *, closes: bool) -> Test:
        if node.function == "matches":
            return self._matches(node, closes=closes)
        if node.function == "under":
            return self._under(node, closes=closes)
        if node.function == "before":
            return happened(node)
        return self._text_test(node, closes=closes)

    def _equal(self, left: Node, right: Node, *, closes: bool) -> Test:
        if isinstance(left, Value):
            left, right = right, left
        get = _value(left)
        if isinstance(right, Value) and not isinstance(right.value, tuple):
            return self._member(left, (right.value,), closes=closes)
        get_other, texts = _value(right), self._texts(operator.eq, left, right, closes=closes)
        return lambda facts: is_same(get(facts), get_other(facts), texts)

    def _in(self, node: In, *, closes: bool) -> Test:
        if isinstance(node.of, Value) and isinstance(node.of.value, tuple):
            return self._member(node.item, node.of.value, closes=closes)
        get, get_list = _value(node.item), _value(node.of)
        texts = self._texts(operator.eq, node.item, node.of, closes=closes)
        return lambda facts: is_among(get(facts), get_list(facts), texts)

    def _member(self, node: Node, values: tuple[object, ...], *, closes: bool) -> Test:
        texts = frozenset(value for value in values if isinstance(value, str))
        get, is_member = _value(node), membership(values, self._one_of(texts, node, closes=closes))
        return lambda facts: is_member(get(facts))

    def _one_of(self, texts: frozenset[str], other: Node, *, closes: bool) -> Callable[[str], bool]:
        if not texts or not _is_foreign(other):
            return texts.__contains__
        if not closes:
            return lambda text: _plain(text) in texts
        likes = frozenset(look for text in texts for look in looks(text))
        if self._refuses:
            return lambda text: not likes.isdisjoint(looks(text))
        return lambda text: not likes.isdisjoint(looks(_plain(text)))

    def _text_test(self, node: Call, *, closes: bool) -> Test:
        text, other = node.args
        # Where position does not count, line ends are no offence.
        lines = node.function == "contains"
        get, get_other = _text(text), _text(other)
        texts = self._texts(_TEXT_TESTS[node.function], text, other, closes=closes, lines=lines)
        return lambda facts: texts(get(facts), get_other(facts))

    def _texts(
        self, test: Texts, left: Node, right: Node, *, closes: bool, lines: bool = False
    ) -> Texts:
        """The test of two texts, with the doubt that their origin and its meaning call for."""
        if not _is_foreign(left) and not _is_foreign(right):
            return test

        def plainly(text: str, other: str) -> bool:
            return test(_plain(text, lines=lines), _plain(other, lines=lines))

        def loosely(text: str, other: str) -> bool:
            return test(text, other) or _look_alike(test, text, other)

        def warily(text: str, other: str) -> bool:
            return loosely(_plain(text, lines=lines), _plain(other, lines=lines))

        if not closes:
            return plainly
        return loosely if self._refuses else warily

    def _matches(self, node: Call, *, closes: bool) -> Test:
        text, pattern = node.args
        get, found = _text(text), searcher(_literal(pattern))
        if not _is_foreign(text):
            return lambda facts: found(get(facts))

        def plainly(facts: Facts) -> bool:
            return found(_plain(get(facts)))

        def loosely(facts: Facts) -> bool:
            written = get(facts)
            return found(written) or found(levelled(written))

        def warily(facts: Facts) -> bool:
            return plainly(facts) or found(levelled(get(facts)))

        if not closes:
            return plainly
        return loosely if self._refuses else warily

    def _under(self, node: Call, *, closes: bool) -> Test:
        path, root = node.args
        get, top = _text(path), _literal(root)
        if not closes:
            return lambda facts: is_under(normal(get(facts)), top)
        return lambda facts: _look_alike(is_under, normal(get(facts)), top)


# -- truth -------------------------------------------------------------------------------------


def _all(tests: list[Test]) -> Test:
    def holds(facts: Facts) -> bool:
        failure = None
        for test in tests:
            try:
                if not test(facts):
                    return False
            except ConditionFailed as error:
                failure = error
        if failure is not None:
            raise failure
        return True

    return holds


def _any(tests: list[Test]) -> Test:
    def holds(facts: Facts) -> bool:
        failure = None
        for test in tests:
            try:
                if test(facts):
                    return True
            except ConditionFailed as error:
                failure = error
        if failure is not None:
            raise failure
        return False

    return holds


def _negated(test: Test) -> Test:
    return lambda facts: not test(facts)


def _boolean(get: Get, node: Node) -> Test:
    def holds(facts: Facts) -> bool:
        value = get(facts)
        if type(value) is bool:
            return value
        raise ConditionFailed(f"{_name(node)} is neither true nor false")

    return holds


def _ordered(node: Compare) -> Test:
    left, right, op = node.left, node.right, node.op
    if isinstance(left, Value):
        left, right, op = right, left, _MIRRORED[op]
    get, test = _value(left), _ORDER[op]
    if isinstance(right, Value) and is_number(right.value):
        return _bounded(get, test, right.value, left)
    get_other = _value(right)

    def holds(facts: Facts) -> bool:
        value, other = get(facts), get_other(facts)
        if type(value) is str and type(other) is str:
            return test(_plain(value), _plain(other))
        if (is_number(value) and is_number(other)) or (type(value) is type(other) is bool):
            return test(value, other)
        raise ConditionFailed(f"{_name(left)} and {_name(right)} have no order")

    return holds


def _bounded(get: Get, test: Callable[[Any, Any], bool], bound: object, node: Node) -> Test:
    def holds(facts: Facts) -> bool:
        value = get(facts)
        if type(value) is int or is_number(value):
            return test(value, bound)
        raise ConditionFailed(f"{_name(node)} is no number")

    return holds


# -- values ------------------------------------------------------------------------------------


def _value(node: Node) -> Get:
    match node:
        case Value(value=value):
            return lambda _: value
        case Path():
            return reader(node)
        case Call(function="size", args=(of,)):
            return _size(of)
        case Call(function="since" | "count"):
            return past(node)
        case Call(function=name, args=(of,)) if name in _CONVERSIONS:
            get, convert = _text(of), _CONVERSIONS[name]
            return lambda facts: convert(get(facts))
        case _:
            raise AssertionError("a condition inside a comparison: refused by condition_types")


def _text(node: Node) -> Callable[[Facts], str]:
    get = _value(node)

    def read(facts: Facts) -> str:
        value = get(facts)
        if type(value) is str:
            return value
        raise ConditionFailed(f"{_name(node)} is no text")

    return read


def _size(node: Node) -> Get:
    get = _value(node)

    def size(facts: Facts) -> int:
        value = get(facts)
        if isinstance(value, _SIZED):
            return len(value)
        raise ConditionFailed(f"{_name(node)} has no size")

    return size


def _plain(text: str, *, lines: bool = False) -> str:
    if is_plain(text, lines=lines):
        return text
    raise ConditionFailed("text is not plain: invisible, mixed or not normalised letters")


def _look_alike(test: Texts, text: str, other: str) -> bool:
    others = looks(other)
    return any(test(one, two) for one in looks(text) for two in others)


def _is_foreign(node: Node) -> bool:
    return isinstance(node, Path) and node.root in FOREIGN


def _literal(node: Node) -> str:
    assert isinstance(node, Value)
    assert isinstance(node.value, str)
    return node.value


def _name(node: Node) -> str:
    return str(node) if isinstance(node, Path) else "a value"

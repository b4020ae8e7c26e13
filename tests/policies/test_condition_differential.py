"""Conditions mean what CEL means: random ones are compared with another implementation.

Needs `common-expression-language` (the Rust crate `cel`), which the locks do not hold; without it
these tests are skipped. Texts are plain and distinct in every letter, so that the doubt with which
texts from outside are compared plays no part.
"""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from audit.canonical import Json
from policies.condition_eval import build
from policies.condition_parse import parse
from policies.condition_types import check
from policies.decision import Facts
from policies.errors import ConditionFailed, ConditionInvalid

cel = pytest.importorskip("cel", reason="needs common-expression-language, which no lock holds")

EXPRESSIONS = 30_000
NOW = datetime(2027, 1, 31, 9, 30, tzinfo=UTC)

TEXTS = ["", "a", "b", "ab", "abc", "x y"]
SCALARS: list[Json] = [0, 1, -1, 2, 100, 0.5, 1.0, True, False, None, *TEXTS]
LITERALS = ["0", "1", "-1", "2", "100", "0.5", "1.0", "true", "false", "null", "'a'", "'ab'", "''"]
PATHS = [
    *("args.n", "args.t", "args.flag", "args.list", "args.map", "args.map.a", "args.map.b.c"),
    *("args.none", "args.missing", "args.map.missing", "args.n.x", "args['t']"),
    *("agent", "tool", "user", "chain", "labels", "session.purpose", "provenance.t"),
    *("totals.spent", "totals.missing", "count('s.pay', '1h')", "count('s.look', '1h')"),
]
TIMES = ["now", "timestamp('2027-01-01T00:00:00Z')", "timestamp('2027-06-01T00:00:00+02:00')"]
SPANS = [
    "since('s.pay')",
    "since('s.look')",
    "duration('1h')",
    "duration('90m')",
    "duration('-5s')",
]
ORDERS = ["==", "!=", "<", "<=", ">", ">="]


class Author:
    """Writes random conditions, right and wrong ones."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def condition(self, depth: int = 3) -> str:
        if depth == 0:
            return self._leaf()
        part = partial(self.condition, depth - 1)
        return self._any(
            lambda: f"({part()} && {part()})",
            lambda: f"({part()} || {part()})",
            lambda: f"!({part()})",
            self._leaf,
        )

    def _leaf(self) -> str:
        return self._any(
            lambda: f"{self._value()} {self._chance.choice(ORDERS)} {self._value()}",
            lambda: f"{self._value()} in {self._list()}",
            lambda: f"{self._path()}.{self._method()}({self._text()})",
            lambda: (
                f"{self._path()}.matches(r'{self._chance.choice(['a', '^a', 'b$', '[ab]+c'])}')"
            ),
            lambda: f"has({self._chance.choice([path for path in PATHS if '.' in path])})",
            lambda: f"{self._pick(TIMES)} {self._chance.choice(ORDERS)} {self._pick(TIMES)}",
            lambda: self._pick(["before('s.pay')", "before('s.look')"]),
            lambda: f"{self._pick(SPANS)} {self._chance.choice(ORDERS)} {self._pick(SPANS)}",
            self._path,
        )

    def _value(self) -> str:
        return self._any(
            self._path, self._path, lambda: self._pick(LITERALS), lambda: f"size({self._path()})"
        )

    def _list(self) -> str:
        literals = ", ".join(self._chance.choices(LITERALS, k=self._chance.randrange(1, 4)))
        return self._any(lambda: f"[{literals}]", self._path)

    def _text(self) -> str:
        return self._any(lambda: self._pick(["'a'", "'b'", "''", "'bc'"]), self._path)

    def _method(self) -> str:
        return self._pick(["startsWith", "endsWith", "contains"])

    def _path(self) -> str:
        return self._pick(PATHS)

    def _pick(self, some: list[str]) -> str:
        return self._chance.choice(some)

    def _any(self, *ways: Callable[[], str]) -> str:
        return self._chance.choice(ways)()


def _facts(chance: random.Random) -> Facts:
    args: dict[str, Json] = {
        "n": chance.choice(SCALARS),
        "t": chance.choice(TEXTS),
        "flag": chance.choice([True, False]),
        "list": chance.choices(SCALARS, k=chance.randrange(4)),
        "map": {"a": chance.choice(SCALARS), "b": {"c": chance.choice(SCALARS)}},
        "none": None,
    }
    return Facts(
        agent="a",
        tool="ab",
        args=args,
        user=chance.choice([None, "b"]),
        chain=chance.choice([(), ("a", "b")]),
        labels=chance.choice([frozenset[str](), frozenset({"a"})]),
        provenance={"t": "user"},
        purpose=chance.choice([None, "abc"]),
        totals={"spent": chance.choice([0, 100])},
        history={
            "s.pay": chance.choice([None, 3_600_000_000, 5_400_000_000]),
            "s.look": None,
            "s.pay@3600": chance.choice([0, 1, 2]),
        },
        now=int(NOW.timestamp()) * 1_000_000,
    )


def _ours(text: str, facts: Facts) -> object:
    try:
        return build(parse(text), refuses=False)(facts)
    except ConditionFailed:
        return "error"


def _theirs(text: str, facts: Facts) -> object:
    names = {
        "args": facts.args,
        "agent": facts.agent,
        "tool": facts.tool,
        "user": facts.user,
        "chain": list(facts.chain),
        "labels": sorted(facts.labels),
        "provenance": facts.provenance,
        "session": {} if facts.purpose is None else {"purpose": facts.purpose},
        "totals": facts.totals,
        "now": NOW,
        "before": lambda tool: facts.history[tool] is not None,
        "since": lambda tool: timedelta(microseconds=_known(facts.history[tool])),
        "count": lambda tool, _: _known(facts.history[f"{tool}@3600"]),
    }
    try:
        answer = cel.evaluate(text, names)
    except (KeyError, ValueError, TypeError, RuntimeError):
        return "error"
    return answer if isinstance(answer, bool) else "error"


def _known(answer: int | None) -> int:
    if answer is None:
        raise ValueError
    return answer


def _is_accepted(text: str) -> bool:
    try:
        remarks = check(parse(text))
    except ConditionInvalid:
        return False
    return not any(remark.severity == "error" for remark in remarks)


@pytest.mark.long
def test_random_conditions_mean_what_cel_means() -> None:
    chance = random.Random(20261120)  # noqa: S311 - the same conditions in every run
    author = Author(chance)
    compared = 0
    different: list[tuple[str, Facts, object, object]] = []
    while compared < EXPRESSIONS:
        text = author.condition(chance.randrange(3))
        if not _is_accepted(text):
            continue
        facts = _facts(chance)
        compared += 1
        ours, theirs = _ours(text, facts), _theirs(text, facts)
        if ours != theirs:
            different.append((text, facts, ours, theirs))
    assert not different, f"{len(different)} of {compared}, first: {different[:5]}"

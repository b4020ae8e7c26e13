"""What a run of policy tests came to: values for `policy test`, and their text for people.

Each failure says what was expected, what came out, and which rules were considered on the way.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from audit.canonical import Json
from policies.decision import Decision, Facts
from policies.explain import Explanation
from policies.finding import Position


@dataclass(frozen=True, slots=True)
class Played:
    """One call that was played.

    name         of the test, or "matrix: TOOL, AGENT"
    expected     in a few words
    complaints   each difference between expected and actual; empty: it passed
    explanation  of a failure: every rule considered, with the values its condition read
    """

    name: str
    at: Position
    facts: Facts
    expected: str
    actual: Decision
    complaints: tuple[str, ...]
    explanation: Explanation | None

    @property
    def passed(self) -> bool:
        """Everything that was expected came out."""
        return not self.complaints

    def lines(self) -> Iterator[str]:
        """The failure, line by line."""
        facts = self.facts
        who = f"{facts.agent} for {facts.user}" if facts.user else facts.agent
        handed_on = f" asked by {', '.join(facts.chain)}" if facts.chain else ""
        yield f"{self.at}: FAIL {self.name}"
        yield f"  call        {who}{handed_on}: {facts.tool} {_shown(facts.args)}"
        yield f"  expected    {self.expected}"
        rules = ", ".join(self.actual.rules) or "no rule matched"
        yield f"  actual      {self.actual.effect} ({rules}): {self.actual.reason}"
        for complaint in self.complaints:
            yield f"  differs     {complaint}"
        verdicts = self.explanation.considered if self.explanation else ()
        none = "nothing: refused before any rule" if self.actual.rules else "no rule concerns it"
        for verdict in verdicts or (none,):
            yield "  considered  " + str(verdict).replace("\n", "\n          ")
        for near in self.explanation.near_misses if self.explanation else ():
            yield f"  near miss   {near}"


@dataclass(frozen=True, slots=True)
class Gap:
    """Something the test file promises and does not do: a rule unmatched, a condition half seen."""

    at: Position
    message: str

    def __str__(self) -> str:
        return f"{self.at}: FAIL {self.message}"


@dataclass(frozen=True, slots=True)
class TestReport:
    """The outcome of one test file.

    played    every call, in order: tests, then cells of the matrix
    gaps      cells that are not listed, names that are unknown, coverage that is missing
    rules     (matched at least once, all)
    sides     truth values of conditions (seen, twice the number of conditions)
    """

    __test__ = False  # no test case of ours: pytest collects classes named Test...

    played: tuple[Played, ...]
    gaps: tuple[Gap, ...]
    rules: tuple[int, int]
    sides: tuple[int, int]

    @property
    def failed(self) -> tuple[Played, ...]:
        """The calls that came out otherwise than expected."""
        return tuple(each for each in self.played if not each.passed)

    @property
    def passed(self) -> bool:
        """Nothing failed and nothing is missing; a file that plays nothing has not passed."""
        return bool(self.played) and not self.failed and not self.gaps

    def lines(self) -> Iterator[str]:
        """The report, line by line: failures first, then one line of sums."""
        for each in self.failed:
            yield from each.lines()
        yield from map(str, self.gaps)
        passed = len(self.played) - len(self.failed)
        yield (
            f"{len(self.failed)} failed, {passed} passed, {len(self.gaps)} missing; rules matched"
            f" {self.rules[0]} of {self.rules[1]}, truth values seen {self.sides[0]} of"
            f" {self.sides[1]}"
        )


def _shown(args: Mapping[str, Json]) -> str:
    """In ASCII: a character that does not show must show here."""
    return json.dumps(args, sort_keys=True)

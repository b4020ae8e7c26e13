"""What a run of policy tests came to: values for `policy test`, and their text for people.

Each failure says what was expected, what came out, and which rules were considered on the way.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from policies.decision import Decision, Facts
from policies.finding import Position


@dataclass(frozen=True, slots=True)
class Considered:
    """One rule that concerns a call, and what became of it: "matched", "condition false", ..."""

    rule: str
    effect: str
    agent: str
    verdict: str

    def __str__(self) -> str:
        return f"{self.rule} ({self.effect}, as {self.agent}): {self.verdict}"


@dataclass(frozen=True, slots=True)
class Played:
    """One call that was played.

    name      of the test, or "matrix"
    actual    None when nothing could be decided: the expectation itself is at fault
    complaints  each difference between expected and actual; empty: it passed
    """

    name: str
    at: Position
    facts: Facts
    expected: str
    actual: Decision
    complaints: tuple[str, ...]
    considered: tuple[Considered, ...]

    @property
    def passed(self) -> bool:
        """Everything that was expected came out."""
        return not self.complaints

    def lines(self) -> Iterator[str]:
        """The failure, line by line."""
        facts = self.facts
        on_behalf = f" for {facts.user}" if facts.user else ""
        handed_on = f" asked by {', '.join(facts.chain)}" if facts.chain else ""
        yield f"{self.at}: FAIL {self.name}"
        yield f"  call        {facts.agent}{on_behalf}{handed_on}: {facts.tool} {dict(facts.args)}"
        yield f"  expected    {self.expected}"
        rules = ", ".join(self.actual.rules) or "no rule matched"
        yield f"  actual      {self.actual.effect} ({rules}): {self.actual.reason}"
        for complaint in self.complaints:
            yield f"  differs     {complaint}"
        for considered in self.considered or ("no rule concerns this agent and tool",):
            yield f"  considered  {considered}"


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

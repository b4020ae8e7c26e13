"""Releases at work: which one value of a result is free of labels, in which calls.

A release never speaks of a session: its labels stay. It names one member of one tool's result, and
labels that this tool puts on; nothing else in the result is free of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from policies.condition import Condition
from policies.condition_eval import Test
from policies.decision import Facts
from policies.document import Release
from policies.finding import Position

PREFIX = "rule:"
"""What stands before the id of a release where it is told who released a value."""


@dataclass(frozen=True, slots=True)
class ReleaseRule:
    """One release, compiled.

    part    names of members, from the outermost
    labels  what the value is free of
    reads   the facts that the condition may look at
    test    the condition at work; None: all calls of the tool
    """

    id: str
    tool: str
    part: tuple[str, ...]
    labels: frozenset[str]
    at: Position
    why: str
    condition: Condition | None = None
    reads: tuple[str, ...] = ()
    test: Test | None = None

    def holds(self, facts: Facts) -> bool:
        """Is the value of such a call released? Every agent of the chain must pass; doubt is no."""
        links = (facts.agent, *facts.chain)
        return all(self._holds(replace(facts, agent=link)) for link in links)

    def _holds(self, facts: Facts) -> bool:
        if self.test is None:
            return True
        try:
            return self.test(facts) is True
        except Exception:  # noqa: BLE001 - whatever breaks must not release
            return False


def release_rule(
    stated: Release, at: Position, condition: Condition | None, test: Test | None
) -> ReleaseRule:
    """The release that a file states, with its condition at work."""
    return ReleaseRule(
        id=stated.id,
        tool=stated.tool,
        part=tuple(stated.part.split(".")),
        labels=frozenset(stated.from_),
        at=at,
        why=stated.why,
        condition=condition,
        reads=condition.reads if condition else (),
        test=test,
    )


def read_by_tool(releases: Mapping[str, tuple[ReleaseRule, ...]]) -> dict[str, tuple[str, ...]]:
    """The facts that conditions of releases may look at, by tool."""
    return {
        tool: tuple(sorted({path for rule in rules for path in rule.reads}))
        for tool, rules in releases.items()
    }

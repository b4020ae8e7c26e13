"""Replay: a call that was decided once, decided by two policies, to see what a change would do.

Both answers are made anew from the same facts, so that they differ by the policies alone; what was
answered then may also have come from a limit, or from another policy. A policy may read facts that
nobody gathered when the call was made: of those it says so, since its answer rests on a guess.
"""

from dataclasses import dataclass

from policies.decision import Decision, Facts
from policies.history import Question
from policies.kernel import decide
from policies.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Replayed:
    """One call under two policies.

    unknown  what the second one reads and was not gathered then, as "provenance.to"
    """

    facts: Facts
    before: Decision
    after: Decision
    unknown: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Another effect, or other people who are asked."""
        return (self.before.effect, self.before.obligations) != (
            self.after.effect,
            self.after.obligations,
        )

    @property
    def is_wider(self) -> bool:
        """It passes more easily than before."""
        return _MILD[self.after.effect] > _MILD[self.before.effect]


def replay(facts: Facts, before: Snapshot, after: Snapshot, *, read: frozenset[str]) -> Replayed:
    """Decide by both.

    read  what conditions could read of this call when it was made (`Decision.read` of then)
    """
    decided = decide(after, facts)
    unknown = tuple(name for name in decided.read if name not in read and _is_missing(name, facts))
    return Replayed(facts, decide(before, facts), decided, unknown)


def _is_missing(name: str, facts: Facts) -> bool:
    """Whether this was not gathered, though nobody read it then."""
    root, _, rest = name.partition(".")
    if root in _WEIGHED:
        return not (facts.provenance or facts.origin)
    if root == "history":
        return Question.read(name).key not in facts.history
    return root == "secrets" or (root == "totals" and rest not in facts.totals)


_WEIGHED = frozenset({"provenance", "origin"})
"""Known of every call where any condition of the policy asks for one of them."""

_MILD = {"deny": 0, "ask": 1, "allow": 2}

"""Matches: which clauses hold for a call, and what Casbin has made of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from policies.clause import Clause
from policies.decision import Decision, Facts
from policies.errors import ConditionFailed


@dataclass(slots=True)
class Match:
    """What became of one agent and tool.

    allowed  Casbin's answer: some grant matched, and no refusal
    matched  clauses that matched, in the order looked at; a refusal ends the looking
    errors   "clause: what went wrong"
    read     fields that the conditions of all candidates may read
    granted  what the kernel has made of it, for the next call that comes to the same
    """

    allowed: bool
    matched: tuple[Clause, ...]
    errors: tuple[str, ...]
    read: tuple[str, ...]
    granted: Decision | None = None


NOTHING = Match(allowed=False, matched=(), errors=(), read=())
"""No clause concerns the pair."""


class Trace:
    """One request on its way through Casbin: facts, candidates by id, and what has matched so far.

    Casbin may write the values of a request into its log: this one shows nothing.
    """

    __slots__ = ("clauses", "errors", "facts", "matched")

    def __init__(self, facts: Facts, clauses: Mapping[str, Clause]) -> None:
        self.facts, self.clauses = facts, clauses
        self.matched: list[Clause] = []
        self.errors: list[str] = []

    def __repr__(self) -> str:
        return "<trace>"

    def holds(self, name: str) -> bool:
        """Does the clause hold? What cannot be told counts as a match where that refuses."""
        clause = self.clauses[name]
        try:
            held = holds(clause, self.facts)
        except Exception as error:  # noqa: BLE001 - whatever breaks must not decide for an allow
            self.errors.append(f"{name}: {_told(error)}")
            held = clause.refuses
        if held:
            self.matched.append(clause)
        return held


def holds(clause: Clause, facts: Facts) -> bool:
    """Does the clause hold now? What is neither true nor false holds where that refuses."""
    if clause.until is not None and facts.now >= clause.until:
        return False
    if clause.test is None:
        return True
    held: object = clause.test(facts)
    return held is True or (held is not False and clause.refuses)


def _told(error: Exception) -> str:
    """Our own errors name fields and never values; of others nothing but the kind is told."""
    return str(error) if isinstance(error, ConditionFailed) else type(error).__name__

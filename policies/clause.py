"""Clauses: guardrails and rules, ready to be decided by."""

from dataclasses import dataclass

from policies.condition import Condition
from policies.condition_eval import Test
from policies.decision import Effect, Obligation
from policies.finding import Position
from policies.register import Risk


@dataclass(frozen=True, slots=True)
class Clause:
    """One guardrail or rule.

    subjects     "*", "agent:NAME" or "role:NAME", one of which must be the caller's
    tools        patterns, one of which must cover the tool
    risk         the class by which those tools were named; empty: they were named one by one
    condition    what must hold beside that; None: nothing
    reads        the facts it may look at
    test         the condition at work
    until        microseconds since the epoch from which it never matches; None: it stays
    obligation   what an ask demands
    """

    id: str
    effect: Effect
    is_guardrail: bool
    subjects: tuple[str, ...]
    tools: tuple[str, ...]
    at: Position
    condition: Condition | None = None
    reads: tuple[str, ...] = ()
    test: Test | None = None
    until: int | None = None
    obligation: Obligation | None = None
    limits: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ()
    why: str | None = None
    risk: tuple[Risk, ...] = ()

    @property
    def refuses(self) -> bool:
        """Does a match make the answer stricter? Then doubt counts as a match."""
        return self.is_guardrail or self.effect == "deny"

    @property
    def grants(self) -> bool:
        """May a match let a call pass, at once or after people agreed?"""
        return not self.refuses

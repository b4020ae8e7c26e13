"""The matrix of a policy: what each agent's calls of each tool can come to.

It shows rules, not calls: a mark that needs a condition says so and does not say which arguments
fulfil it. `policy explain` does that for one call, `policy test` for the calls that matter.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from audit.canonical import Json
from policies.clause import Clause
from policies.decision import Effect, Facts
from policies.kernel import refusal
from policies.register import Risk
from policies.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that a call can come to.

    conditional  only with some arguments, or in some state of the session
    rules        ids that bring it about; of a refusal before any rule its own id
    """

    effect: Effect
    conditional: bool
    rules: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.effect}?" if self.conditional else self.effect


@dataclass(frozen=True, slots=True)
class Line:
    """One tool: its risk, and its marks for each agent, strictest first; none: nothing allows."""

    tool: str
    risk: Risk
    cells: tuple[tuple[str, tuple[Mark, ...]], ...]

    def row(self) -> dict[str, Json]:
        """As JSON: `agents` holds the marks as text, `ask?` where a condition must hold."""
        agents: dict[str, Json] = {agent: [str(m) for m in marks] for agent, marks in self.cells}
        return {"tool": self.tool, "risk": self.risk, "agents": agents}


def matrix(snapshot: Snapshot, *, user: str | None, now: int) -> Iterator[Line]:
    """Every tool of the policy against every agent, by name.

    user  on whose behalf the calls would be made
    now   microseconds since 1970; rules that have ended are left out
    """
    for tool, rule in sorted(snapshot.tools.items()):
        cells = (
            (agent, tuple(marks(snapshot, agent, tool, user=user, now=now)))
            for agent in sorted(snapshot.agents)
        )
        yield Line(tool, rule.risk, tuple(cells))


def marks(
    snapshot: Snapshot, agent: str, tool: str, *, user: str | None, now: int
) -> Iterator[Mark]:
    """What calls of one tool by one agent can come to, strictest first; see `matrix`."""
    refused = refusal(snapshot, Facts(agent, tool, {}, user=user, now=now, proven=True))
    if refused is not None:
        yield Mark("deny", conditional=False, rules=(refused[0],))
        return
    clauses = [
        clause
        for clause in snapshot.engine.candidates(agent, tool)
        if clause.until is None or now < clause.until
    ]
    if not any(clause.grants for clause in clauses):
        clauses = [clause for clause in clauses if clause.effect == "deny"]
    for effect in ("deny", "ask", "allow"):
        found = _mark(effect, [clause for clause in clauses if clause.effect == effect])
        if found is not None:
            yield found
            if not found.conditional:
                return  # nothing milder is ever reached


def _mark(effect: Effect, clauses: Iterable[Clause]) -> Mark | None:
    by_condition = [(clause.id, clause.condition is not None) for clause in clauses]
    if not by_condition:
        return None
    conditional = all(has_condition for _, has_condition in by_condition)
    return Mark(effect, conditional, tuple(clause_id for clause_id, _ in by_condition))

"""The engine: an index finds the clauses that concern a call, and Casbin decides among them.

Stock Casbin: the model, the loop over the rows (`enforce_ex`), and the effector that makes one
answer of their effects. Ours, through Casbin's own hooks: which rows it sees (those of one agent
and tool only, so a decision costs the same among ten rules and a hundred thousand), and the
functions that the matcher calls. No text of a policy reaches Casbin's expression language.

What Casbin answers for one agent and tool follows from which conditions hold. It is asked once for
each such set of them, and remembered.

Casbin knows two effects. An ask enters as `allow`, and the trace of matched clauses tells it from
one; a guardrail that asks enters as neither, so it can never let anything pass.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import casbin
from casbin.core_enforcer import CoreEnforcer
from casbin.effect import get_effector

from policies.candidates import Index, Row, rows_of, subjects_of
from policies.clause import Clause
from policies.decision import Facts
from policies.history import PREFIX
from policies.match import NOTHING, Match, Trace, holds
from policies.notation import tool_matches

MODEL = """
[request_definition]
r = sub, tool, trace
[policy_definition]
p = sub, tool, id, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.sub, p.sub) && fits(r.tool, p.tool) && when(p.id, r.trace)
"""
MATCHER = "g(r_sub, p_sub) && fits(r_tool, p_tool) && when(p_id, r_trace)"


class Engine:
    """The clauses of one snapshot, by whom and what they concern.

    agents  roles of every known agent
    tools   every known tool
    further  what else is looked at of the facts of a call, by tool
    recalls  some condition reads totals or histories
    memo    how many (agent, tool) pairs are remembered, and with each what Casbin has answered;
            0: none. The answer is the same.

    `roots` are those of the facts that any condition may read: "args", "provenance"; `weighs`
    says whether one of them is where values come from.
    """

    def __init__(
        self,
        clauses: Mapping[str, Clause],
        agents: Mapping[str, Iterable[str]],
        tools: Iterable[str],
        *,
        memo: int,
        further: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    ) -> None:
        self._clauses, self._further = clauses, further
        several = (*(clause.reads for clause in clauses.values()), *further.values())
        reads = frozenset(chain.from_iterable(several))
        self.recalls = any(name.startswith(_COUNTED) for name in reads)
        self._subjects = {agent: subjects_of(agent, roles) for agent, roles in agents.items()}
        self._index = Index(clauses.values(), tools)
        self._matcher = _Matcher(self._subjects.values())
        self._stock = _Stock(self._matcher)
        self._memo: dict[tuple[str, str], _Bucket] = {}
        self._memo_size = memo
        self.roots = _roots(reads)
        self.weighs = _weighs(self.roots)

    def match(self, agent: str, tool: str, facts: Facts) -> Match:
        """Which clauses match, and what Casbin makes of them."""
        bucket = self._bucket(agent, tool)
        # Casbin runs its matcher once, on empty values, when there is no row at all.
        if not bucket.rows:
            return NOTHING
        if not self._memo_size:
            return bucket.asked(self._subjects[agent][0], tool, facts)
        held = bucket.held(facts)
        match = bucket.answers.get(held)
        if match is None:
            match = bucket.asked(self._subjects[agent][0], tool, facts)
            if held != UNTOLD and len(bucket.answers) < MOST_ANSWERS:
                bucket.answers[held] = match
        return match

    def may_pass(self, agent: str, tool: str) -> bool:
        """Is there an allow or ask for this pair, and no refusal that always matches?"""
        return self._bucket(agent, tool).may_pass

    def reads(self, agent: str, tool: str) -> frozenset[str]:
        """Roots of the facts that conditions for this pair may read: "args", "provenance"."""
        return self._bucket(agent, tool).roots

    def weighs_for(self, links: Iterable[str], tool: str) -> bool:
        """Does any condition for these agents and this tool ask where values come from?"""
        for link in links:  # noqa: SIM110 - a generator takes four times as long
            if self._bucket(link, tool).weighs:
                return True
        return False

    def candidates(self, agent: str, tool: str) -> tuple[Clause, ...]:
        """Every clause that concerns this pair, refusals first."""
        bucket = self._bucket(agent, tool)
        return tuple(bucket.clauses[row[2]] for row in bucket.rows)

    def counted(self, links: Iterable[str], tool: str) -> tuple[str, ...]:
        """What conditions for these agents and this tool may read of totals and histories."""
        known = [link for link in links if link in self._subjects]
        several = [self._bucket(link, tool).counted for link in known]
        return several[0] if len(several) == 1 else tuple(sorted({*chain.from_iterable(several)}))

    def rows(self) -> Iterator[Row]:
        """Casbin's whole policy, as a stock enforcer would load it."""
        for clause in self._clauses.values():
            yield from rows_of(clause)

    def functions(self) -> dict[str, Any]:
        """The functions that the matcher calls, as a stock enforcer would register them."""
        return {"g": self._matcher.g, "fits": _fits, "when": _when}

    def _bucket(self, agent: str, tool: str) -> "_Bucket":
        known = self._memo.get((agent, tool))
        if known is not None:
            return known
        rows, clauses = self._index.candidates(self._subjects[agent], tool)
        bucket = _Bucket(self._stock, rows, clauses, self._further.get(tool, ()))
        if self._memo_size:
            if len(self._memo) >= self._memo_size:
                self._memo = {}
            self._memo[agent, tool] = bucket
        return bucket


MOST_ANSWERS = 256
"""Of Casbin's, for one agent and tool."""

UNTOLD = -1
"""In the place of a set of clauses: of some condition it cannot be told whether it holds."""


class _Matcher:
    """The matcher of MODEL, written out; `functions` give the stock one the same meaning."""

    def __init__(self, subjects: Iterable[tuple[str, ...]]) -> None:
        self._roles = {of_agent[0]: frozenset(of_agent) for of_agent in subjects}

    def eval(self, names: Mapping[str, Any]) -> bool:
        """One row: called by Casbin's loop with the values of request and row."""
        return (
            self.g(names["r_sub"], names["p_sub"])
            and _fits(names["r_tool"], names["p_tool"])
            and _when(names["p_id"], names["r_trace"])
        )

    def g(self, caller: str, subject: str) -> bool:
        """Is the caller this agent, has it this role, or are all meant? Roles are flat, closed."""
        return subject in self._roles[caller]


def _fits(tool: str, pattern: str) -> bool:
    return tool == pattern or tool_matches(pattern, tool)


def _when(name: str, trace: Trace) -> bool:
    return trace.holds(name)


class _Stock:
    """What all buckets of a snapshot share: Casbin's reading of MODEL."""

    def __init__(self, matcher: _Matcher) -> None:
        model = casbin.Enforcer.new_model(text=MODEL)
        assert model["m"]["m"].value == MATCHER
        self.matcher = matcher
        self.request, self.columns = model["r"], model["p"]["p"].tokens
        self.effects, self.matchers = model["e"], {"m": _Written()}
        self.effector = get_effector(model["e"]["e"].value)


class _Policy:
    """The two members of Casbin's assertion that its loop reads."""

    __slots__ = ("policy", "tokens")

    def __init__(self, tokens: Sequence[str], policy: Sequence[Row]) -> None:
        self.tokens, self.policy = tokens, policy


class _Written:
    """In the place of the matcher's text, through which Casbin would look for `eval` each time."""

    value = "m"


class _NoFunctions:
    """The matcher is compiled: Casbin needs none of its own functions, and gets none."""

    @staticmethod
    def get_functions() -> dict[str, Any]:
        return {}


_COUNTED = ("totals.", PREFIX)

_SILENT = logging.getLogger("policies.engine.casbin")
_SILENT.disabled = True


class _Bucket(CoreEnforcer):  # type: ignore[misc] # casbin ships no types
    """Casbin's enforcer over the rows of one agent and tool.

    Its initialiser is left out: it would load, log and keep what is shared here, and nothing of a
    bucket may change after it is made.
    """

    fm: ClassVar[_NoFunctions] = _NoFunctions()
    rm_map: ClassVar[Mapping[str, object]] = MappingProxyType({})
    cond_rm_map: ClassVar[Mapping[str, object]] = MappingProxyType({})
    logger: ClassVar[logging.Logger] = _SILENT

    def __init__(
        self,
        stock: _Stock,
        rows: list[Row],
        clauses: dict[str, Clause],
        further: tuple[str, ...],
    ) -> None:
        self.rows, self.clauses = rows, clauses
        self._in_order: Sequence[tuple[int, Clause, bool]] = ()  # made when first asked for
        self.answers: dict[int, Match] = {}
        self.read = _fields_read(clauses.values(), further)
        self.roots = _roots(self.read)
        self.weighs = _weighs(self.roots)
        self.counted = tuple([name for name in self.read if name.startswith(_COUNTED)])
        self._matcher = stock.matcher
        self.eft = stock.effector
        self.model = {
            "r": stock.request,
            "p": {"p": _Policy(stock.columns, rows)},
            "e": stock.effects,
            "m": stock.matchers,
        }

    def held(self, facts: Facts) -> int:
        """Which clauses hold, a bit for each row, up to the first refusal: where Casbin ends too.

        UNTOLD when a condition fails.
        """
        held = 0
        if not self._in_order:
            self._in_order = [
                (1 << place, self.clauses[row[2]], row[3] == "deny")
                for place, row in enumerate(self.rows)
            ]
        try:
            for bit, clause, is_refusal in self._in_order:
                if holds(clause, facts):
                    held |= bit
                    if is_refusal:
                        break
        except Exception:  # noqa: BLE001 - what it says is told by `asked`, which looks again
            return UNTOLD
        return held

    def asked(self, subject: str, tool: str, facts: Facts) -> Match:
        """What Casbin answers."""
        trace = Trace(facts, self.clauses)
        allowed, _ = self.enforce_ex(subject, tool, trace)
        return Match(allowed is True, tuple(trace.matched), tuple(trace.errors), self.read)

    @property
    def enabled(self) -> Literal[True]:
        """Casbin lets everything pass while this is false: it cannot become so."""
        return True

    @property
    def may_pass(self) -> bool:
        """Some grant, and no refusal without a condition."""
        refused = any(
            clause.effect == "deny" and clause.condition is None and clause.until is None
            for clause in self.clauses.values()
        )
        return not refused and any(clause.grants for clause in self.clauses.values())

    def _get_expression(self, expr: str, functions: object = None) -> _Matcher:
        """Casbin's hook: what evaluates the matcher's text, which is fixed by MODEL."""
        del functions
        assert expr == _Written.value
        return self._matcher


def _fields_read(clauses: Collection[Clause], further: tuple[str, ...]) -> tuple[str, ...]:
    several = [clause.reads for clause in clauses]
    if further:
        several.append(further)
    return several[0] if len(several) == 1 else tuple(sorted({*chain.from_iterable(several)}))


def _weighs(roots: frozenset[str]) -> bool:
    return not roots.isdisjoint({"provenance", "origin"})


def _roots(fields: Iterable[str]) -> frozenset[str]:
    return frozenset(field.partition(".")[0] for field in fields)

"""The engine: an index finds the clauses that concern a call, and Casbin decides among them.

Stock Casbin: the model, the loop over the rows (`enforce_ex`), and the effector that makes one
answer of their effects. Ours, through Casbin's own hooks: which rows it sees (those of one agent
and tool only, so a decision costs the same among ten rules and a hundred thousand), and the
functions that the matcher calls. No text of a policy reaches Casbin's expression language.

Casbin knows two effects. An ask enters as `allow`, and the trace of matched clauses tells it from
one; a guardrail that asks enters as neither, so it can never let anything pass.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from sys import intern
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import casbin
from casbin.core_enforcer import CoreEnforcer
from casbin.effect import get_effector

from policies.clause import Clause
from policies.decision import Facts
from policies.errors import ConditionFailed
from policies.history import PREFIX
from policies.notation import ANY, tool_matches

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

Row: TypeAlias = Sequence[str]
"""One line of Casbin's policy: subject, tool pattern, clause, effect."""

Candidate: TypeAlias = tuple[Row, Clause]
"""A row and the clause it stands for."""


class Match(NamedTuple):
    """What became of one agent and tool.

    allowed  Casbin's answer: some grant matched, and no refusal
    matched  clauses that matched, in the order looked at; a refusal ends the looking
    errors   "clause: what went wrong"
    read     fields that the conditions of all candidates may read
    """

    allowed: bool
    matched: tuple[Clause, ...]
    errors: tuple[str, ...]
    read: tuple[str, ...]


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


class Engine:
    """The clauses of one snapshot, by whom and what they concern.

    agents  roles of every known agent
    tools   every known tool
    further  what else is looked at of the facts of a call, by tool
    recalls  some condition reads totals or histories
    memo    how many (agent, tool) pairs are remembered; 0: none. The answer is the same.

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
        self._subjects = {agent: _subjects(agent, roles) for agent, roles in agents.items()}
        self._index = _Index(clauses.values(), tools)
        self._matcher = _Matcher(self._subjects.values())
        self._stock = _Stock(self._matcher)
        self._memo: dict[tuple[str, str], _Bucket] = {}
        self._memo_size = memo
        self.roots = _roots(reads)
        self.weighs = not self.roots.isdisjoint({"provenance", "origin"})

    def match(self, agent: str, tool: str, facts: Facts) -> Match:
        """Which clauses match, and what Casbin makes of them."""
        bucket = self._bucket(agent, tool)
        # Casbin runs its matcher once, on empty values, when there is no row at all.
        if not bucket.rows:
            return NOTHING
        trace = Trace(facts, bucket.clauses)
        allowed, _ = bucket.enforce_ex(self._subjects[agent][0], tool, trace)
        return Match(allowed is True, tuple(trace.matched), tuple(trace.errors), bucket.read)

    def may_pass(self, agent: str, tool: str) -> bool:
        """Is there an allow or ask for this pair, and no refusal that always matches?"""
        return self._bucket(agent, tool).may_pass

    def reads(self, agent: str, tool: str) -> frozenset[str]:
        """Roots of the facts that conditions for this pair may read: "args", "provenance"."""
        return self._bucket(agent, tool).roots

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
            yield from _rows(clause)

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


NOTHING = Match(allowed=False, matched=(), errors=(), read=())
"""No clause concerns the pair."""


def _subjects(agent: str, roles: Iterable[str]) -> tuple[str, ...]:
    """How rows name an agent: itself first, then its roles, then everyone."""
    return (intern(f"agent:{agent}"), *(intern(f"role:{role}") for role in roles), ANY)


def _rows(clause: Clause) -> Iterator[Row]:
    effect = _EFFECTS[clause.is_guardrail, clause.effect]
    for subject in map(intern, clause.subjects):
        for pattern in map(intern, clause.tools):
            yield (subject, pattern, clause.id, effect)


# Casbin takes `abstain` for neither.
_EFFECTS: Mapping[tuple[bool, str], str] = MappingProxyType(
    {
        (False, "allow"): "allow",
        (False, "ask"): "allow",
        (False, "deny"): "deny",
        (True, "ask"): "abstain",
        (True, "deny"): "deny",
    }
)


class _Index:
    """The rows of each known tool by subject; what holds for many tools is shared by them."""

    def __init__(self, clauses: Iterable[Clause], tools: Iterable[str]) -> None:
        known = tuple(tools)
        rows: dict[str, dict[str, list[Candidate]]] = {}
        for clause in clauses:
            for row in _rows(clause):
                for key in _keys(row[1], known):
                    rows.setdefault(key, {}).setdefault(row[0], []).append((row, clause))
        keys = {tool: (tool, _server(tool), ANY) for tool in known}
        self._by_tool = {
            tool: tuple(rows[key] for key in keys[tool] if key in rows) for tool in known
        }

    def candidates(self, subjects: Sequence[str], tool: str) -> tuple[list[Row], dict[str, Clause]]:
        """What concerns these subjects and this tool: one row for each clause, refusals first."""
        rows: list[Row] = []
        clauses: dict[str, Clause] = {}
        for by_subject in self._by_tool[tool]:
            for subject in subjects:
                for row, clause in by_subject.get(subject, ()):
                    if clause.id not in clauses:
                        clauses[clause.id] = clause
                        rows.insert(0 if row[3] == "deny" else len(rows), row)
        return rows, clauses


def _keys(pattern: str, tools: Sequence[str]) -> Iterable[str]:
    """Where a row with this pattern is kept: patterns by prefix under each tool they cover."""
    if not pattern.endswith(ANY) or pattern == ANY or pattern == _server(pattern):
        return (pattern,)
    return (tool for tool in tools if tool_matches(pattern, tool))


def _server(tool: str) -> str:
    return tool[: tool.index(".") + 1] + ANY


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
    """Does the clause hold? What cannot be told counts as a match where that refuses."""
    clause = trace.clauses[name]
    if clause.until is not None and trace.facts.now >= clause.until:
        return False
    if clause.test is not None:
        try:
            held = clause.test(trace.facts)
        except Exception as error:  # noqa: BLE001 - whatever breaks must not decide for an allow
            trace.errors.append(f"{clause.id}: {_told(error)}")
            held = clause.refuses
        if not (held is True or (clause.refuses and held is not False)):
            return False
    trace.matched.append(clause)
    return True


def _told(error: Exception) -> str:
    """Our own errors name fields and never values; of others nothing but the kind is told."""
    return str(error) if isinstance(error, ConditionFailed) else type(error).__name__


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
        self.read = _fields_read(clauses.values(), further)
        self.roots = _roots(self.read)
        self.counted = tuple([name for name in self.read if name.startswith(_COUNTED)])
        self._matcher = stock.matcher
        self.eft = stock.effector
        self.model = {
            "r": stock.request,
            "p": {"p": _Policy(stock.columns, rows)},
            "e": stock.effects,
            "m": stock.matchers,
        }

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


def _roots(fields: Iterable[str]) -> frozenset[str]:
    return frozenset(field.partition(".")[0] for field in fields)

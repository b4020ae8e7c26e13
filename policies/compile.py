"""Compiling: checked documents and the catalogue become one snapshot, or every reason why not.

Names are resolved, conditions are read and checked against the pinned schema of each tool that they
concern, and everything is put where a decision finds it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from itertools import chain
from types import MappingProxyType
from typing import TypeVar

from policies.clause import Clause
from policies.condition import Condition
from policies.condition_book import ConditionBook
from policies.decision import Obligation
from policies.document import Edge, Guardrail, PolicyDocument, Rule, Statement
from policies.document import FrontEnd as Stated
from policies.engine import Engine
from policies.errors import PolicyInvalid
from policies.finding import Finding
from policies.history import windows
from policies.instant import end_of
from policies.notation import ANY
from policies.pinned import ToolSchema, check_tools
from policies.reach import reached
from policies.references import check_references
from policies.register import UNDECLARED_LABELS, Risk, Tool
from policies.release import ReleaseRule, read_by_tool, release_rule
from policies.remark import Remark
from policies.shape import Shape, read_schema
from policies.snapshot import UNTRUSTED, Delegation, FrontEnd, Snapshot, ToolRule, UserList, Users
from policies.source import Path
from policies.terms import Approval

T = TypeVar("T")

MEMO = 65_536
"""How many pairs of agent and tool an engine remembers; each takes about a kilobyte."""


def compile_snapshot(
    documents: Sequence[PolicyDocument],
    catalogue: Mapping[str, ToolSchema] | None,
    *,
    lock_digest: str = "",
    memo: int = MEMO,
) -> Snapshot:
    """Make the snapshot that these documents stand for.

    catalogue    every tool the gateway has pinned, by `server.tool`; None: not known here, so that
                 conditions are checked without types
    lock_digest  of the catalogue lock, part of the snapshot's own digest
    memo         how many pairs of agent and tool the engine remembers

    Raises PolicyInvalid with all findings when one of them is an error.
    """
    findings = check_references(documents)
    if findings:
        raise PolicyInvalid(findings)
    return _Compiler(documents, catalogue).snapshot(_digest(documents, lock_digest), memo)


class _Compiler:
    def __init__(
        self, documents: Sequence[PolicyDocument], catalogue: Mapping[str, ToolSchema] | None
    ) -> None:
        self._documents, self._catalogue = documents, catalogue
        policies = [document.policy for document in documents]
        self._agents = _merged(policy.agents for policy in policies)
        self._groups = _merged(policy.groups for policy in policies)
        self._tools = {
            name: _tool_rule(tool)
            for name, tool in _merged(policy.tools for policy in policies).items()
        }
        self._approvals = _merged(policy.approvals for policy in policies)
        self._limits = _merged(policy.limits for policy in policies)
        self._budgets = _merged(policy.budgets for policy in policies)
        self._spaces = _merged(policy.spaces for policy in policies)
        self._findings: list[Finding] = []
        self._args = cache(self._shape)
        self._risks = {name: tool.risk for name, tool in self._tools.items()}
        self._reached = cache(self._tools_reached)
        self._book = ConditionBook(
            None if catalogue is None else self._args,
            totals=frozenset((*self._limits, *self._budgets)),
            labels=frozenset().union(*(tool.emits for tool in self._tools.values())),
            tools=frozenset(self._tools),
        )

    def snapshot(self, digest: str, memo: int) -> Snapshot:
        """Everything in its place. Raises PolicyInvalid."""
        clauses = {clause.id: clause for clause in self._clauses()}
        releases = self._releases()
        further = read_by_tool(releases)
        self._check_invariants()
        if self._catalogue is not None:
            self._findings += check_tools(self._documents, self._catalogue, self._args)
        if any(finding.severity == "error" for finding in self._findings):
            raise PolicyInvalid(sorted(self._findings, key=lambda finding: finding.at))
        roles = {name: agent.roles for name, agent in self._agents.items()}
        return Snapshot(
            digest=digest,
            sources=tuple((each.source.file, each.source.digest) for each in self._documents),
            agents=MappingProxyType(self._agents),
            users=self._users(),
            groups=MappingProxyType(self._groups),
            tools=MappingProxyType(self._tools),
            approvals=MappingProxyType(self._approvals),
            limits=MappingProxyType(self._limits),
            budgets=MappingProxyType(self._budgets),
            spaces=MappingProxyType(self._spaces),
            delegation=self._delegation(),
            front_ends=MappingProxyType(self._front_ends()),
            triggers=MappingProxyType(_merged(each.policy.triggers for each in self._documents)),
            clauses=MappingProxyType(clauses),
            releases=MappingProxyType(releases),
            warnings=tuple(sorted(self._findings, key=lambda finding: finding.at)),
            tainting=self._tainting(),
            histories=windows(chain(*(each.reads for each in clauses.values()), *further.values())),
            engine=Engine(clauses, roles, self._tools, memo=memo, further=further),
        )

    def _clauses(self) -> Iterator[Clause]:
        for document in self._documents:
            for index, guardrail in enumerate(document.policy.guardrails):
                yield self._guardrail(document, ("guardrails", index), guardrail)
            for index, rule in enumerate(document.policy.rules):
                yield self._rule(document, ("rules", index), rule)

    def _guardrail(self, document: PolicyDocument, path: Path, guardrail: Guardrail) -> Clause:
        condition = self._condition(document, path, guardrail.when, self._reach(guardrail))
        return Clause(
            id=guardrail.id,
            effect=guardrail.effect,
            is_guardrail=True,
            subjects=_subjects(guardrail),
            tools=self._tools_of(guardrail),
            risk=guardrail.risk,
            at=document.source.at(*path),
            condition=condition,
            reads=condition.reads if condition else (),
            test=self._book.test(condition, refuses=True) if condition else None,
            obligation=self._obligation(guardrail.approval),
            why=guardrail.why,
        )

    def _rule(self, document: PolicyDocument, path: Path, rule: Rule) -> Clause:
        condition = self._condition(document, path, rule.when, self._reach(rule))
        return Clause(
            id=rule.id,
            effect=rule.effect,
            is_guardrail=False,
            subjects=_subjects(rule),
            tools=self._tools_of(rule),
            risk=rule.risk,
            at=document.source.at(*path),
            condition=condition,
            reads=condition.reads if condition else (),
            test=self._book.test(condition, refuses=rule.effect == "deny") if condition else None,
            until=None if rule.until is None else end_of(rule.until),
            obligation=self._obligation(rule.approval),
            limits=rule.limits,
            budgets=rule.budgets,
            why=rule.why,
        )

    def _releases(self) -> dict[str, tuple[ReleaseRule, ...]]:
        by_tool: dict[str, tuple[ReleaseRule, ...]] = {}
        for document in self._documents:
            for index, stated in enumerate(document.policy.releases):
                path: Path = ("releases", index)
                condition = self._condition(document, path, stated.when, (stated.tool,))
                test = self._book.test(condition, refuses=False) if condition else None
                rule = release_rule(stated, document.source.at(*path), condition, test)
                by_tool[stated.tool] = (*by_tool.get(stated.tool, ()), rule)
        return by_tool

    def _condition(
        self, document: PolicyDocument, path: Path, text: str | None, tools: tuple[str, ...]
    ) -> Condition | None:
        if text is None:
            return None
        condition, remarks = self._book.read(text, tools)
        self._findings.extend(_finding(document, (*path, "when"), remark) for remark in remarks)
        broken = any(remark.severity == "error" for remark in remarks)
        return None if broken else condition

    def _tools_of(self, statement: Statement) -> tuple[str, ...]:
        """As its clause names them: patterns as they are written, a class by its members."""
        return self._reach(statement) if statement.risk else statement.tools

    def _reach(self, statement: Statement) -> tuple[str, ...]:
        return self._reached(statement.tools, statement.risk)

    def _tools_reached(
        self, patterns: tuple[str, ...], classes: tuple[Risk, ...]
    ) -> tuple[str, ...]:
        return reached(patterns, classes, self._risks)

    def _shape(self, tool: str) -> Shape:
        schema = self._catalogue.get(tool) if self._catalogue else None
        return read_schema(schema.input_schema if schema else None)

    def _obligation(self, name: str | None) -> Obligation | None:
        return None if name is None else _obligation(name, self._approvals[name])

    def _check_invariants(self) -> None:
        for document in self._documents:
            for index, invariant in enumerate(document.policy.invariants):
                never = invariant.never
                path: Path = ("invariants", index, "never")
                named = self._reached(never.tools, ()) if never.tools else ()
                self._condition(document, path, never.when, named)

    def _users(self) -> Users:
        stated = [policy.users for policy in (each.policy for each in self._documents)]
        for users in stated:
            if users is not None:
                default = None if users.default == "unrestricted" else users.default
                lists = [UserList(name, each, each.tools) for name, each in users.lists.items()]
                return Users(default, tuple(lists))
        return Users(default=(), lists=())

    def _tainting(self) -> frozenset[str]:
        """Labels by which it shows that a session has read what may not be relied upon."""
        emitted: dict[bool, frozenset[str]] = {True: frozenset(), False: frozenset()}
        for tool in self._tools.values():
            emitted[tool.result == "trusted"] |= tool.emits
        return UNTRUSTED | (emitted[False] - emitted[True] - UNDECLARED_LABELS)

    def _delegation(self) -> Delegation:
        for document in self._documents:
            stated = document.policy.delegation
            if stated is not None:
                alone = _lent(edge for edge in stated.edges if edge.consent is None)
                asking = _lent(edge for edge in stated.edges if edge.consent is not None)
                by_consent = {  # what one edge lends freely, no other takes back
                    ends: tuple(tool for tool in tools if tool not in alone.get(ends, ()))
                    for ends, tools in asking.items()
                }
                return Delegation(
                    stated.max_hops,
                    stated.max_children,
                    MappingProxyType(_lent(stated.edges)),
                    MappingProxyType({ends: tools for ends, tools in by_consent.items() if tools}),
                )
        return Delegation(0, 0, MappingProxyType({}))

    def _front_ends(self) -> dict[str, FrontEnd]:
        stated = _merged(document.policy.front_ends for document in self._documents)
        return {name: self._front_end(each) for name, each in stated.items()}

    def _front_end(self, stated: Stated) -> FrontEnd:
        people = chain.from_iterable(self._groups[name].members for name in stated.groups)
        return FrontEnd(frozenset((*stated.users, *people)), frozenset(stated.agents))


def _merged(blocks: Iterable[Mapping[str, T]]) -> dict[str, T]:
    """One block of all files; `check_references` has refused names that are stated twice."""
    return dict(chain.from_iterable(block.items() for block in blocks))


def _digest(documents: Sequence[PolicyDocument], lock_digest: str) -> str:
    """The same for the same files in any order and under any name."""
    lines = sorted(document.source.digest for document in documents)
    return sha256("\n".join(["passavant/v1", *lines, lock_digest]).encode()).hexdigest()


def _tool_rule(tool: Tool) -> ToolRule:
    return ToolRule(
        risk=tool.risk,
        emits=tool.labels,
        result=tool.trust,
        target=tool.target,
        sink=tool.sink,
        parts=MappingProxyType(tool.labels_by_part),
        trust=MappingProxyType(tool.trust_by_part),
        undo=tool.undo,
        idempotency=tool.idempotency,
        cost=MappingProxyType(dict(tool.cost or {})),
    )


def _subjects(statement: Statement) -> tuple[str, ...]:
    if statement.roles:
        return tuple(f"role:{role}" for role in statement.roles)
    return tuple(agent if agent == ANY else f"agent:{agent}" for agent in statement.subjects)


def _obligation(name: str, approval: Approval) -> Obligation:
    return Obligation(
        approval=name,
        from_group=approval.from_,
        quorum=approval.quorum,
        expires_s=approval.expires,
        exclude_requester=approval.self_ is None,
        passkey=approval.passkey is not None,
        reason_required=approval.reason is not None,
        self_allowed=approval.self_ is not None,
        escalate_to="" if approval.escalate is None else approval.escalate.to,
        escalate_s=0 if approval.escalate is None else approval.escalate.after,
        break_glass_from="" if approval.break_glass is None else approval.break_glass.from_,
        break_glass_s=0 if approval.break_glass is None else approval.break_glass.within,
    )


def _finding(document: PolicyDocument, path: Path, remark: Remark) -> Finding:
    at = document.source.at(*path, offset=remark.offset)
    return Finding(remark.code, remark.message, at, remark.hint, remark.severity)


def _lent(edges: Iterable[Edge]) -> dict[tuple[str, str], tuple[str, ...]]:
    lent: dict[tuple[str, str], tuple[str, ...]] = {}
    for edge in edges:
        ends = (edge.from_, edge.to)
        lent[ends] = (*lent.get(ends, ()), *edge.tools)
    return lent

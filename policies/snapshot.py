"""Snapshots: one immutable policy, compiled, named by a digest of everything it was made of.

A change of policy is a new snapshot and the swap of one reference; nothing in one is ever changed,
so whoever holds it decides by it to the end, and any decision can be repeated by its digest.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from policies.clause import Clause
from policies.decision import Facts
from policies.engine import Engine
from policies.finding import Finding
from policies.notation import ANY, tool_matches
from policies.register import Agent, Group, People, Risk, Sink, Space, Trust, Undo
from policies.release import ReleaseRule
from policies.terms import Approval, Budget, Limit
from policies.trigger import Trigger

UNTRUSTED = frozenset({"untrusted"})
"""Whatever else a policy says, this label is of what may not be relied upon."""


@dataclass(frozen=True, slots=True)
class ToolRule:
    """What the policy states about one tool.

    emits   labels that calls may put on the session, all parts of the result together
    parts   labels of single parts of the result; without any, each call puts on all of `emits`
    result  whether all values of its results may be relied upon
    trust   of parts of the result; what none of them covers may not be relied upon
    idempotency  for how long the server acts once for each key that it is sent, in seconds
    target  arguments that name what is acted upon
    cost    what a call is charged, by unit: "args.amount", or a fixed number
    """

    risk: Risk
    emits: frozenset[str]
    result: Trust
    target: tuple[str, ...] = ()
    sink: Sink | None = None
    undo: Undo | None = None
    cost: Mapping[str, str | int] = field(default_factory=dict)
    parts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    trust: Mapping[str, Trust] = field(default_factory=dict)
    idempotency: int | None = None


@dataclass(frozen=True, slots=True)
class UserList:
    """What may be done in the name of some persons."""

    name: str
    people: People
    tools: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Users:
    """What persons may have done in their name.

    default  for whom no list names; None is no limit, and () is what silence means: nothing
    """

    default: tuple[str, ...] | None
    lists: tuple[UserList, ...]


@dataclass(frozen=True, slots=True)
class Delegation:
    """Who may hand which tools to whom, by (from, to).

    edges       everything that may be handed on
    by_consent  of that, what takes the consent of the user whose work it is
    """

    max_hops: int
    max_children: int
    edges: Mapping[tuple[str, str], tuple[str, ...]]
    by_consent: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

    def lent(self, origin: str, to: str, *, consented: bool) -> tuple[str, ...]:
        """What may be handed on, where the user has agreed to it or has not."""
        asking = () if consented else self.by_consent.get((origin, to), ())
        return tuple(tool for tool in self.edges.get((origin, to), ()) if tool not in asking)


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """For whom a client speaks, and to which agents."""

    users: frozenset[str]
    agents: frozenset[str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a decision needs but the facts.

    digest   SHA-256 in hex, over the sources and the catalogue lock
    sources  (file, SHA-256 in hex) of each policy file
    tainting labels of results that may not be relied upon
    releases  which values of results are free of labels, by tool
    histories  how long calls of a tool have to be remembered, since some condition asks about
             them: windows in microseconds, by tool
    """

    digest: str
    sources: tuple[tuple[str, str], ...]
    agents: Mapping[str, Agent]
    users: Users
    groups: Mapping[str, Group]
    tools: Mapping[str, ToolRule]
    approvals: Mapping[str, Approval]
    limits: Mapping[str, Limit]
    budgets: Mapping[str, Budget]
    spaces: Mapping[str, Space]
    delegation: Delegation
    front_ends: Mapping[str, FrontEnd]
    triggers: Mapping[str, Trigger]
    clauses: Mapping[str, Clause]
    releases: Mapping[str, tuple[ReleaseRule, ...]]
    warnings: tuple[Finding, ...]
    histories: Mapping[str, tuple[int, ...]]
    engine: Engine = field(repr=False)
    tainting: frozenset[str] = UNTRUSTED

    def stated(self, facts: Facts) -> Facts:
        """The facts with what the policy states of the tool."""
        tool = self.tools.get(facts.tool)
        if tool is None:
            return facts
        return replace(facts, risk=tool.risk, sink=tool.sink or "unstated")

    @property
    def recalls(self) -> bool:
        """Whether any condition asks what was counted before the call."""
        return self.engine.recalls

    def members(self, group: str) -> frozenset[str]:
        """Names listed in the file for a group; empty when the identity provider knows them."""
        return frozenset(self.groups[group].members) if group in self.groups else frozenset()

    def is_in(self, group: str, user: str, user_groups: frozenset[str]) -> bool:
        """Does the user belong to this group of the policy?"""
        return group in self.groups and is_one_of(self.groups[group], user, user_groups)


def is_one_of(people: People, user: str, user_groups: frozenset[str]) -> bool:
    """Is the user named, or in the group of the identity provider that stands for the people?

    user_groups  as the provider states them, with or without "oidc:group/" in front
    """
    if user in people.members:
        return True
    source = people.from_
    return source is not None and (
        source in user_groups or source.removeprefix("oidc:group/") in user_groups
    )


def covers(patterns: Collection[str], tool: str) -> bool:
    """Does one of the patterns cover the tool?"""
    if tool in patterns or ANY in patterns:
        return True
    for pattern in patterns:  # noqa: SIM110 - on the hot path, where `any` costs twice as much
        if tool_matches(pattern, tool):
            return True
    return False

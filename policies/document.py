"""The policy file: its statements, and the blocks in the order a reviewer reads them.

The register comes first (`policies.register`); then what can never happen (guardrails), what may
happen (rules), which values are free of labels (releases), who may hand work on (delegation), what
starts flows by itself (triggers), what must be provable (invariants). A model that exists has
passed every check that needs no other block; names are resolved across files in
`policies.references`.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from policies import own_tools
from policies.decision import Effect
from policies.notation import (
    ANY,
    AnyOrName,
    Block,
    ConditionText,
    Day,
    Label,
    Name,
    ResultMember,
    Sentence,
    Some,
    ToolName,
    ToolPattern,
    UserName,
    refuse,
)
from policies.register import Agent, Group, Part, Risk, Space, Tool, Users, refuse_wildcard
from policies.source import Source
from policies.terms import Approval, Budget, Limit
from policies.trigger import Trigger

SESSION = "session"
"""The space that every session has for itself."""


RESERVED = frozenset({"default", "delegation", "engine-error", "purpose", "scope"})
"""What decisions name where no rule decided."""


class Statement(Part):
    """What guardrails and rules have in common: whom they concern, which tools, and when.

    tools, risk  which tools: by name, by the risk that the register states, or both together
    """

    id: Name
    roles: Some[Name] = ()
    agents: Some[AnyOrName] = ()
    tools: Some[ToolPattern] = ()
    risk: Some[Risk] = ()
    when: ConditionText | None = None
    approval: Name | None = None

    @property
    def subjects(self) -> tuple[str, ...]:
        """Role names, agent names, or ("*",) for every agent."""
        return self.roles or self.agents or (ANY,)

    @model_validator(mode="after")
    def _is_unambiguous(self) -> Self:
        _refuse_reserved(self.id)
        if self.roles and self.agents:
            raise refuse(
                "policy.who", "names both roles and agents: write two statements", field="agents"
            )
        if not self.tools and not self.risk:
            raise refuse("policy.what", "expected 'tools' or 'risk': which tools does it concern?")
        for field in ("agents", "tools"):
            names = getattr(self, field)
            if ANY in names and len(names) > 1:
                raise refuse("policy.wildcard", "'*' stands beside other names", field=field)
        return self


class Guardrail(Statement):
    """Owned by security: denies, or turns an allow into ask. No rule lifts it; it never grants.

    Without `roles` and `agents` it concerns every agent.
    """

    why: Sentence
    effect: Literal["deny", "ask"] = "deny"

    @model_validator(mode="after")
    def _asks_whom(self) -> Self:
        _approval_iff_ask(self.effect, self.approval)
        return self


class Rule(Statement):
    """One grant or refusal. Deny beats ask beats allow, so the order of rules never matters.

    until  the last day on which the rule holds, in UTC; after it the rule never matches
    """

    why: Sentence | None = None
    effect: Effect
    limits: Some[Name] = ()
    budgets: Some[Name] = ()
    until: Day | None = None

    @model_validator(mode="after")
    def _grants_by_name(self) -> Self:
        _approval_iff_ask(self.effect, self.approval)
        if not self.roles and not self.agents:
            raise refuse("policy.who", "expected 'roles' or 'agents': whom does the rule concern?")
        if self.effect == "deny":
            return self._charges_nothing()
        refuse_wildcard("agents", self.agents, "name agents or roles")
        refuse_wildcard("tools", self.tools, "name tools, or the tools of one server as 'server.*'")
        return self

    def _charges_nothing(self) -> Self:
        for field in ("limits", "budgets"):
            if getattr(self, field):
                raise refuse("policy.contradiction", "a deny is not counted", field=field)
        return self


class Release(Part):
    """One value of a result that is free of labels which the tool puts on the session.

    The session keeps them: what is released is this value alone, in this tree of sessions.

    part  the one member of the result's JSON that is released: no list, no pattern
    from  labels of the tool that the value is free of
    when  which calls; their facts, as a rule may read them
    """

    id: Name
    why: Sentence
    tool: ToolName
    part: ResultMember
    from_: Annotated[Some[Label], Field(alias="from", min_length=1)]
    when: ConditionText | None = None

    @model_validator(mode="after")
    def _is_unambiguous(self) -> Self:
        _refuse_reserved(self.id)
        return self


class Edge(Part):
    """One agent may hand work with these tools to another.

    consent  `required`: only the work of a user who agreed to that
    """

    id: Name
    from_: Annotated[Name, Field(alias="from")]
    to: Name
    tools: Some[ToolPattern]
    consent: Literal["required"] | None = None

    @model_validator(mode="after")
    def _lends_by_name(self) -> Self:
        if self.from_ == self.to:
            raise refuse("policy.delegation", "an agent hands work to itself", field="to")
        refuse_wildcard("tools", self.tools, "name the tools that are lent")
        return self


class Delegation(Part):
    """Who may hand work to whom. Rights of a chain are the intersection of every link.

    max_hops      agents that work may be handed on to, one after another
    max_children  sessions that one request may lead to, beside the first
    """

    max_hops: Annotated[int, Field(ge=0, le=8)] = 1
    max_children: Annotated[int, Field(ge=1, le=1000)] = 32
    edges: Some[Edge] = ()


class FrontEnd(Part):
    """A client that speaks for people: it opens sessions of agents in their name, with a purpose.

    It is no agent itself. Whom it may speak for: persons by name, and groups by their members.
    """

    users: Some[UserName] = ()
    groups: Some[Name] = ()
    agents: Some[Name]

    @model_validator(mode="after")
    def _speaks_for_somebody(self) -> Self:
        if not self.users and not self.groups:
            raise refuse(
                "policy.who",
                "expected 'users' or 'groups': for whom does it speak?",
                field="agents",
            )
        refuse_wildcard("users", self.users, "name users, or groups that list them")
        return self


class Never(Part):
    """A set of requests that must be impossible; what is left out does not narrow it."""

    agents: Some[AnyOrName] = ()
    roles: Some[Name] = ()
    tools: Some[ToolPattern] = ()
    risk: Some[Risk] = ()
    effect: Some[Literal["allow", "ask"]]
    when: ConditionText | None = None


class Invariant(Part):
    """What must hold for every possible request, but for the rules it excepts by name."""

    id: Name
    never: Never
    except_: Annotated[Some[Name], Field(alias="except")] = ()


class Policy(Part):
    """One policy file. A set of files is in force together: their blocks add up."""

    api_version: Annotated[Literal["passavant/v1"], Field(alias="apiVersion")]
    kind: Literal["Policy"]
    name: Name
    default: Literal["deny"]
    agents: Block[Name, Agent] = Field(default_factory=dict)
    users: Users | None = None
    groups: Block[Name, Group] = Field(default_factory=dict)
    tools: Block[ToolName, Tool] = Field(default_factory=dict)
    approvals: Block[Name, Approval] = Field(default_factory=dict)
    limits: Block[Name, Limit] = Field(default_factory=dict)
    budgets: Block[Name, Budget] = Field(default_factory=dict)
    spaces: Block[Name, Space] = Field(default_factory=dict)
    guardrails: Some[Guardrail] = ()
    rules: Some[Rule] = ()
    releases: Some[Release] = ()
    delegation: Delegation | None = None
    front_ends: Block[Name, FrontEnd] = Field(default_factory=dict)
    triggers: Block[Name, Trigger] = Field(default_factory=dict)
    invariants: Some[Invariant] = ()

    @field_validator("tools")
    @classmethod
    def _own_tools_are_as_they_are(cls, tools: dict[str, Tool]) -> dict[str, Tool]:
        return {name: own_tools.stated(name, tool) for name, tool in tools.items()}

    @field_validator("spaces")
    @classmethod
    def _spaces_are_somebodys(cls, spaces: dict[str, Space]) -> dict[str, Space]:
        for name, space in spaces.items():
            if name == SESSION:
                _belongs_to_sessions(space)
            else:
                _belongs_to_somebody(name, space)
        return spaces


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A policy together with the file it was read from, so that every finding has its place."""

    policy: Policy
    source: Source


def _belongs_to_sessions(space: Space) -> None:
    if space.of or space.roles or space.agents:
        message = "'session' is each session's own, for whoever may use memory at all"
        raise refuse("policy.space", message, field=SESSION)


def _belongs_to_somebody(name: str, space: Space) -> None:
    if space.of is None:
        raise refuse("policy.space", "expected 'of': agent, team or user", field=name)
    if not space.roles and not space.agents:
        raise refuse("policy.who", "expected 'roles' or 'agents': who may use it?", field=name)
    if space.keep is None:
        message = "expected 'keep': nothing is kept for ever"
        raise refuse("policy.space", message, field=name)


def _refuse_reserved(name: str) -> None:
    """Raise for an id that could be taken for the engine's."""
    if name in RESERVED:
        raise refuse("policy.reserved-id", f"{name!r} is a name of the engine", field="id")


def _approval_iff_ask(effect: Effect, approval: str | None) -> None:
    if effect == "ask" and approval is None:
        raise refuse(
            "policy.approval", "'effect: ask' needs an 'approval': who decides?", field="effect"
        )
    if effect != "ask" and approval is not None:
        raise refuse("policy.approval", "an 'approval' belongs to 'effect: ask'", field="approval")

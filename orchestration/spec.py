"""Nodes of flows: what may be done by whom in which order, as one tree of models.

A flow is written in YAML or built in Python; both are these models. In YAML a node is a mapping
with one key, its kind; a name alone is an agent, `server.tool` alone is a tool:

    sequential:
      - parallel: {branches: [web, papers]}
      - approve: {by: editors, question: "Publish this?"}
      - tool: {name: site.publish, args: {text: {from: /text}}}

Values go from step to step as JSON; `{from: <JSON pointer>}` (RFC 6901) is the only thing that is
evaluated, beside the policy's own conditions in a router. Everything has a bound.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    field_validator,
    model_validator,
)

from orchestration.parts import (
    Agent,
    Approve,
    Duration,
    Emit,
    Name,
    Part,
    Rounds,
    Sentence,
    Tool,
    ToolName,
    Wait,
)
from orchestration.shape import checked_schema
from orchestration.spelling import kind_of, spelled

OnError = Literal["fail", "keep", "drop"]


class Sequential(Part):
    """One after another, each with what the one before gave."""

    kind: Literal["sequential"] = "sequential"
    steps: Annotated[tuple["Node", ...], Field(min_length=1, max_length=100, strict=False)]


class Fan(Part):
    """What parallel and map have in common.

    on_error      one that stops stops all; or its place holds {"stopped": ...}; or is left out
    max_parallel  how many are under way at a time
    until         all have ended; or so many have succeeded, and the others are cut: the results
                  are those of who succeeded, or with `first` the one result
    accept        a condition of the policy's language that a result (`args`) has to meet to count
    """

    on_error: OnError = "fail"
    max_parallel: Annotated[int, Field(ge=1, le=64)] = 8
    until: Annotated[int, Field(ge=1, le=1000)] | Literal["all", "first"] = "all"
    accept: Annotated[str, Field(min_length=1, max_length=2000)] | None = None

    @model_validator(mode="after")
    def _races_or_not(self) -> Self:
        if self.until == "all" and self.accept is not None:
            raise ValueError("`accept` says which results count: `until` how many of them?")
        if self.until != "all" and self.on_error != "fail":
            raise ValueError("`on_error` is for where all are waited for, not with `until`")
        return self


class Parallel(Fan):
    """Several at once with the same value; the result is the list of theirs, in this order.

    merge  the results are objects, and become one; a member that two of them have is refused
    """

    kind: Literal["parallel"] = "parallel"
    branches: Annotated[tuple["Node", ...], Field(min_length=1, max_length=64, strict=False)]
    merge: bool = False

    @model_validator(mode="after")
    def _enough_to_win(self) -> Self:
        if isinstance(self.until, int) and self.until > len(self.branches):
            raise ValueError(f"of {len(self.branches)} branches {self.until} cannot succeed")
        return self


class Map(Fan):
    """One for each member of a list; the result is the list of theirs, in its order.

    over  where in the value at hand the list is (JSON pointer); "": it is the value
    """

    kind: Literal["map"] = "map"
    each: "Node"
    over: str = ""
    max_items: Annotated[int, Field(ge=1, le=1000)] = 64


class Route(Part):
    """Where to go when a condition of the policy's language holds; `args` is the value at hand."""

    when: Annotated[str, Field(min_length=1, max_length=2000)]
    to: "Node"


class Router(Part):
    """One of several ways, by conditions in their order, or by what a classifier names.

    otherwise  where to go when nothing fits; without it the run stops
    """

    kind: Literal["router"] = "router"
    classifier: "Node | None" = None
    routes: dict[Name, "Node"] = Field(default_factory=dict)
    conditions: Annotated[tuple[Route, ...], Field(strict=False)] = ()
    otherwise: "Node | None" = None

    @model_validator(mode="after")
    def _one_way_to_choose(self) -> Self:
        if (self.classifier is None) == (not self.conditions):
            raise ValueError("expected either `classifier` with `routes`, or `conditions`")
        if (self.classifier is None) != (not self.routes):
            raise ValueError("`routes` belong to a `classifier`")
        return self


class Handoff(Part):
    """Agents that pass the work on to each other, as far as `edges` let them.

    Who has it answers {"handoff": <name>, "input": ...} to pass it on, or anything else to end.
    `back` lets each return it to whom it came from.
    """

    kind: Literal["handoff"] = "handoff"
    start: Name
    agents: Annotated[dict[Name, "Node"], Field(min_length=1, max_length=32)]
    edges: dict[Name, Annotated[tuple[Name, ...], Field(strict=False)]]
    back: bool = False
    max_handoffs: Rounds = 5

    @model_validator(mode="after")
    def _known(self) -> Self:
        named = {self.start, *self.edges, *(name for to in self.edges.values() for name in to)}
        _refuse_unknown(named, self.agents)
        return self


class Supervisor(Part):
    """A manager that gives tasks to workers until it has an answer.

    It is given {"task", "workers", "results"} and answers {"tasks": [{"worker", "input"}, ...]},
    {"answer": ...}, or {"forward": n} for the n-th result as it is. A task may have a "contract":
    the terms that its worker is bound to beside those of the flow, and in "check" the name of
    another worker who looks at what comes of it.
    """

    kind: Literal["supervisor"] = "supervisor"
    manager: "Node"
    workers: Annotated[dict[Name, "Node"], Field(min_length=1, max_length=32)]
    max_rounds: Rounds = 8
    max_parallel: Annotated[int, Field(ge=1, le=64)] = 8


class MakerChecker(Part):
    """One makes, another checks, until it is approved.

    The maker is given {"task", "feedback"}, the checker {"task", "draft"}; that answers
    {"approved": true} or {"approved": false, "feedback": ...}.

    otherwise  what happens after the last round: the run stops, or the last draft is taken
    """

    kind: Literal["maker_checker"] = "maker_checker"
    maker: "Node"
    checker: "Node"
    max_rounds: Rounds = 3
    otherwise: Literal["stop", "last"] = "stop"

    @model_validator(mode="after")
    def _two(self) -> Self:
        if self.maker == self.checker:
            raise ValueError("nobody checks their own work: maker and checker are the same")
        return self


class Magentic(Part):
    """A manager that keeps a plan and a record of progress, and says who does what next.

    It is asked to "plan", then before each turn for "progress" ({"done", "stuck", "next",
    "input"}), to "replan" after too many turns without progress, and for the "final" answer.

    review  who must approve each plan, as in `approve`
    """

    kind: Literal["magentic"] = "magentic"
    manager: "Node"
    team: Annotated[dict[Name, "Node"], Field(min_length=1, max_length=32)]
    max_rounds: Rounds = 20
    max_stalls: Annotated[int, Field(ge=0, le=20)] = 3
    max_resets: Annotated[int, Field(ge=0, le=10)] = 2
    review: Name | None = None


class GroupChat(Part):
    """Members who speak in turn and all hear everything.

    Who speaks is named by the moderator ({"next"} or {"answer"}), else it goes round. A member
    that answers {"vote": ...} votes; when so large a part has voted the same, that is the result.
    """

    kind: Literal["group_chat"] = "group_chat"
    members: Annotated[dict[Name, "Node"], Field(min_length=2, max_length=32)]
    moderator: "Node | None" = None
    consensus: Annotated[float, Field(gt=0.5, le=1)] | None = None
    max_rounds: Rounds = 10

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.moderator is None and self.consensus is None:
            raise ValueError("expected a `moderator` or a `consensus`: what ends the chat?")
        return self


class Guard(Part):
    """A node with tripwires: what says stop does so before anything else is done.

    A check is given {"check": "input", "value"} before the node, {"check": "output", "value"} after
    it, or {"check": "tool", "tool", "args"} before each tool that is called within it. It answers
    {"tripped": false}, or {"tripped": true, "reason": ...}, which halts the run.

    override  who may let it go on all the same, as in `approve`; without it nobody may
    """

    kind: Literal["guard"] = "guard"
    of: "Node"
    input: Annotated[tuple["Node", ...], Field(max_length=16, strict=False)] = ()
    output: Annotated[tuple["Node", ...], Field(max_length=16, strict=False)] = ()
    tools: Annotated[tuple["Node", ...], Field(max_length=16, strict=False)] = ()
    override: Name | None = None

    @model_validator(mode="after")
    def _checks_something(self) -> Self:
        if not self.input and not self.output and not self.tools:
            raise ValueError("expected `input`, `output` or `tools`: what is checked?")
        return self


class Terms(Part):
    """What a piece of work is bound to by whoever gives it; it may do nothing that they may not.

    goal    what is to come of it, in words
    result  the JSON schema that what comes of it must meet; members that it does not name are
            refused
    tools   the only ones that may be used for it; None: those that may be used here
    calls, tokens, cost, wall  how much of what is left here, as in the limits of a flow
    """

    goal: Sentence | None = None
    result: dict[str, JsonValue] | None = None
    tools: Annotated[tuple[ToolName, ...], Field(max_length=24, strict=False)] | None = None
    calls: Annotated[int, Field(ge=1, le=10_000)] | None = None
    tokens: Annotated[int, Field(ge=0, le=100_000_000)] | None = None
    cost: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = None
    wall: Duration | None = None

    @field_validator("result")
    @classmethod
    def _checks(cls, schema: dict[str, JsonValue] | None) -> dict[str, JsonValue] | None:
        return schema if schema is None else checked_schema(schema)


class Contract(Terms):
    """A node that is bound to terms, and what comes of it counts only if it keeps them.

    It is given {"contract": <the terms>, "input": <the value>}. What does not fit is given back
    once, with {"objection", "before"} beside these; a tool is not called again.

    accept  a condition of the policy's language that what comes of it (`args`) has to meet
    checks  each is given {"contract", "input", "result"} and answers {"approved": true}, or
            {"approved": false, "feedback": ...}
    refer_above  bytes from which on what a step within gives is kept for the run, and a reference
                 handed about in its place
    """

    kind: Literal["contract"] = "contract"
    of: "Node"
    accept: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    checks: Annotated[tuple["Node", ...], Field(max_length=8, strict=False)] = ()
    refer_above: Annotated[int, Field(ge=1024, le=1 << 20)] = 64 * 1024

    @model_validator(mode="after")
    def _others_check(self) -> Self:
        if self.of in self.checks:
            raise ValueError("nobody checks their own work: `of` is one of `checks`")
        return self


Node = Annotated[
    Annotated[Agent, Tag("agent")]
    | Annotated[Tool, Tag("tool")]
    | Annotated[Approve, Tag("approve")]
    | Annotated[Wait, Tag("wait")]
    | Annotated[Emit, Tag("emit")]
    | Annotated[Sequential, Tag("sequential")]
    | Annotated[Parallel, Tag("parallel")]
    | Annotated[Map, Tag("map")]
    | Annotated[Router, Tag("router")]
    | Annotated[Handoff, Tag("handoff")]
    | Annotated[Supervisor, Tag("supervisor")]
    | Annotated[MakerChecker, Tag("maker_checker")]
    | Annotated[Magentic, Tag("magentic")]
    | Annotated[GroupChat, Tag("group_chat")]
    | Annotated[Guard, Tag("guard")]
    | Annotated[Contract, Tag("contract")],
    Discriminator(kind_of),
    BeforeValidator(spelled),
]


def _refuse_unknown(named: set[str], known: Mapping[str, object]) -> None:
    unknown = sorted(named - known.keys())
    if unknown:
        raise ValueError(f"named and not there: {', '.join(unknown)}")

"""One run of a flow, as the log shows it.

A run acts in the name of its flow's agent, in a session of its own; where it hands work to
another agent, that one acts in a session below it. Each of these names and rights is a `Grant`,
found by the path at which it was given: no run carries its own authority about.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Self, cast

from audit.canonical import Json as Json  # noqa: PLC0414 - orchestration has it from here
from gateway.identity import scopes
from gateway.principal import Principal

FACE = "run"
"""How an action of a run says where it comes from."""

ROOT = ""
"""The path of the grant that a run begins with."""

UNDO = "undo"
"""What the entry of a start says of a run that is to be taken back when it fails."""

State = Literal["running", "paused", "stopping", "ended"]


@dataclass(frozen=True, slots=True)
class Grant:
    """In whose name steps are made.

    chain     the agents that `agent` acts for, newest first
    hops      how many more agents work may be handed on to
    user      on whose behalf, with the groups that they were in; None: nobody's
    bound_to  the key of which who started it has proven possession; None: of none
    """

    agent: str
    session: str
    chain: tuple[str, ...]
    scopes: scopes.Scopes
    hops: int
    user: str | None = None
    groups: frozenset[str] = frozenset()
    bound_to: str | None = None

    @classmethod
    def from_entry(cls, body: Mapping[str, Json]) -> Self:
        """The grant that a `run.started` or `run.granted` gives."""
        actor = cast("Mapping[str, Json]", body["actor"])
        text = cast("str", body["scope"])
        return cls(
            agent=cast("str", actor["agent"]),
            session=cast("str", body["session"]),
            chain=tuple(cast("list[str]", actor["chain"])),
            scopes=scopes.parse(text) if text else (),
            hops=cast("int", body["hops"]),
            user=cast("str | None", actor["sub"]),
            groups=frozenset(cast("list[str]", body.get("groups", []))),
            bound_to=cast("str | None", body.get("bound_to")),
        )

    def to_json(self) -> dict[str, Json]:
        """The grant as it stands in entries and rows."""
        return {
            "actor": {"agent": self.agent, "chain": list(self.chain), "sub": self.user},
            "session": self.session,
            "scope": scopes.write(self.scopes),
            "hops": self.hops,
            "groups": list[Json](sorted(self.groups)),
            "bound_to": self.bound_to,
        }


@dataclass(frozen=True, slots=True)
class Forked:
    """Where a fork comes from.

    run     another run, whose steps before that one are taken over and not made again
    at      the path of the first step that is made anew
    before  the index of that step's decision there: what was decided earlier is before it
    """

    run: str
    at: str
    before: int

    @classmethod
    def from_entry(cls, body: Json) -> Self:
        """The inverse of `to_json`."""
        members = cast("Mapping[str, Json]", body)
        return cls(
            cast("str", members["run"]), cast("str", members["at"]), cast("int", members["before"])
        )

    def to_json(self) -> dict[str, Json]:
        """As it stands in the entry of the fork's start."""
        return {"run": self.run, "at": self.at, "before": self.before}


@dataclass(frozen=True, slots=True)
class Cut:
    """Enough branches of a race had succeeded, or too few still could.

    won    paths of those whose results count
    lost   paths of the others: no further step is made there or below
    index  the entry that says so
    """

    won: tuple[str, ...]
    lost: tuple[str, ...]
    index: int

    @classmethod
    def from_entry(cls, body: Mapping[str, Json], index: int) -> Self:
        """The cut that entry `index`, a `run.cut`, records."""
        won, lost = cast("list[str]", body["won"]), cast("list[str]", body["lost"])
        return cls(tuple(won), tuple(lost), index)

    def bars(self, path: str) -> bool:
        """Whether a step lies in one of the others."""
        return any(path == each or path.startswith(f"{each}/") for each in self.lost)


@dataclass(frozen=True, slots=True)
class Cause:
    """What a run was started by, where no person and no agent did.

    trigger  its name in the policy
    event    which moment, message or entry it was: `tick:1790000000`, `message:m17`, `entry:204`
    depth    how many triggers led here, one from another; the first is 1
    """

    trigger: str
    event: str
    depth: int

    @classmethod
    def from_entry(cls, body: Json) -> Self:
        """The inverse of `to_json`."""
        members = cast("Mapping[str, Json]", body)
        return cls(
            cast("str", members["trigger"]),
            cast("str", members["event"]),
            cast("int", members["depth"]),
        )

    def to_json(self) -> dict[str, Json]:
        """As it stands in the entry of the run's start."""
        return {"trigger": self.trigger, "event": self.event, "depth": self.depth}


@dataclass(frozen=True, slots=True)
class Run:
    """One run; times in seconds since 1970.

    flow, digest  the flow's name, and the digest of what it was when the run began
    by            who started it: `operator:ana`, `agent:clerk`
    cancelled     somebody stopped it, whatever that came to
    caller        the session whose agent started it; None: a person or a trigger did
    key           the starter's own name for it: the same start again is this run; None: none
    input_at      the entry that holds what it was started with
    grants        by the path at which they were given; ROOT is the flow's own
    cuts          by the path of the race
    takes_back    what it has done is to be taken back when it fails
    result        how it ended: `done`, or a reason why not
    detail        a sentence about that
    """

    id: str
    flow: str
    digest: str
    by: str
    key: str | None
    input_at: int
    started: int
    grants: Mapping[str, Grant] = field(default_factory=dict)
    state: State = "running"
    ended: int | None = None
    result: str | None = None
    detail: str = ""
    ended_at: int | None = None  # the entry that says so, which holds what came out
    caller: str | None = None
    cancelled: bool = False
    forked: Forked | None = None  # from another run; None: it began at its beginning
    cause: Cause | None = None  # the trigger that started it; None: a person or an agent did
    cuts: Mapping[str, Cut] = field(default_factory=dict)
    takes_back: bool = False

    def is_cut(self, path: str) -> bool:
        """Whether a step lies in a branch that has lost a race."""
        return any(cut.bars(path) for cut in self.cuts.values())

    def is_open(self, path: str) -> bool:
        """Whether a step may still be made there, now or once the run is resumed."""
        return self.state in {"running", "paused"} and not self.is_cut(path)

    @property
    def is_owed_undo(self) -> bool:
        """Whether it has failed and is to be taken back; whoever stops a run decides themselves."""
        failed = self.state == "ended" and self.result not in {"done", "cancelled"}
        return self.takes_back and failed and not self.cancelled

    def is_of(self, principal: Principal) -> bool:
        """Whether it was this principal that started it, in the session that it acts in now."""
        root = self.grants[ROOT]
        return (self.caller, root.agent, root.user, root.chain) == (
            principal.session,
            principal.agent,
            principal.user,
            principal.chain,
        )

    @property
    def session(self) -> str:
        """The session that the whole run is in."""
        return self.grants[ROOT].session

    @classmethod
    def from_entry(cls, body: Mapping[str, Json], index: int) -> Self:
        """The run that entry `index`, a `run.started`, begins."""
        return cls(
            id=cast("str", body["run"]),
            flow=cast("str", body["flow"]),
            digest=cast("str", body["digest"]),
            by=cast("str", body["by"]),
            key=cast("str | None", body["key"]),
            input_at=index,
            started=cast("int", body["ts"]) // 1_000_000,
            grants={ROOT: Grant.from_entry(body)},
            caller=cast("str | None", body.get("caller")),
            forked=Forked.from_entry(body["forked"]) if "forked" in body else None,
            cause=Cause.from_entry(body["cause"]) if "cause" in body else None,
            takes_back=body.get("on_failure") == UNDO,
        )


def request_id(run: str, path: str) -> str:
    """The id of a step's action, by which its entries are found again."""
    return f"{run}/{path}"


def place_of(text: str) -> tuple[str, str]:
    """Run and path of such an id."""
    run, _, path = text.partition("/")
    return run, path

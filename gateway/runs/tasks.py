"""Tasks: what an agent asks another agent of this gateway to do, as the one who asked sees it.

A task is a run whose only step is that agent, made in the name of who asked (`starting.py`). So it
is decided, counted, recorded and taken up again like any step of a flow; what the other agent does
in steps of its own, it does with what is lent to it. A task exists for the session that began it
and for nobody else: what is not for this caller is answered like what there is not.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from audit.canonical import Json
from gateway.approval.request import Request
from gateway.catalogue.tools import Tool
from gateway.gate import Gate
from gateway.principal import Principal
from gateway.rooms import Rooms
from gateway.runs.errors import RunRefused
from gateway.runs.hop import Hop
from gateway.runs.made import PREFIX, Made, MadeAgents, Making
from gateway.runs.run import Run
from gateway.runs.service import RunService

SERVER = "agents"
"""The server whose tools agents are."""

DOORS = frozenset({"list", "invoke", "transcript", "create"})
"""Tools of that server that are no agents."""

CANCELLED_S = 5.0
"""How long a cancelled task may take to end before it is said to be still at it."""

TaskState = Literal["working", "waiting", "done", "denied", "failed", "cancelled"]

_ENDS: Mapping[str, TaskState] = {
    "done": "done",
    "denied": "denied",
    "refused": "denied",
    "cancelled": "cancelled",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How a task stands; times in seconds since 1970.

    detail    a sentence about how it ended, or what it waits for; ""
    approval  the question to people that it waits for
    expires   when that question does
    since     when it came to stand so, as far as that is known
    """

    state: TaskState
    detail: str
    since: int
    approval: str | None = None
    expires: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether it stays so."""
        return self.state not in {"working", "waiting"}


class Tasks:
    """The tasks of all callers, over the runs."""

    def __init__(self, rooms: Rooms, hop: Hop, service: RunService, made: MadeAgents) -> None:
        self._rooms = rooms
        self._gate = Gate(rooms)
        self._hop = hop
        self._service = service
        self._made = made
        self._making = Making(rooms, made)

    def agents(self, principal: Principal) -> dict[str, Tool]:
        """The agents that this caller may have do something, by name.

        None for who was itself reached by another as often as may be: work goes one hop by default.
        """
        if principal.hops < 1 or self._hop.runs.acts_in(principal.session):
            return {}
        listing = self._gate.listing(principal, SERVER)
        return {tool.name: tool for tool in listing if tool.name not in DOORS}

    async def begin(self, principal: Principal, agent: str, given: Json, key: str | None) -> Run:
        """Have an agent do something; it goes on by itself.

        key  the caller's own name for it: the same again is the same task

        Raises RunRefused (`agent.unknown` for what is not there or not for this caller),
        DelegationRefused, SessionEnded, AuditUnavailable.
        """
        if agent.startswith(PREFIX):
            return await self._begin_made(principal, agent, given)
        if agent not in self.agents(principal):
            raise unknown_agent()
        own = None if key is None else f"{principal.session} {key}"
        return await self._service.invoke(agent, given, caller=principal, key=own)

    def made(self, principal: Principal) -> tuple[Made, ...]:
        """The agents that this caller has made."""
        return self._made.of(principal.session, self._hop.now_s)

    async def make(self, principal: Principal, members: Mapping[str, Json], keep_s: int) -> Made:
        """Make an agent; see `gateway.runs.made.Making`."""
        self._check_may_reach(principal)
        return await self._making.make(principal, members, keep_s)

    async def _begin_made(self, principal: Principal, name: str, given: Json) -> Run:
        self._check_may_reach(principal)
        made = self._made.find(name, principal.session, self._hop.now_s)
        if made is None:
            raise unknown_agent()
        return await self._service.invoke(name, given, caller=principal, key=None, made=made)

    def _check_may_reach(self, principal: Principal) -> None:
        if principal.hops < 1 or self._hop.runs.acts_in(principal.session):
            raise RunRefused("agent.hops", "work goes no further from here")

    def find(self, principal: Principal, task: str, agent: str | None = None) -> Run:
        """The task of that id, if this caller began it, with that agent. Raises RunRefused."""
        run = self._hop.runs.find(task)
        if run is None or not run.is_of(principal) or agent not in {None, agent_of(run.flow)}:
            raise RunRefused("run.unknown", "there is no such task of yours")
        return run

    def all(self, principal: Principal, agent: str) -> tuple[Run, ...]:
        """The tasks that this caller began with that agent, newest first."""
        every = reversed(self._hop.runs.all())
        return tuple(run for run in every if run.is_of(principal) and agent_of(run.flow) == agent)

    def progress(self, run: Run) -> Progress:
        """How a task stands now."""
        run = self._hop.runs.find(run.id) or run
        if run.ended is not None:
            ended = _ENDS.get(run.result or "", "failed")
            state = "cancelled" if run.cancelled and ended != "done" else ended
            return Progress(state, run.detail, run.ended)
        asked = self._asked(run)
        if asked is None or run.state != "running":
            return Progress("working", "", run.started)
        detail = f"People are asked about {asked.key.tool}. It goes on when they have answered."
        return Progress("waiting", detail, asked.asked, asked.id, asked.expires)

    async def wait(self, run: Run, until: Callable[[Progress], bool], *, most_s: float) -> Progress:
        """How a task stands as soon as `until` is true of it, or after `most_s` seconds."""
        clock = asyncio.get_running_loop().time
        ends = clock() + most_s
        while True:
            news = self._hop.runs.news(run.id)
            progress = self.progress(run)
            left = ends - clock()
            if until(progress) or progress.is_over or left <= 0:
                return progress
            await asyncio.wait({news}, timeout=left)

    async def answer(self, run: Run) -> Json:
        """What came of a task that is done; None where it is not kept."""
        return await self._service.output(self._hop.runs.find(run.id) or run)

    async def cancel(self, principal: Principal, run: Run) -> Progress:
        """Stop a task and all that it has led to.

        Raises RunRefused when it is over, and AuditUnavailable.
        """
        await self._service.cancel(run.id, by=f"agent:{principal.agent}")
        return await self.wait(run, lambda _: False, most_s=CANCELLED_S)

    def transcript(self, run: Run) -> list[Json]:
        """The steps of a task in the order in which they were last decided."""
        taken = sorted(self._hop.runs.steps(run.id).items(), key=lambda step: step[1].index)
        return [{"path": path, "tool": step.tool, "status": step.status} for path, step in taken]

    def _asked(self, run: Run) -> Request | None:
        """The oldest question to people that a run waits for."""
        mine = f"{run.id}/"
        asked = (r for r in self._rooms.approvals.all() if r.state == "asked")
        return next((each for each in asked if each.key.step.startswith(mine)), None)


def task_flow(agent: str) -> str:
    """The name of the flow that a task with this agent is a run of; no file can define it."""
    return f"{SERVER}.{agent}"


def agent_of(flow: str) -> str | None:
    """The agent of a task, by the name of its flow; None for any other flow."""
    server, _, agent = flow.partition(".")
    return agent if server == SERVER and agent else None


def unknown_agent() -> RunRefused:
    """There is no such agent, or it is not for this caller."""
    return RunRefused("agent.unknown", "there is no such agent for you")

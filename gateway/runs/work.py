"""Work: what workers ask of the gateway for the runs that they carry.

A worker does what a flow says to do next and nothing else: each step of it is had done here, by the
gate, in the run's own name. What a worker may ask is bound to the runs that its queue gave it and
that it carries at this moment; for each it is given the key that its checkpoints are sealed with,
and no other. A step that two ask for, since one took the run over from the other, is one step.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from audit.canonical import Json
from gateway.action import Outcome
from gateway.runs.carriers import BEAT_S, Carriers
from gateway.runs.errors import RunRefused
from gateway.runs.hop import Hop
from gateway.runs.progress import Saying
from gateway.runs.step import Step

Executor = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Text = Annotated[str, Field(max_length=4096)]
T = TypeVar("T")


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    executor: Executor


class Beat(_Asked):
    """A worker is there, for these pools."""

    pools: Annotated[list[Text], Field(min_length=1, max_length=64)]


class Leave(_Asked):
    """A worker goes away."""


class _OfRun(_Asked):
    run: Text


class Claim(_OfRun):
    """A worker was given a run by its queue."""


class Deliver(_OfRun):
    """See `Hop.deliver`."""

    grant: Text
    path: Text
    server: Text
    tool: Text
    args: dict[str, JsonValue]
    until_s: int
    refers: int | None = None
    opens: bool = True

    @property
    def step(self) -> Step:
        """The step that is to be done."""
        args: dict[str, Json] = self.args
        place = self.run, self.grant, self.path
        return Step(*place, self.server, self.tool, args, self.until_s, self.refers, self.opens)


class Whole(_OfRun):
    """See `Hop.whole`."""

    grant: Text
    value: JsonValue


class HandOn(_OfRun):
    """See `Hop.hand_on`."""

    grant: Text
    path: Text
    agent: Text


class Narrow(_OfRun):
    """See `Hop.narrow`."""

    grant: Text
    path: Text
    tools: Annotated[list[Text], Field(max_length=1000)]


class Tools(_OfRun):
    """See `Hop.tools`."""

    grant: Text
    names: Annotated[list[Text], Field(max_length=1000)]


class Sleep(_OfRun):
    """See `Hop.sleep`."""

    path: Text
    until_s: int


class CutOff(_OfRun):
    """See `Hop.cut`."""

    path: Text
    won: Annotated[list[Text], Field(max_length=1000)]
    lost: Annotated[list[Text], Field(max_length=1000)]


class Say(_OfRun):
    """See `Hop.say`."""

    saying: Saying


class End(_OfRun):
    """See `Hop.end`."""

    result: Text
    detail: Text
    output: JsonValue


class Queues(Protocol):
    """What is to be known of the queues."""

    async def carrier(self, run: str) -> tuple[str, str] | None:
        """Executor and pool of a run that was given to a worker and has not ended."""


class Work:
    """Answers the workers of one gateway.

    key_of  the key of a run's checkpoints
    """

    def __init__(
        self, hop: Hop, carriers: Carriers, queues: Queues, key_of: Callable[[str], bytes]
    ) -> None:
        self._hop = hop
        self.carriers = carriers
        self._queues = queues
        self._key_of = key_of
        self._steps: dict[tuple[str, str], tuple[Step, asyncio.Task[Outcome]]] = {}
        self._handing: dict[tuple[str, str], asyncio.Task[Outcome | None]] = {}
        self._waiting: set[asyncio.Future[Any]] = set()
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Let nobody wait any longer: the gateway ends, and workers ask the next start."""
        self._closed.set()
        for waiting in self._waiting:
            waiting.cancel()

    async def beat(self, agent: str, asked: Beat) -> Json:
        """Renew the lease of a worker. Raises RunRefused."""
        self.carriers.beat(agent, asked.executor, asked.pools)
        return {"now": self._hop.now_s, "again": BEAT_S}

    async def leave(self, agent: str, asked: Leave) -> Json:
        """Let others have what this worker carried. Raises RunRefused."""
        self.carriers.leave(agent, asked.executor)
        return {}

    async def claim(self, agent: str, asked: Claim) -> Json:
        """What is needed to carry a run that the queue gave to this worker. Raises RunRefused."""
        given = await self._queues.carrier(asked.run)
        if given is None or given[0] != asked.executor:
            raise RunRefused("run.not-carried", "no queue gave this worker the run")
        self.carriers.take(agent, asked.executor, given[1], asked.run)
        await self._hop.carried(asked.run, given[1], by=f"worker:{agent}/{asked.executor}")
        reused: list[Json] = list(self._hop.runs.reused(asked.run))
        return {"key": self._key_of(asked.run).hex(), "reused": reused}

    async def deliver(self, agent: str, asked: Deliver) -> Json:
        """Have a step done, however long that takes. Raises RunRefused."""
        self._check(agent, asked)
        outcome = await self._awaited(lambda: asyncio.shield(self._delivering(asked.step)))
        self.carriers.check(agent, asked.executor, asked.run)  # it may be another's by now
        place = asked.run, asked.path
        said: dict[str, Json] = {"asked": self._hop.asked(*place)}
        return {**_told(outcome), **said, "repeats": self._hop.repeats(*place)}

    async def whole(self, agent: str, asked: Whole) -> Json:
        """A value with what its references stand for. Raises RunRefused."""
        self._check(agent, asked)
        value: Json = asked.value
        return {"value": await self._hop.whole(asked.run, asked.grant, value)}

    async def hand_on(self, agent: str, asked: HandOn) -> Json:
        """Let an agent go on in its own name. Raises RunRefused."""
        self._check(agent, asked)
        place = asked.run, asked.grant, asked.path
        return await self._granted(asked, lambda: self._hop.hand_on(*place, asked.agent))

    async def narrow(self, agent: str, asked: Narrow) -> Json:
        """Let no more than these tools be used. Raises RunRefused."""
        self._check(agent, asked)
        place = asked.run, asked.grant, asked.path
        return await self._granted(asked, lambda: self._hop.narrow(*place, asked.tools))

    async def tools(self, agent: str, asked: Tools) -> Json:
        """Tools that may be seen. Raises RunRefused."""
        self._check(agent, asked)
        return {"tools": await self._hop.tools(asked.run, asked.grant, asked.names)}

    async def sleep(self, agent: str, asked: Sleep) -> Json:
        """Wait. Raises RunRefused."""
        self._check(agent, asked)
        place = asked.run, asked.path
        return {"slept": await self._awaited(lambda: self._hop.sleep(*place, asked.until_s))}

    async def cut(self, agent: str, asked: CutOff) -> Json:
        """End a race. Raises RunRefused."""
        self._check(agent, asked)
        won = await self._hop.cut(asked.run, asked.path, asked.won, asked.lost)
        return {"won": list[Json](won)}

    async def say(self, agent: str, asked: Say) -> Json:
        """Let whoever watches a run know how far it is. Raises RunRefused."""
        self._check(agent, asked)
        await self._hop.say(asked.run, asked.saying)
        return {}

    async def end(self, agent: str, asked: End) -> Json:
        """Say how a run ended. Raises RunRefused."""
        self._check(agent, asked)
        output: Json = asked.output
        await self._hop.end(asked.run, asked.result, asked.detail, output)
        return {}

    async def _awaited(self, begin: Callable[[], Awaitable[T]]) -> T:
        """What can take as long as people do, while the gateway is there. Raises RunRefused."""
        if self._closed.is_set():
            raise RunRefused("run.later", "the gateway is ending")
        waiting = asyncio.ensure_future(begin())
        self._waiting.add(waiting)
        try:
            return await waiting
        except asyncio.CancelledError:
            me = asyncio.current_task()
            gone = me is not None and me.cancelling()  # the worker, before the gateway
            if gone or not self._closed.is_set():
                raise
            raise RunRefused("run.later", "the gateway is ending") from None
        finally:
            self._waiting.discard(waiting)

    def _delivering(self, step: Step) -> asyncio.Task[Outcome]:
        place = step.run, step.path
        same, task = self._steps.get(place, (step, None))
        if same != step:
            raise RunRefused("run.twice", f"another step {step.path} is under way")
        if task is None:
            task = asyncio.create_task(self._hop.deliver(step))
            self._steps[place] = step, task
            task.add_done_callback(lambda _: self._steps.pop(place))
        return task

    async def _granted(
        self, asked: HandOn | Narrow, grant: Callable[[], Coroutine[Any, Any, Outcome | None]]
    ) -> Json:
        """What came of what is given at a place, given once however often it is asked for."""
        place = asked.run, asked.path
        task = self._handing.get(place)
        if task is None:
            task = self._handing[place] = asyncio.create_task(grant())
            task.add_done_callback(lambda _: self._handing.pop(place))
        refused = await asyncio.shield(task)
        return {"refused": None if refused is None else _told(refused)}

    def _check(self, agent: str, asked: _OfRun) -> None:
        self.carriers.heard(agent, asked.executor)
        self.carriers.check(agent, asked.executor, asked.run)


Answer = Callable[[Work, str, Any], Awaitable[Json]]

VERBS: Mapping[str, tuple[type[BaseModel], Answer]] = {
    "beat": (Beat, Work.beat),
    "leave": (Leave, Work.leave),
    "claim": (Claim, Work.claim),
    "deliver": (Deliver, Work.deliver),
    "whole": (Whole, Work.whole),
    "hand-on": (HandOn, Work.hand_on),
    "narrow": (Narrow, Work.narrow),
    "tools": (Tools, Work.tools),
    "sleep": (Sleep, Work.sleep),
    "cut": (CutOff, Work.cut),
    "say": (Say, Work.say),
    "end": (End, Work.end),
}
"""What workers can ask, each with the model that it takes."""


def _told(outcome: Outcome) -> dict[str, Json]:
    return {
        "status": outcome.status,
        "code": outcome.code,
        "text": outcome.text,
        "result": outcome.result,
    }

"""Triggers: those of the policy in force, looked after.

Each starts runs that act as their flow's own agent. What a message says is untrusted, and so is
what an entry says. However triggers lead to each other, the chain has an end: a run knows how many
led to it. Of one moment, message or entry there is one run, whatever happens in between; in a fleet
the database that its gateways share says whose it is.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import structlog

from audit.canonical import Json
from audit.entry import Entry
from audit.errors import AuditError
from audit.log import Log
from audit.query import Query
from gateway.background import in_background
from gateway.errors import GatewayError
from gateway.operator.columns import COLUMNS
from gateway.recorder import Recorder
from gateway.runs.errors import RunRefused
from gateway.runs.run import Cause, Run
from gateway.runs.runs import Runs
from gateway.runs.service import RunService
from gateway.triggers.heard import Heard, Place
from gateway.world import Worlds
from policies.schedule import last_at
from policies.snapshot import UNTRUSTED
from policies.trigger import QUALIFIERS, Trigger

log = structlog.get_logger(__name__)

MOST_DEPTH = 3
"""How many triggers may lead to a run, one from another."""

MOST_RUNS = 100
"""Runs of one trigger that may go on at a time."""

LATE_S = 120
"""After so many seconds a moment counts as missed."""

LOOK_EVERY_S = 1.0
CHUNK = 500
WRITE_EVERY = 5000
"""After so many entries in which there was nothing, that is written down."""

Claim = Callable[[str, int], bool]
"""Takes an event for this gateway, at a second; False when another of the fleet has it. Blocks."""


class Triggers:
    """The triggers of one gateway.

    claim  None where there is no fleet
    """

    def __init__(
        self,
        entries: Log,
        recorder: Recorder,
        heard: Heard,
        runs: Runs,
        worlds: Worlds,
        service: RunService,
        claim: Claim | None,
    ) -> None:
        self._entries = entries
        self._recorder = recorder
        self._heard = heard
        self._runs = runs
        self._worlds = worlds
        self._service = service
        self._claim = claim

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look after schedules and entries until the context is left."""
        async with in_background(self._run()):
            yield

    def all(self) -> Mapping[str, Trigger]:
        """The triggers in force, by name."""
        return self._worlds.current.snapshot.triggers

    async def message(self, name: str, message: str, payload: Json) -> Run:
        """A message for a trigger was checked: the run that it starts, or has started before.

        Raises RunRefused, FleetUnavailable and AuditUnavailable.
        """
        trigger = self.all()[name]
        labels = frozenset[str]() if trigger.payload == "trusted" else UNTRUSTED
        cause = Cause(name, f"message:{message}", 1)
        earlier = self._runs.started_as(f"trigger:{name}", trigger.flow, cause.event)
        return earlier or await self._start(trigger, payload, cause, labels)

    # -- the clock and the log --------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            for name, trigger in self.all().items():
                try:
                    await self._look(name, trigger)
                except (AuditError, GatewayError, OSError) as error:
                    log.warning("trigger.delayed", trigger=name, reason=type(error).__name__)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self, name: str, trigger: Trigger) -> None:
        if trigger.schedule is not None:
            await self._look_at_clock(name, trigger, trigger.schedule)
        if trigger.entry is not None:
            await self._look_at_entries(name, trigger, trigger.entry)

    async def _look_at_clock(self, name: str, trigger: Trigger, schedule: str) -> None:
        now_s = self._recorder.now() // 1_000_000
        place, due = self._heard.get(name), last_at(schedule, now_s)
        if place is None or place.tick is None:  # it is new: it counts from now on
            await self._read(name, Place(tick=now_s))
        elif due > place.tick and now_s - due > LATE_S and trigger.missed == "skip":
            log.warning("trigger.missed", trigger=name, moment=due)
            await self._read(name, Place(tick=due))
        elif due > place.tick:
            await self._answer(trigger, trigger.input, Cause(name, f"tick:{due}", 1), frozenset())

    async def _look_at_entries(self, name: str, trigger: Trigger, text: str) -> None:
        place, size = self._heard.get(name), self._entries.size
        if place is None or place.next is None:
            await self._read(name, Place(next=size))
            return
        query = Query.parse(text, names=QUALIFIERS, now=0)
        for start in range(place.next, size, CHUNK):
            found = await asyncio.to_thread(self._matching, query, start, min(start + CHUNK, size))
            for entry in found:
                cause = Cause(name, f"entry:{entry.index}", self._depth(entry.body) + 1)
                await self._answer(trigger, _told(entry), cause, UNTRUSTED)
        last = self._heard.get(name)
        if last is not None and last.next is not None and size - last.next >= WRITE_EVERY:
            await self._read(name, Place(next=size))

    def _matching(self, query: Query, start: int, stop: int) -> list[Entry]:
        return [e for e in self._entries.entries(start, stop) if query.matches(e.body, _COLUMNS)]

    def _depth(self, body: Mapping[str, Any]) -> int:
        """How many triggers led to an entry: those of the run that it is of."""
        run = self._runs.find(str(body.get("run"))) or self._runs.in_session(
            str(body.get("session"))
        )
        return 0 if run is None or run.cause is None else run.cause.depth

    # -- one event --------------------------------------------------------------------------

    async def _answer(
        self, trigger: Trigger, given: Json, cause: Cause, labels: frozenset[str]
    ) -> None:
        """Start what an event wants, or record why not: it is not looked at again."""
        try:
            await self._start(trigger, given, cause, labels)
        except RunRefused as error:
            if error.code == "trigger.busy":  # later, perhaps
                raise
            fields: dict[str, Json] = {**cause.to_json(), "flow": trigger.flow, "code": error.code}
            await self._recorder.write("trigger.refused", fields, reserved=False)

    async def _start(
        self, trigger: Trigger, given: Json, cause: Cause, labels: frozenset[str]
    ) -> Run:
        if cause.depth > MOST_DEPTH:
            raise RunRefused("trigger.depth", f"more than {MOST_DEPTH} triggers led to this")
        going_on = [
            run
            for run in self._runs.all()
            if run.state != "ended" and run.by == f"trigger:{cause.trigger}"
        ]
        if len(going_on) >= MOST_RUNS:
            raise RunRefused("trigger.busy", f"{MOST_RUNS} runs of this trigger go on already")
        if not await self._claimed(cause):
            raise RunRefused("trigger.elsewhere", "another gateway of the fleet answers this")
        return await self._service.triggered(trigger.flow, given, cause, labels=labels)

    async def _claimed(self, cause: Cause) -> bool:
        """Whether an event is this gateway's to answer; entries are, each has a log of its own."""
        if self._claim is None or cause.event.startswith("entry:"):
            return True
        now_s = self._recorder.now() // 1_000_000
        return await asyncio.to_thread(self._claim, f"{cause.trigger} {cause.event}", now_s)

    async def _read(self, name: str, place: Place) -> None:
        fields: dict[str, Json] = {"trigger": name, "next": place.next, "tick": place.tick}
        await self._recorder.write("trigger.read", fields)


def _told(entry: Entry) -> Json:
    """What a run is told of an entry: where it stands, and by what entries are told apart."""
    told: dict[str, Json] = {"index": entry.index, "id": entry.body["id"]}
    for name, column in COLUMNS.items():
        value = column(entry.body)
        if isinstance(value, str):
            told[name] = value
    return {**told, "kind": entry.body["kind"]}


_COLUMNS = {
    **COLUMNS,
    "kind": lambda body: str(body["kind"]),
    "id": lambda body: str(body["id"]),
    "boot": lambda body: str(body["boot"]),
}

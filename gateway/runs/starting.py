"""Starting: how a run begins, and in whose name.

A run that a person or a trigger starts acts as its flow's own agent, in a clean session. One that
an agent starts acts as that agent, with no right that its credential lacks, in a session below the
agent's own: it has the agent's labels and purpose, counts among its children, and ends with it.
"""

import asyncio
from dataclasses import dataclass

from audit.canonical import Json
from gateway.identity import scopes
from gateway.links.jsonrpc import dump
from gateway.principal import Principal
from gateway.rooms import Rooms
from gateway.runs.errors import RunRefused
from gateway.runs.run import UNDO, Cause, Forked, Grant, Run
from gateway.runs.runs import Runs
from gateway.runs.standing import Standing
from gateway.session.opening import Opening

MAX_INPUT = 64 * 1024
"""Longest input of a run, in bytes: it is kept sealed in the log (`gateway.recorder`)."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a run begins with.

    digest      of the flow as it is now, hex
    agent       in whose name it acts; the policy in force must name it
    by, key     see `gateway.runs.run.Run`
    lifetime_s  how long it may take at most, waiting for people included
    caller      the agent that starts it, as which it then acts; None: a person or a trigger does
    forked      the run that it goes on from, and where; None: it begins at the beginning
    instead     the value that the first step of a fork is given; (): what it would have had
    cause       the trigger that starts it; None: a person or an agent does
    takes_back  what the run has done is to be taken back when it fails
    labels      of what it is given
    most        what a run of a caller may be used for, of what the caller may
    """

    flow: str
    digest: str
    agent: str
    by: str
    key: str | None
    input: Json
    lifetime_s: int
    caller: Principal | None = None
    most: scopes.Scopes = scopes.ALL
    forked: Forked | None = None
    instead: tuple[Json, ...] = ()
    cause: Cause | None = None
    labels: frozenset[str] = frozenset()
    takes_back: bool = False


class Starting:
    """Begins runs."""

    def __init__(self, rooms: Rooms, runs: Runs, standing: Standing) -> None:
        self._rooms = rooms
        self._runs = runs
        self._standing = standing
        self._under_way: dict[tuple[str, str, str], asyncio.Task[Run]] = {}

    async def start(self, start: Start) -> Run:
        """Begin a run, in a session of its own; the same start again is the same run.

        Raises RunRefused and AuditUnavailable, for a caller DelegationRefused and SessionEnded
        too; then there is no run.
        """
        words = self._checked(start)
        if start.key is None:
            return await self._begun(start, words)
        place = (start.by, start.flow, start.key)
        earlier = self._runs.started_as(*place)
        if earlier is not None:
            return earlier
        beginning = self._under_way.get(place)
        if beginning is None:  # one for all that come at once
            beginning = self._under_way[place] = asyncio.create_task(self._begun(start, words))
            beginning.add_done_callback(lambda _: self._under_way.pop(place))
        return await asyncio.shield(beginning)

    def _checked(self, start: Start) -> bytes:
        """What the run is given, as it is kept."""
        if start.agent not in self._rooms.worlds.current.snapshot.agents:
            raise RunRefused("run.agent", f"no policy in force names the agent {start.agent}")
        words = dump(_given(start))
        if len(words) > MAX_INPUT:
            raise RunRefused("run.input", f"the input is longer than {MAX_INPUT} bytes")
        return words

    async def _begun(self, start: Start, words: bytes) -> Run:
        grant, opening = await self._granted(start)
        run_id = self._rooms.recorder.new_id()
        fields: dict[str, Json] = {
            "run": run_id,
            "flow": start.flow,
            "digest": start.digest,
            "by": start.by,
            "key": start.key,
            "caller": None if start.caller is None else start.caller.session,
            **grant.to_json(),
        }
        if start.cause is not None:
            fields["cause"] = start.cause.to_json()
        if start.takes_back:
            fields["on_failure"] = UNDO
        if start.forked is not None:
            fields["forked"] = start.forked.to_json()
        started = self._rooms.recorder.write_sealed(
            "run.started", fields, subject=grant.user or grant.agent, name="input", words=words
        )
        if opening is not None:
            await opening  # its entry stands before the run's, and becomes durable with it
        await started
        return self._runs.get(run_id)

    async def _granted(self, start: Start) -> tuple[Grant, Opening | None]:
        """In whose name the run acts, and what opens its session where that is not open yet."""
        if start.caller is not None:
            lent = await self._standing.of_caller(start.caller, start.most, start.lifetime_s)
            return lent, None
        opening = self._rooms.openings.clean(
            start.agent,
            None,
            by=start.by,
            lifetime_s=start.lifetime_s,
            labels=start.labels | self._brought(start.forked),
        )
        hops = self._rooms.worlds.current.snapshot.delegation.max_hops
        return Grant(start.agent, opening.id, (), scopes.ALL, hops), opening

    def _brought(self, forked: Forked | None) -> frozenset[str]:
        """Labels of what a fork takes over: they lie on the whole tree that it was read in."""
        run = None if forked is None else self._runs.find(forked.run)
        session = None if run is None else self._rooms.sessions.get(run.session)
        return frozenset() if session is None else session.labels


def _given(start: Start) -> Json:
    """What is kept of what a run was started with."""
    if start.forked is None:
        return start.input
    given: dict[str, Json] = {"input": start.input}
    return given | ({"instead": start.instead[0]} if start.instead else {})

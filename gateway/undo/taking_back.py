"""Taking back: rollbacks, one call after the other, the last that acted first.

A rollback ends the sessions that it is of, so that nothing is added meanwhile. Then each deed is
taken back by the call that the policy states for it: a call like any other, decided, perhaps asked
about, recorded and forwarded once, in the name of whoever made the first one and with no other
right. Where there is no such call, where it is refused or fails, or where nobody can tell what came
of it, the rollback stops for a person, who lets it try again or leaves that deed as it is.

What has been taken back stands in the log, so a rollback goes on after a crash by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import structlog

from audit.canonical import Json
from audit.errors import AuditError
from audit.index import Index
from gateway.background import in_background
from gateway.idempotency import is_remembered
from gateway.identity.minting import Mint
from gateway.rooms import Rooms
from gateway.runs.run import Run
from gateway.runs.runs import Runs
from gateway.runs.steps import Taken
from gateway.undo.compensation import arguments, sealed
from gateway.undo.deeds import Deed, deeds
from gateway.undo.errors import RollbackRefused
from gateway.undo.failures import Failures
from gateway.undo.rollback import Rollback, again
from gateway.undo.rollbacks import Rollbacks
from gateway.undo.standing_in import Call, StandingIn
from policies.register import Undo

log = structlog.get_logger(__name__)

RECORD_AGAIN_S = 5.0
SETTLE_EVERY_S = 0.05


class _Stop(Exception):
    """A person has to look; the message says at what."""


class TakingBack:
    """Rollbacks of one gateway, each in the background.

    index  where the log is searched for what was done
    """

    def __init__(
        self, rooms: Rooms, rollbacks: Rollbacks, runs: Runs, mint: Mint, index: Index
    ) -> None:
        self._rooms = rooms
        self._rollbacks = rollbacks
        self._runs = runs
        self._index = index
        self._standing_in = StandingIn(rooms, mint)
        self._tasks: set[asyncio.Task[None]] = set()
        self._one_order = asyncio.Lock()  # two at once must not take the same back twice

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take up what was under way, and go on until the context is left."""
        for each in self._rollbacks.all():
            if each.state == "running":
                self._go_on(each.id)
        failures = Failures(self._runs, self._rollbacks, self._rooms.sessions, self._of_run)
        try:
            async with in_background(failures.answer()):
                yield
        finally:
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def begin(self, session_id: str, *, by: str, run: str | None = None) -> Rollback:
        """Take back what was done in a session and in all below it; they end with that.

        One that was ordered before is the same one.

        Raises RollbackRefused and AuditUnavailable.
        """
        async with self._one_order:
            ids = self.sessions(session_id)
            earlier = self._rollbacks.of(session_id)
            if earlier is not None:
                return earlier
            if any(set(ids) & set(each.sessions) for each in self._open()):
                message = "another rollback is of these sessions too"
                raise RollbackRefused("rollback.overlaps", message)
            return await self._begun(ids, by=by, run=run)

    async def resume(
        self, rollback_id: str, *, by: str, leave: bool, reason: str, seen: str | None = None
    ) -> Rollback:
        """Let a rollback go on that stopped: it tries again, or leaves the deed as it is.

        seen  the deed at which it was seen to have stopped; None: wherever it has

        Raises RollbackRefused and AuditUnavailable.
        """
        async with self._one_order:
            found = self._known(rollback_id)
            if found.state != "stopped":
                raise RollbackRefused("rollback.state", f"this rollback is {found.state}")
            if seen not in {None, found.at}:
                raise RollbackRefused("rollback.changed", "it has stopped at another call since")
            left = found.at if leave else None
            await self._rooms.recorder.write_sealed(
                "rollback.resumed",
                {"rollback": rollback_id, "by": by, "left": left},
                subject=by.removeprefix("operator:"),
                name="reason",
                words=reason.encode(),
            )
            self._go_on(rollback_id)
            return self._known(rollback_id)

    def sessions(self, session_id: str) -> tuple[str, ...]:
        """A session and all below it. Raises RollbackRefused when it is no longer known."""
        sessions = self._rooms.sessions
        if sessions.get(session_id) is None:
            raise RollbackRefused("rollback.session", "there is no such session any more")
        return session_id, *(each.id for each in sessions.below(session_id))

    def hindrance(self, deed: Deed) -> str | None:
        """Why a person has to look at a deed, as far as that is plain beforehand; else None.

        Whether the policy allows what takes it back, and what that comes to, shows when it is made.
        """
        if self.undo_of(deed.tool) is None:
            return _nothing_takes_back(deed.tool)
        if not deed.done and not (deed.key and self._remembers(deed.tool, deed.keyed)):
            return _nobody_knows(deed.tool)
        return None

    def undo_of(self, tool: str) -> Undo | None:
        """What takes a call of this tool back; None: nothing does."""
        rule = self._rooms.worlds.current.snapshot.tools.get(tool)
        return None if rule is None else rule.undo

    async def deeds(self, sessions: Iterable[str]) -> tuple[Deed, ...]:
        """What is to be taken back of these sessions, in that order. Raises as `deeds.deeds`."""
        tools = self._rooms.worlds.current.snapshot.tools

        def reads(tool: str) -> bool:
            return tool in tools and tools[tool].risk == "read"

        until, hands_on = self._rooms.recorder.size, self._runs.hands_on
        return await asyncio.to_thread(
            deeds, self._index, sessions, until=until, reads=reads, hands_on=hands_on
        )

    # -- one rollback -----------------------------------------------------------------------

    async def _of_run(self, run: Run) -> Rollback:
        return await self.begin(run.session, by=f"run:{run.id}", run=run.id)

    async def _begun(self, sessions: tuple[str, ...], *, by: str, run: str | None) -> Rollback:
        session = self._rooms.sessions.get(sessions[0])
        if session is not None and not session.ended:
            await self._rooms.sessions.end(session.id, by=by)
        rollback_id = self._rooms.recorder.new_id()
        fields: dict[str, Json] = {
            "rollback": rollback_id,
            "session": sessions[0],
            "sessions": [*sessions],
            "run": run,
            "by": by,
        }
        await self._rooms.recorder.write("rollback.started", fields)
        self._go_on(rollback_id)
        return self._known(rollback_id)

    def _go_on(self, rollback_id: str) -> None:
        task = asyncio.create_task(self._run(rollback_id), name=f"rollback {rollback_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, rollback_id: str) -> None:
        """Take all back, or stop; what cannot be recorded is tried again until it can be."""
        while True:
            try:
                return await self._taken_back(self._known(rollback_id))
            except (AuditError, OSError, RollbackRefused) as error:
                log.warning("rollback.delayed", rollback=rollback_id, reason=type(error).__name__)
            await asyncio.sleep(RECORD_AGAIN_S)

    async def _taken_back(self, rollback: Rollback) -> None:
        await self._settled(rollback)
        todo = await self.deeds(rollback.sessions)
        for deed in todo:
            if self._rollbacks.is_over(deed.call):
                continue
            try:
                await self._take_back(rollback, deed)
            except _Stop as stop:
                await self._standing_in.leave(rollback)
                fields = {"rollback": rollback.id, "call": deed.call, "why": str(stop)}
                await self._rooms.recorder.write("rollback.stopped", fields)
                return
        await self._standing_in.leave(rollback)
        await self._rooms.recorder.write("rollback.ended", {"rollback": rollback.id})

    async def _settled(self, rollback: Rollback) -> None:
        """Wait until no call of these sessions is under way: their ends have cut them short."""
        sessions = frozenset(rollback.sessions)
        while any(  # noqa: ASYNC110 - nothing tells of it, and it takes no longer than a call
            call.session in sessions for call in self._rooms.calls.unfinished
        ):
            await asyncio.sleep(SETTLE_EVERY_S)

    async def _take_back(self, rollback: Rollback, deed: Deed) -> None:
        undo = self.undo_of(deed.tool)
        if undo is None:
            raise _Stop(_nothing_takes_back(deed.tool))
        settled = deed.settled if deed.done else await self._found_out(rollback, deed)
        if settled is None:
            return
        args = arguments(undo, deed, settled, self._rooms.recorder)
        if args is None:
            raise _Stop(f"{undo.tool} needs a value that {deed.tool} did not give, or is gone")
        await self._made(rollback, deed, Call(undo.tool, args, deed.call))

    async def _found_out(self, rollback: Rollback, deed: Deed) -> int | None:
        """Where it stands what a deed came to of which nobody knew that; None: it did nothing."""
        place = again(deed.call)
        words = sealed(self._rooms.recorder, deed.decided, "args")
        if deed.key is None or not isinstance(words, dict):
            raise _Stop(_nobody_knows(deed.tool))
        taken = self._rollbacks.steps(rollback.id).get(place)
        if taken is None or taken.status != "done":
            if not self._remembers(deed.tool, deed.keyed):
                raise _Stop(_nobody_knows(deed.tool))
            taken = await self._made(
                rollback, deed, Call(deed.tool, words, place, deed.key), may_fail=True
            )
        return taken.outcome if taken.status == "done" else None

    async def _made(
        self, rollback: Rollback, deed: Deed, call: Call, *, may_fail: bool = False
    ) -> Taken:
        """Make a call of the rollback. Raises _Stop for anything but its being done."""
        before = self._rollbacks.steps(rollback.id).get(call.place)
        is_open = before is not None and before.status in {"under way", "unknown"}
        if is_open and not self._remembers(call.tool, before.keyed if before else None):
            raise _Stop(_nobody_knows(call.tool))
        outcome = await self._standing_in.make(rollback, deed, call)
        taken = self._rollbacks.steps(rollback.id).get(call.place)
        if taken is not None and outcome.status == "done":
            return taken
        if taken is not None and outcome.status == "error" and may_fail:
            return taken
        raise _Stop(f"{call.tool}: {outcome.code or outcome.status}")

    def _remembers(self, tool: str, keyed: int | None) -> bool:
        rule = self._rooms.worlds.current.snapshot.tools.get(tool)
        now_s = self._rooms.recorder.now() // 1_000_000
        return rule is not None and is_remembered(rule.idempotency, keyed, now_s)

    def _open(self) -> tuple[Rollback, ...]:
        return tuple(each for each in self._rollbacks.all() if each.state != "ended")

    def _known(self, rollback_id: str) -> Rollback:
        found = self._rollbacks.get(rollback_id)
        if found is None:
            raise RollbackRefused("rollback.unknown", "there is no such rollback")
        return found


def _nothing_takes_back(tool: str) -> str:
    return f"nothing takes {tool} back"


def _nobody_knows(tool: str) -> str:
    return f"nobody knows whether {tool} acted"

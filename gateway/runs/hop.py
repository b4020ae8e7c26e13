"""Hops: how a run reaches anything at all.

Orchestration decides what to do next and has no rights, no credential and no socket. What it wants
done it gives to `Hop.deliver`, with the grant in whose name and the path of the step; here that
becomes an action that crosses the gate. A step that was made before is not made again: after a
crash its outcome is taken from the log, and one without an outcome stays unknown, unless it only
reads or its server acts once for the key that it was sent with. Where people are asked, the step
waits for them without asking the log or anybody again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from audit.canonical import Json
from audit.entry import Record
from audit.errors import AuditError
from gateway import answers
from gateway.action import Action, Outcome
from gateway.approval.request import OPEN
from gateway.catalogue.agents import PromptSpec
from gateway.errors import ApprovalRefused, SessionEnded
from gateway.gate import Gate
from gateway.identity.errors import DelegationRefused, ScopeInvalid
from gateway.identity.minting import Mint
from gateway.links.jsonrpc import dump
from gateway.rooms import Rooms
from gateway.runs.earlier import Earlier
from gateway.runs.errors import RunRefused
from gateway.runs.kept import Kept
from gateway.runs.made import MadeAgents, spec_of
from gateway.runs.progress import KIND, MOST_DATA, Saying
from gateway.runs.referring import Referring
from gateway.runs.results import Results
from gateway.runs.run import FACE, ROOT, Run, request_id
from gateway.runs.runs import Runs
from gateway.runs.standing import Standing
from gateway.runs.starting import Start, Starting
from gateway.runs.step import Step

_CANCELLED = Outcome("denied", "run.cancelled", "The run was cancelled; nothing has been done.")
_CUT = Outcome("denied", "run.cut", "This branch has lost its race; no further step of it is made.")
_ENDED = Outcome("denied", SessionEnded.code, "The session of this run has ended.")
_EXPIRED = Outcome("denied", "approval.expired", "Nobody answered in time; nothing has been done.")


class Hop:
    """The way of runs through the gate."""

    def __init__(
        self, rooms: Rooms, runs: Runs, mint: Mint, made: MadeAgents, results: Results
    ) -> None:
        self.runs = runs
        self._made = made
        self._rooms = rooms
        self._gate = Gate(rooms)
        self._standing = Standing(rooms, mint)
        self._starting = Starting(rooms, runs, self._standing)
        self.kept = Kept(rooms.recorder)
        self._referring = Referring(rooms, runs, self._standing, results)
        self._earlier = Earlier(rooms, runs, self._standing, self.kept, results)
        self._under_way: set[tuple[str, str]] = set()

    @property
    def now_s(self) -> int:
        """Seconds since 1970, by the log's clock."""
        return self._rooms.recorder.now() // 1_000_000

    async def start(self, start: Start) -> Run:
        """Begin a run; see `gateway.runs.starting.Starting`."""
        return await self._starting.start(start)

    def made(self, name: str) -> PromptSpec | None:
        """What an agent that another has made is made of; None when it is gone, or erased."""
        at = self._made.at(name)
        return None if at is None else spec_of(self._rooms.recorder, at)

    async def hand_on(self, run_id: str, grant: str, path: str, agent: str) -> Outcome | None:
        """Let `agent` act for the agent of `grant`, under `path`; at most once for each path.

        What it comes to, when it may not; then there is no grant at `path`.
        """
        run = self.runs.get(run_id)
        return await self._granted(
            run, path, agent, lambda: self._standing.hand_on(run, grant, path, agent)
        )

    async def narrow(
        self, run_id: str, grant: str, path: str, tools: Sequence[str]
    ) -> Outcome | None:
        """Let who acts under `grant` use no more than these tools under `path`.

        What it comes to, when that cannot be; then there is no grant at `path`.
        """
        run = self.runs.get(run_id)
        return await self._granted(
            run,
            path,
            run.grants[grant].agent,
            lambda: self._standing.narrow(run, grant, path, tools),
        )

    async def tools(self, run_id: str, grant: str, names: Sequence[str]) -> dict[str, Json]:
        """Those of the tools that may be seen in the name of a grant, by their published names.

        Nothing of them where that name is no more good for anything.
        """
        try:
            principal = await self._standing.principal(self.runs.get(run_id), grant)
        except (SessionEnded, AuditError):
            return {}
        return {
            tool.published: {
                "tool": tool.qualified,
                "description": tool.definition.get("description", ""),
                "schema": dict(tool.input_schema or {"type": "object"}),
            }
            for tool in self._gate.listing(principal)
            if tool.qualified in names
        }

    async def deliver(self, step: Step) -> Outcome:
        """Have a step done, once, and wait for it however long people take.

        Never raises for what a flow can cause; raises RunRefused when the run is unknown or the
        step is under way, which a defect of the engine alone can lead to.
        """
        place = step.run, step.path
        if place in self._under_way:
            raise RunRefused("run.twice", f"step {step.path} is under way")
        self._under_way.add(place)
        try:
            ready = await self._referring.ready(step)
            if isinstance(ready, Outcome):
                return ready
            outcome = await self._earlier.outcome(ready) or await self._delivered(ready)
            return await self._referring.referred(ready, outcome)
        except SessionEnded:
            return self._over(step.run)
        finally:
            self._under_way.discard(place)

    async def whole(self, run_id: str, grant: str, value: Json) -> Json:
        """A value with what its references stand for, for who acts under `grant`.

        Raises RunRefused where one leads nowhere in this run.
        """
        return await self._referring.whole(self.runs.get(run_id), grant, value)

    def reuses(self, run_id: str, path: str) -> bool:
        """Whether a fork takes a step over, instead of making it."""
        return path in self.runs.reused(run_id)

    def asked(self, run_id: str, path: str) -> bool:
        """Whether the step that was made there was authorised by people's answer."""
        taken = self.runs.steps(run_id).get(path)
        return taken is not None and taken.asked

    def repeats(self, run_id: str, path: str) -> bool:
        """Whether a step of which nobody knows what came of it may be made once more."""
        taken = self.runs.steps(run_id).get(path)
        return taken is not None and self._earlier.may_repeat(taken)

    async def sleep(self, run_id: str, path: str, until_s: int) -> bool:
        """Wait until then; False: the run was stopped before, or the branch that waits was cut."""
        while self.now_s < until_s and self.runs.get(run_id).is_open(path):
            await self._wait(self.runs.moved(run_id), until_s=until_s)
        return self.now_s >= until_s

    async def cut(
        self, run_id: str, path: str, won: Sequence[str], lost: Sequence[str]
    ) -> tuple[str, ...]:
        """Say that a race is over: no step of those that have lost begins from now on.

        Which have won: those that were recorded first, whoever asks again.

        Raises RunRefused while that cannot be recorded.
        """
        if path not in self.runs.get(run_id).cuts:
            fields: dict[str, Json] = {"run": run_id, "path": path}
            branches: dict[str, Json] = {"won": [*won], "lost": [*lost]}
            try:
                await self._rooms.recorder.write("run.cut", fields | branches)
            except AuditError as error:
                raise RunRefused(error.code, "the end of a race cannot be recorded") from error
        return self.runs.get(run_id).cuts[path].won

    async def say(self, run_id: str, saying: Saying) -> None:
        """Let whoever watches a run know how far it is. Raises RunRefused.

        It is written with the next entry. What was said before, or is one too many, is not again.
        """
        run, recorder = self.runs.get(run_id), self._rooms.recorder
        words = b"" if saying.data is None else dump(saying.data)
        if len(words) > MOST_DATA:
            raise RunRefused("run.event", f"what belongs to it has more than {MOST_DATA} bytes")
        if not run.is_open(saying.path) or not self.runs.progress.begins(run_id, saying):
            return
        fields, of = {"run": run_id, **saying.fields()}, run.grants[ROOT]
        record = Record(recorder.new_id(), KIND, fields)
        if words:
            whose = of.user or of.agent
            record = recorder.seal(record.id, KIND, fields, subject=whose, name="data", words=words)
        recorder.leave(record, "progress.lost")

    async def end(self, run_id: str, result: str, detail: str, output: Json) -> None:
        """Say how a run ended; its session ends with it. What ended before stays as it was.

        Raises RunRefused while that cannot be recorded.
        """
        try:
            await self._end(self.runs.get(run_id), result, detail, output)
        except AuditError as error:
            raise RunRefused(error.code, "the end of the run cannot be recorded") from error
        self._standing.forget(run_id)

    async def _end(self, run: Run, result: str, detail: str, output: Json) -> None:
        if run.state != "ended":
            fields: dict[str, Json] = {"run": run.id, "result": result, "detail": detail}
            await self._rooms.recorder.write_sealed(
                "run.ended",
                fields,
                subject=run.grants[ROOT].user or run.grants[ROOT].agent,
                name="output",
                words=dump(output),
            )

    async def carried(self, run_id: str, pool: str, *, by: str) -> None:
        """Record that a worker carries a run from now on. Raises RunRefused."""
        fields: dict[str, Json] = {"run": self.runs.get(run_id).id, "pool": pool, "by": by}
        try:
            await self._rooms.recorder.write("run.carried", fields)
        except AuditError as error:
            raise RunRefused(error.code, "who carries the run cannot be recorded") from error

    async def cancel(self, run_id: str, *, by: str) -> Run:
        """Stop a run: calls under way are cut short, and no further step is made.

        Raises RunRefused and AuditUnavailable.
        """
        run = await self.runs.move(run_id, "run.cancelled", by=by)
        session = self._rooms.sessions.get(run.session)
        if session is not None and not session.ended:
            await self._rooms.sessions.end(session.id, by=by)
        return run

    # -- one step ---------------------------------------------------------------------------

    async def _delivered(self, step: Step) -> Outcome:
        while True:
            run = self.runs.get(step.run)
            if not run.is_open(step.path):
                return _barred(run)
            if run.state == "paused":
                await self._wait(self.runs.moved(step.run), until_s=None)
                continue
            outcome = await self._crossed_in_turn(run, step)
            if outcome.status != "pending":
                return outcome
            over = await self._answered(outcome.approval, step) if outcome.approval else None
            if over is not None:
                return over

    async def _crossed_in_turn(self, run: Run, step: Step) -> Outcome:
        """Cross; where people have enough questions of this agent, again when it is its turn.

        It may still be pending without a question then: the turn was another's, or the run moved.
        """
        moved = self.runs.moved(step.run)
        outcome = await self._crossed(run, step)
        if outcome.status != "pending" or outcome.approval is not None:
            return outcome
        async with self._rooms.approvals.line.turn(run.grants[step.grant].agent) as turn:
            await self._wait(turn, moved, until_s=step.until_s)
            if turn.done() and not moved.done():
                return await self._crossed(run, step)
        return outcome if self.now_s < step.until_s else _EXPIRED

    async def _crossed(self, run: Run, step: Step) -> Outcome:
        try:
            principal = self._standing.acting(run, step.grant)
        except SessionEnded:
            return self._over(run.id)
        except AuditError:
            return answers.not_recorded(f"{step.server}.{step.tool}")
        place = request_id(step.run, step.path)
        name = f"{step.server}.{step.tool}"
        action = Action(
            step.server, step.tool, step.args, FACE, place, None, FACE, name, None, step.until_s
        )
        outcome = await self._gate.cross(principal, action)
        if outcome.call is not None:
            self._gate.delivered(outcome.call)
        return self._over(run.id) if outcome.code == SessionEnded.code else outcome

    async def _granted(
        self, run: Run, path: str, agent: str, give: Callable[[], Awaitable[None]]
    ) -> Outcome | None:
        """Let a grant be given at `path` unless one was; what that comes to, when it may not be.

        agent  who would act under it
        """
        if path in run.grants:
            return None
        try:
            await give()
        except DelegationRefused as refused:
            return Outcome("denied", refused.code, f"{agent} cannot be handed the work: {refused}.")
        except ScopeInvalid as invalid:
            return Outcome("denied", "run.contract", f"These tools cannot be lent: {invalid}.")
        except SessionEnded:
            return self._over(run.id)
        except AuditError:
            return answers.not_recorded(agent)
        return None

    def _over(self, run_id: str) -> Outcome:
        stopping = self.runs.get(run_id).state == "stopping"
        return _CANCELLED if stopping else _ENDED

    async def _answered(self, approval: str, step: Step) -> Outcome | None:
        """Wait until people have answered; None when the step is then to be tried again."""
        approvals = self._rooms.approvals
        if self.runs.get(step.run).is_open(step.path):  # it may have moved while it was asked
            moved = self.runs.moved(step.run)
            await self._wait(approvals.answered(approval), moved, until_s=step.until_s)
        request = approvals.get(approval)
        if request is not None and request.state == "asked":
            run = self.runs.get(step.run)
            if run.is_open(step.path) and self.now_s < step.until_s:
                return None
            with suppress(ApprovalRefused):  # it was answered in this moment, and nobody uses it
                await approvals.withdraw(approval, by=f"run:{step.run}")
            return _EXPIRED if run.is_open(step.path) else _barred(run)
        if request is None or request.state not in OPEN | {"denied"}:
            return _EXPIRED
        return None

    async def _wait(self, *until: "asyncio.Future[None]", until_s: int | None) -> None:
        left = None if until_s is None else max(0, until_s - self.now_s)
        await asyncio.wait(until, timeout=left, return_when=asyncio.FIRST_COMPLETED)


def _barred(run: Run) -> Outcome:
    """Why no step is made where none may be made any more."""
    return _CANCELLED if run.state in {"stopping", "ended"} else _CUT

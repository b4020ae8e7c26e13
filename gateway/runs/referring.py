"""Referring: references in what a step is given, and in the place of what it gives."""

from dataclasses import replace
from typing import cast

from audit.canonical import Json
from audit.entry import Receipt
from audit.errors import AuditError
from gateway import answers
from gateway.action import Outcome
from gateway.errors import MemoryRefused
from gateway.gate import Gate
from gateway.principal import Principal
from gateway.rooms import Rooms
from gateway.runs.errors import RunRefused
from gateway.runs.given import value_of
from gateway.runs.reference import id_of, references, told_in
from gateway.runs.results import Results
from gateway.runs.run import FACE, Run
from gateway.runs.runs import Runs
from gateway.runs.standing import Standing
from gateway.runs.step import Step


class Referring:
    """Puts results in the place of references before a step is decided, and the other way round."""

    def __init__(self, rooms: Rooms, runs: Runs, standing: Standing, results: Results) -> None:
        self._rooms = rooms
        self._gate = Gate(rooms)
        self._runs = runs
        self._standing = standing
        self._results = results

    async def whole(self, run: Run, grant: str, value: Json) -> Json:
        """A value with what its references stand for. Raises RunRefused; see `Results.opened`."""
        return await self._results.opened(run, run.grants[grant].session, value)

    async def ready(self, step: Step) -> Step | Outcome:
        """The step with what the references in its arguments stand for; why it is not made.

        Raises SessionEnded.
        """
        if not step.opens or next(references(step.args), None) is None:
            return step
        try:
            args = await self.whole(self._runs.get(step.run), step.grant, step.args)
        except RunRefused as refused:
            run = self._runs.get(step.run)
            return await self._nowhere(await self._standing.principal(run, step.grant), refused)
        return replace(step, args=cast("dict[str, Json]", args))

    async def _nowhere(self, who: Principal, refused: RunRefused) -> Outcome:
        await self._gate.refuse(who, FACE, refused.code, str(refused))
        return Outcome("refused", refused.code, str(refused))

    async def referred(self, step: Step, outcome: Outcome) -> Outcome:
        """What a step gave is kept where it is large, and referred to. Raises SessionEnded."""
        if step.refers is None or outcome.status != "done":
            return outcome
        value, run = value_of(outcome), self._runs.get(step.run)
        if len(told_in(value)) <= step.refers:
            return outcome
        made = {**self._runs.reused(step.run), **self._runs.steps(step.run)}
        entry = self._rooms.recorder.entry(made[step.path].index)
        if id_of(value) == self._results.named(entry.body["req"]["id"]):
            return outcome  # kept before; a server can write what looks like one, but not its id
        decision = Receipt(self._rooms.recorder.origin, entry.index, entry.leaf)
        try:
            who = await self._standing.principal(run, step.grant)
            return await self._results.keep(run, entry.body["req"]["id"], who, decision, value)
        except MemoryRefused as refused:
            return Outcome("error", "run.kept", f"What this step gave cannot be kept: {refused}")
        except (AuditError, OSError):
            return answers.not_recorded(f"{step.server}.{step.tool}")

"""Earlier: what the log says of a step that was made before, by this run or one it is forked from.

What was made is not made again. One that was authorised and has no outcome may have acted, and
stays unknown, unless it only reads or its server acts once for the key that it was sent with.
"""

from audit import canonical
from audit.errors import AuditError
from gateway import answers
from gateway.action import Outcome
from gateway.attempt import sees
from gateway.idempotency import is_remembered
from gateway.rooms import Rooms
from gateway.runs.kept import Kept
from gateway.runs.results import Results
from gateway.runs.runs import Runs
from gateway.runs.standing import Standing
from gateway.runs.step import Step
from gateway.runs.steps import Taken

_UNKNOWN = Outcome(
    "unknown",
    "upstream.unknown_outcome",
    "This step was under way when the gateway stopped. Whether it acted cannot be told.",
)
_ASTRAY = Outcome("refused", "run.fork", "The run made another call at this place than the fork.")
_LOST = Outcome("unknown", "run.result-lost", "This step was made; what it gave back is lost.")


class Earlier:
    """Looks steps up before they are made."""

    def __init__(
        self, rooms: Rooms, runs: Runs, standing: Standing, kept: Kept, results: Results
    ) -> None:
        self._rooms = rooms
        self._runs = runs
        self._standing = standing
        self._kept = kept
        self._results = results

    async def outcome(self, step: Step) -> Outcome | None:
        """What came of a step; None when it is to be made, or made again.

        Raises SessionEnded where nobody may have that any more.
        """
        taken = self._runs.steps(step.run).get(step.path)
        return await (self._reused(step) if taken is None else self._recorded(step, taken))

    def may_repeat(self, taken: Taken) -> bool:
        """Whether a step of which nobody knows what came of it may be made once more."""
        rule = self._rooms.worlds.current.snapshot.tools.get(taken.tool)
        if rule is None:
            return False
        now_s = self._rooms.recorder.now() // 1_000_000
        return rule.risk == "read" or is_remembered(rule.idempotency, taken.keyed, now_s)

    async def _recorded(self, step: Step, taken: Taken) -> Outcome | None:
        """What the log says of a step that was made before; None when it is to be made (again)."""
        if not taken.may_have_acted:
            return None
        outcome = self._kept.answer(taken)
        if outcome is None and taken.status == "done":  # too long for the log, and kept elsewhere
            outcome = await self._results.kept(self._runs.get(step.run), step.path)
        if outcome is None:
            if self.may_repeat(taken):
                return None
            return _UNKNOWN if taken.status in {"under way", "unknown"} else _LOST
        return await self._given(step, outcome)

    async def _reused(self, step: Step) -> Outcome | None:
        """What a fork takes over from the run that it comes from; None: the step is to be made."""
        taken = self._runs.reused(step.run).get(step.path)
        if taken is None or self._runs.get(step.run).state in {"stopping", "ended"}:
            return None
        args = self._kept.words(taken.index, "args")
        if taken.tool != f"{step.server}.{step.tool}" or args != canonical.write(step.args):
            return _ASTRAY
        return await self._recorded(step, taken)

    async def _given(self, step: Step, outcome: Outcome) -> Outcome:
        """An answer from the log, for who may still have it."""
        name = f"{step.server}.{step.tool}"
        try:
            principal = await self._standing.principal(self._runs.get(step.run), step.grant)
        except AuditError:
            return answers.not_recorded(name)
        bar = self._rooms.revocations.against(principal, name)
        if bar is not None:
            return answers.withheld(name, bar, step.path)
        if not sees(self._rooms.worlds.current, principal, name, self._rooms.recorder.now()):
            return answers.not_permitted(name, step.path)
        return outcome

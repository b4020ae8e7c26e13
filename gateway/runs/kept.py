"""Kept: what the log holds of steps that were made, and of what runs were started with."""

from dataclasses import dataclass
from typing import cast

from audit.canonical import Json
from audit.errors import SealBroken, SubjectErased
from gateway.action import Outcome, Status
from gateway.errors import NotUnderstood
from gateway.links.jsonrpc import read
from gateway.recorder import Recorder
from gateway.runs.errors import RunRefused
from gateway.runs.run import Run
from gateway.runs.starting import MAX_INPUT
from gateway.runs.steps import Taken


@dataclass(frozen=True, slots=True)
class Kept:
    """The words of steps and runs."""

    recorder: Recorder

    def words(self, index: int, name: str) -> bytes | None:
        """What entry `index` holds sealed; None where it is not kept, or was erased."""
        try:
            return self.recorder.words(index, name)
        except (SealBroken, SubjectErased):
            return None

    def answer(self, taken: Taken) -> Outcome | None:
        """The recorded answer of a step; None when there is none, or it is not kept."""
        if taken.outcome is None or taken.status not in {"done", "error"}:
            return None
        words = self.words(taken.outcome, "result")
        if words is None:
            return None
        try:
            result = read(words, max_bytes=len(words))
        except NotUnderstood:  # a refusal of the upstream, in our words
            return Outcome("error", "upstream.refused", words.decode())
        status: Status = "error" if taken.status == "error" else "done"
        return Outcome(status, None, "", cast("dict[str, Json]", result))

    def input(self, run: Run) -> Json:
        """What a run was started with. Raises RunRefused when it has been erased."""
        given = self._given(run)
        return given if run.forked is None else cast("dict[str, Json]", given)["input"]

    def instead(self, run: Run) -> dict[str, Json]:
        """What a fork gives to which step instead of what it would have had, by its path.

        Raises RunRefused as `input` does.
        """
        if run.forked is None:
            return {}
        given = cast("dict[str, Json]", self._given(run))
        return {run.forked.at: given["instead"]} if "instead" in given else {}

    def output(self, run: Run) -> Json:
        """What came out of a run; None while it goes on, and when it is not kept."""
        words = None if run.ended_at is None else self.words(run.ended_at, "output")
        return None if words is None else read(words, max_bytes=len(words))

    def _given(self, run: Run) -> Json:
        words = self.words(run.input_at, "input")
        if words is None:
            raise RunRefused("run.input", "what this run was started with has been erased")
        return read(words, max_bytes=MAX_INPUT)

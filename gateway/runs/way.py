"""The way: what a run needs of its gateway, here or from afar.

`gateway.runs.hop.Hop` is it within the gateway; a worker has `gateway.runs.away.Away`, which asks
the same over the network. Neither gives a run anything but the outcome of a step.
"""

from collections.abc import Sequence
from typing import Protocol

from gateway.action import Outcome
from gateway.runs.progress import Saying
from gateway.runs.run import Json
from gateway.runs.step import Step


class Way(Protocol):
    """How runs reach anything; see `Hop` for what each does."""

    @property
    def now_s(self) -> int:
        """Seconds since 1970, by the log's clock."""

    async def deliver(self, step: Step) -> Outcome:
        """Have a step done, once, and wait for it however long people take."""

    async def whole(self, run_id: str, grant: str, value: Json) -> Json:
        """A value with what its references stand for. Raises RunRefused."""

    def reuses(self, run_id: str, path: str) -> bool:
        """Whether a fork takes a step over, instead of making it."""

    def asked(self, run_id: str, path: str) -> bool:
        """Whether the step that was made there was authorised by people's answer."""

    def repeats(self, run_id: str, path: str) -> bool:
        """Whether a step of which nobody knows what came of it may be made once more."""

    async def hand_on(self, run_id: str, grant: str, path: str, agent: str) -> Outcome | None:
        """Let `agent` act for the agent of `grant`, under `path`; what it comes to, or None."""

    async def narrow(
        self, run_id: str, grant: str, path: str, tools: Sequence[str]
    ) -> Outcome | None:
        """Let no more than these tools be used under `path`; what it comes to, or None."""

    async def tools(self, run_id: str, grant: str, names: Sequence[str]) -> dict[str, Json]:
        """Those of the tools that may be seen in the name of a grant."""

    async def sleep(self, run_id: str, path: str, until_s: int) -> bool:
        """Wait until then; False: the run was stopped before, or the branch that waits was cut."""

    async def cut(
        self, run_id: str, path: str, won: Sequence[str], lost: Sequence[str]
    ) -> Sequence[str]:
        """Say that a race is over; which have won it. Raises RunRefused."""

    async def say(self, run_id: str, saying: Saying) -> None:
        """Let whoever watches a run know how far it is. Raises RunRefused."""

    async def end(self, run_id: str, result: str, detail: str, output: Json) -> None:
        """Say how a run ended. Raises RunRefused while that cannot be recorded."""

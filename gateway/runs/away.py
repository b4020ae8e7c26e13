"""Away: the way of a worker's runs to the gateway that they belong to.

What is asked of a run that this worker does not carry any more is never answered: then whatever
asks is let go of, as by a crash, and goes on where the run is now.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import cast

import structlog

from audit.canonical import Json
from gateway.action import Outcome
from gateway.errors import GatewayError
from gateway.runs.asking import Asking
from gateway.runs.errors import RunRefused
from gateway.runs.progress import Saying
from gateway.runs.step import Step

_NOT_CARRIED = "run.not-carried"

log = structlog.get_logger(__name__)


class Away:
    """One gateway, as its runs see it from a worker.

    asking  asks it, on the loop that runs are carried on
    clock   seconds that only grow
    """

    def __init__(self, asking: Asking, clock: Callable[[], float]) -> None:
        self.asking = asking
        self._clock = clock
        self._ahead = 0.0
        self._keys: dict[str, bytes] = {}
        self._reused: dict[str, frozenset[str]] = {}
        self._said: dict[str, dict[str, tuple[bool, bool]]] = {}  # by run and path

    # -- as a worker ------------------------------------------------------------------------

    async def appear(self) -> None:
        """Say that this worker is there. Raises RunRefused where it may not be."""
        self.tell(cast("int", (await self.asking.beat())["now"]))

    def tell(self, now_s: int) -> None:
        """Know what time it is by the log's clock; from any thread."""
        self._ahead = now_s - self._clock()

    async def leave(self) -> None:
        """Let others have the runs at once; where that cannot be said, the lease says it."""
        with suppress(GatewayError):
            await self.asking.once("leave", {})

    async def admit(self, run: str) -> None:
        """Carry a run that the queue gave, and its parts with it.

        Raises CancelledError where it is not given to this worker any more.
        """
        if run in self._keys:
            return
        told = await self._of_run("claim", run, {})
        self._reused[run] = frozenset(cast("list[str]", told["reused"]))
        self._keys[run] = bytes.fromhex(cast("str", told["key"]))

    def key_of(self, run: str) -> bytes:
        """The key of a run that is carried here. Raises RunRefused for any other."""
        if run not in self._keys:
            raise RunRefused(_NOT_CARRIED, "this worker does not carry the run")
        return self._keys[run]

    # -- as its runs have it, see `gateway.runs.way` ----------------------------------------

    @property
    def now_s(self) -> int:
        """Seconds since 1970, by the log's clock, as told by the last beat."""
        return int(self._clock() + self._ahead)

    async def deliver(self, step: Step) -> Outcome:
        """Have a step done."""
        fields: dict[str, Json] = {
            "grant": step.grant,
            "path": step.path,
            "server": step.server,
            "tool": step.tool,
            "args": step.args,
            "until_s": step.until_s,
            "refers": step.refers,
            "opens": step.opens,
        }
        told = await self._of_run("deliver", step.run, fields)
        said = told["asked"] is True, told["repeats"] is True
        self._said.setdefault(step.run, {})[step.path] = said
        return _outcome(told)

    async def whole(self, run_id: str, grant: str, value: Json) -> Json:
        """A value with what its references stand for. Raises RunRefused."""
        return (await self._of_run("whole", run_id, {"grant": grant, "value": value}))["value"]

    def reuses(self, run_id: str, path: str) -> bool:
        """Whether a fork takes a step over, as it was told when the run was taken."""
        return path in self._reused[run_id]

    def asked(self, run_id: str, path: str) -> bool:
        """Whether people's answer authorised the step that was delivered here."""
        return self._said[run_id][path][0]

    def repeats(self, run_id: str, path: str) -> bool:
        """Whether the step that was delivered here may be made once more."""
        return self._said[run_id][path][1]

    async def hand_on(self, run_id: str, grant: str, path: str, agent: str) -> Outcome | None:
        """Let `agent` act under `path`."""
        fields: dict[str, Json] = {"grant": grant, "path": path, "agent": agent}
        refused = (await self._of_run("hand-on", run_id, fields))["refused"]
        return None if refused is None else _outcome(cast("dict[str, Json]", refused))

    async def narrow(
        self, run_id: str, grant: str, path: str, tools: Sequence[str]
    ) -> Outcome | None:
        """Let no more than these tools be used under `path`."""
        fields: dict[str, Json] = {"grant": grant, "path": path, "tools": list(tools)}
        refused = (await self._of_run("narrow", run_id, fields))["refused"]
        return None if refused is None else _outcome(cast("dict[str, Json]", refused))

    async def tools(self, run_id: str, grant: str, names: Sequence[str]) -> dict[str, Json]:
        """Tools that may be seen."""
        told = await self._of_run("tools", run_id, {"grant": grant, "names": list(names)})
        return cast("dict[str, Json]", told["tools"])

    async def sleep(self, run_id: str, path: str, until_s: int) -> bool:
        """Wait until then; False: the run was stopped before, or the branch that waits was cut."""
        told = await self._of_run("sleep", run_id, {"path": path, "until_s": until_s})
        return told["slept"] is True

    async def cut(
        self, run_id: str, path: str, won: Sequence[str], lost: Sequence[str]
    ) -> Sequence[str]:
        """Say that a race is over; which have won it. Raises RunRefused."""
        fields: dict[str, Json] = {"path": path, "won": [*won], "lost": [*lost]}
        return cast("list[str]", (await self._of_run("cut", run_id, fields))["won"])

    async def say(self, run_id: str, saying: Saying) -> None:
        """Let whoever watches a run know how far it is. Raises RunRefused."""
        said = cast("dict[str, Json]", saying.model_dump(mode="json"))
        await self._of_run("say", run_id, {"saying": said})

    async def end(self, run_id: str, result: str, detail: str, output: Json) -> None:
        """Say how a run ended. Raises RunRefused."""
        fields: dict[str, Json] = {"result": result, "detail": detail, "output": output}
        await self._of_run("end", run_id, fields)
        self._forget(run_id)

    # -- asking -----------------------------------------------------------------------------

    async def _of_run(self, verb: str, run: str, fields: dict[str, Json]) -> dict[str, Json]:
        """Ask for a run; claim it again where the gateway has forgotten who carries it."""
        try:
            try:
                return await self.asking.patiently(verb, {"run": run, **fields})
            except RunRefused as refused:
                if refused.code != _NOT_CARRIED:
                    raise
            await self.appear()
            await self.asking.patiently("claim", {"run": run})
            return await self.asking.patiently(verb, {"run": run, **fields})
        except RunRefused as refused:
            if refused.code != _NOT_CARRIED:
                raise
            log.warning("run.let-go", run=run)
            self._forget(run)
            raise asyncio.CancelledError from refused

    def _forget(self, run: str) -> None:
        for kept in (self._keys, self._reused, self._said):
            kept.pop(run, None)


def _outcome(told: dict[str, Json]) -> Outcome:
    return Outcome(
        told["status"],  # type: ignore[arg-type]  # as the gateway's own outcomes have it
        cast("str | None", told["code"]),
        cast("str", told["text"]),
        cast("dict[str, Json] | None", told["result"]),
    )

"""Races: enough of several branches that succeed, and which of them these were.

Who has won is an entry of the log before anything follows from it: after a crash the same have won,
and no branch that has lost makes a step that it had not begun.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.runs.errors import RunRefused
from gateway.runs.run import Json
from gateway.runs.way import Way
from orchestration.conditions import holds
from orchestration.reach import Told
from orchestration.stop import Stopped


@dataclass(frozen=True, slots=True)
class Enough:
    """When a race is over.

    count   how many have to succeed
    accept  the condition that a result has to meet to count; None: any does
    """

    count: int
    accept: str | None = None

    def counts(self, told: Told) -> bool:
        """Whether this is a success."""
        return "value" in told and (self.accept is None or holds(self.accept, told["value"]))


async def verdict(
    hop: Way, run: str, path: str, branches: Mapping[str, asyncio.Task[Told]], enough: Enough
) -> Told:
    """Wait until the race at `path` is over and cut who has not won it; the paths of who has."""
    won, stopped = await _ended(path, branches, enough)
    lost = [each for each in branches if each not in won]
    try:
        recorded = await hop.cut(run, path, won, lost)
    except RunRefused as refused:
        stopped = Stopped("unavailable", str(refused), at=path, code=refused.code)
        return {"stopped": stopped.to_json()}
    if stopped is not None:
        return {"stopped": stopped.to_json()}
    return {"value": list[Json](recorded)}


async def _ended(
    path: str, branches: Mapping[str, asyncio.Task[Told]], enough: Enough
) -> tuple[list[str], Stopped | None]:
    """Who has won; nobody, and why, once too few still can or a guardrail says stop."""
    won: list[str] = []
    stops: list[Stopped] = []
    running = dict(branches)
    while not _tripped(stops) and len(won) < enough.count <= len(won) + len(running):
        await asyncio.wait(running.values(), return_when=asyncio.FIRST_COMPLETED)
        for each in [each for each, task in running.items() if task.done()]:
            told = running.pop(each).result()
            if enough.counts(told):
                won.append(each)
            elif "stopped" in told:
                stops.append(Stopped.from_json(told["stopped"]))  # type: ignore[arg-type]  # as written there
    if _tripped(stops) or len(won) < enough.count:
        return [], (_tripped(stops) or stops or [_too_few(path, len(won), enough)])[0]
    return [each for each in branches if each in won][: enough.count], None


def _tripped(stops: list[Stopped]) -> list[Stopped]:
    return [stop for stop in stops if stop.reason == "tripped"]


def _too_few(path: str, won: int, enough: Enough) -> Stopped:
    detail = f"{enough.count} are to succeed, and no more than {won} did as they should"
    return Stopped("failed", detail, at=path, code="run.enough")

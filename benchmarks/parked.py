"""Parked runs: what a thousand of them cost while they wait for people, and how soon they go on.

python benchmarks/parked.py [--quick] [--check] [--json FILE]

    restart                   until every run waits again after a gateway was stopped
    idle CPU                  percent of a core that the gateway uses while nothing is decided
    decision to next step     from when a person's answer is sent to the next step of its run

*here* is a run that the gateway carries itself; *away* one that a worker carries, another process
on the same SQLite file, which carries as many.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

if __name__ == "__main__":
    # A program's own folder comes first on the path, where `audit.py` would pass for the package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks import table
from orchestration.flow import Flow
from tests.harness.policy import APPROVER
from tests.orchestration.crew import Crew, carried, crew
from tests.orchestration.house import Agents, House, flow, house

NODE = {"sequential": [{"approve": {"by": "editors", "question": "Publish this?"}}, "out"]}
LIMITS = {"wall": "24h"}
LONGEST_S = 600

_LOOK_EVERY_S = 0.002


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: runs that are parked, seconds of rest, and answers that are timed."""

    runs: int
    rest_s: float
    answers: int


WHOLE = Plan(runs=1000, rest_s=20, answers=100)
QUICK = Plan(runs=100, rest_s=5, answers=20)


class Trial:
    """Parks runs in one gateway and answers some of them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._went_on: list[float] = []
        self.agents = Agents(out=lambda _: self._went_on.append(time.perf_counter()))

    async def park(self, home: House) -> None:
        """Start every run, and wait until people are asked about each."""
        for number in range(self.plan.runs):
            await home.start(given=number)
        await self._all_wait(home)

    async def parked_again(self, home: House) -> float:
        """Seconds until every run of an earlier start waits again."""
        began = time.perf_counter()
        await self._all_wait(home)
        return time.perf_counter() - began

    async def rest(self) -> float:
        """Percent of a core that this process uses while nothing happens."""
        await asyncio.sleep(2.0)  # what came before is settled
        cpu, began = time.process_time(), time.perf_counter()
        await asyncio.sleep(self.plan.rest_s)
        return 100 * (time.process_time() - cpu) / (time.perf_counter() - began)

    async def answer(self, home: House) -> float:
        """Milliseconds from a person's answer to the next step, the median."""
        waits: list[float] = []
        for request in _asked(home)[: self.plan.answers]:
            shown = (await home.gateway.operate("GET", f"/api/approvals/{request}")).json()
            body = {"digest": shown["digest"], "reason": "seen"}
            before, began = len(self._went_on), time.perf_counter()
            path = f"/api/approvals/{request}/approve"
            await home.gateway.operate("POST", path, body, by=APPROVER)
            async with asyncio.timeout(LONGEST_S):
                while len(self._went_on) == before:  # noqa: ASYNC110 - looking costs little
                    await asyncio.sleep(_LOOK_EVERY_S)
            waits.append((self._went_on[before] - began) * 1000)
        return median(waits)

    async def _all_wait(self, home: House) -> None:
        approvals = home.gateway.gateway.services.state.approvals
        async with asyncio.timeout(LONGEST_S):
            while (  # noqa: ASYNC110 - there is no event for all of them
                len(_asked(home)) < self.plan.runs or len(approvals._waiting) < self.plan.runs  # noqa: SLF001 - who waits is nobody's business but this program's
            ):
                await asyncio.sleep(0.05)


async def measured(folder: Path, plan: Plan) -> Mapping[str, float]:
    """The rows of the table."""
    settings = {"guards": {"questions": plan.runs}}
    here, rows = Trial(plan), dict[str, float]()
    flows = [flow(NODE, **LIMITS)]
    async with house(folder / "here", flows, here.agents, settings=settings) as home:
        await here.park(home)
    async with house(folder / "here", flows, here.agents, settings=settings) as home:
        rows["here: parked again after a restart, s"] = await here.parked_again(home)
        rows["here: idle CPU, % of a core"] = await here.rest()
        rows["here: decision to next step, p50 ms"] = await here.answer(home)
    away = Trial(plan)
    async with _shared(folder / "away", away.plan.runs, away) as home:
        await home.hire("one")
        await away.park(home)
        rows["away: idle CPU of the gateway, % of a core"] = await away.rest()
        rows["away: decision to next step, p50 ms"] = await away.answer(home)
    return rows


def _shared(folder: Path, runs: int, trial: Trial) -> AbstractAsyncContextManager[Crew]:
    folder.mkdir()
    shared: Flow = carried(NODE, limits=LIMITS)
    return crew(
        folder,
        f"sqlite:///{folder}/runs.db",
        shared,
        trial.agents,
        questions=runs,
        at_once=runs,
        per_starter=runs,
    )


def _asked(home: House) -> list[str]:
    approvals = home.gateway.gateway.services.state.approvals
    return [each.id for each in approvals.all() if each.state == "asked"]


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(prog="parked")
    table.add_options(parser)
    options = parser.parse_args()
    plan = QUICK if options.quick else WHOLE
    with tempfile.TemporaryDirectory(prefix="passavant-parked-") as folder:
        rows = asyncio.run(measured(Path(folder), plan))
    return table.finish("parked", rows, options, void=())


if __name__ == "__main__":
    sys.exit(main())

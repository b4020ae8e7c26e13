"""Workers: how soon the runs of a killed one are done by the others.

python benchmarks/workers.py [--quick] [--check] [--json FILE]

Two workers on a Postgres that is started for this carry runs of a few steps; one of them is killed
(-9) while it carries half. What is measured is when the last run is done, after the moment at which
the killed worker's lease ended; and how often a step was made more than once.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

if __name__ == "__main__":
    # A program's own folder comes first on the path, where `audit.py` would pass for the package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks import table
from gateway.runs.carriers import LEASE_S
from tests.harness.postgres import postgres
from tests.orchestration.crew import carried, crew
from tests.orchestration.house import Agents

NODE = {"sequential": ["a", "b", "c"]}
STEP_S = 0.3


async def measured(folder: Path, database: str, runs: int) -> Mapping[str, float]:
    """The rows of the table."""

    async def step(task: object) -> object:
        await asyncio.sleep(STEP_S)
        return task

    agents = Agents(a=step, b=step, c=step)
    flow = carried(NODE)
    async with crew(
        folder, database, flow, agents, at_once=runs // 2, per_starter=runs // 2
    ) as home:
        await home.hire("one", "two")
        started = [await home.start(given=number) for number in range(runs)]
        await home.gateway.until(lambda: len(agents.asked) >= runs // 2)
        home.kill("one")
        killed = time.perf_counter()
        ended = [await home.ended(run) for run in started]
        seconds = time.perf_counter() - killed - LEASE_S
        again = sum(times > 1 for times in Counter(map(str, agents.told)).values())
        carriers = Counter(entry["by"] for entry in home.gateway.entries("run.carried"))
    return {
        "runs": runs,
        "runs that the killed worker carried": min(carriers.values()),
        "last run done after the lease, s": seconds,
        "runs that were not done": sum(run.result != "done" for run in ended),
        "steps that were made twice": again,
    }


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(prog="workers")
    table.add_options(parser)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="passavant-workers-") as folder,
        postgres(Path(folder)) as database,
    ):
        rows = asyncio.run(measured(Path(folder), database, 10 if options.quick else 40))
    return table.finish("workers", rows, options, void=())


if __name__ == "__main__":
    sys.exit(main())

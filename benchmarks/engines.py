"""Engines: five steps that do nothing, kept durably, by each engine in a process of its own.

python -m benchmarks.engines reading|acting|bare|langgraph --seconds N --at-once N --folder DIR

All of them keep their checkpoints in one SQLite file (WAL, `synchronous=NORMAL`), so that what
differs is the work of the engine. `reading` and `acting` are a whole gateway: each step is decided
by a policy, recorded before and after in a log that is synced, and its checkpoint sealed. To the
policy the steps of the one only read, so that nobody waits for the record of their outcome; those
of the other act.
"""

import argparse
import asyncio
import json
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

STEPS = 5
WARM_UP_S = 1.0

One = Callable[[int], Awaitable[None]]
"""Makes one run, with a number of its own, from its start to its end."""

Opened = Callable[[Path], AbstractAsyncContextManager[tuple[One, Callable[[], float]]]]
"""Opens an engine: how a run is made, and how many seconds its log has been synced so far."""

POLICY = """\
apiVersion: passavant/v1
kind: Policy
name: steps
default: deny
users: {default: unrestricted}
agents: {job: {owner: team}}
tools:
  agents.step: {risk: RISK, emits: []}
rules:
  - {id: steps, agents: [job], tools: [agents.step], effect: allow}
"""


def governed(risk: str) -> Opened:
    """A flow of this gateway whose steps are of that risk."""
    return lambda folder: _governed(folder, POLICY.replace("RISK", risk))


@asynccontextmanager
async def _governed(folder: Path, policy: str) -> AsyncIterator[tuple[One, Callable[[], float]]]:
    """A flow of this gateway, whose agents are functions of the process."""
    from audit.files import OsFiles  # noqa: PLC0415 - each engine loads what it needs
    from gateway.app import Surroundings, opened  # noqa: PLC0415
    from gateway.diagnostics import configure  # noqa: PLC0415
    from gateway.redaction import Redaction  # noqa: PLC0415
    from gateway.settings import Settings  # noqa: PLC0415
    from orchestration.agents import LocalAgent  # noqa: PLC0415
    from orchestration.flow import Flow  # noqa: PLC0415
    from orchestration.service import Flows  # noqa: PLC0415

    class Timed(OsFiles):
        """The disk, and how long the log has waited for it."""

        waited = 0.0

        def sync(self, descriptor: int) -> None:
            began = time.perf_counter()
            super().sync(descriptor)
            self.waited += time.perf_counter() - began

    async def step(task: Any) -> Any:  # noqa: ANN401 - JSON
        return task

    configure(level="error", redaction=Redaction(), stream=open(os.devnull, "w"))  # noqa: ASYNC230, PTH123, SIM115 - for the whole process
    (folder / "steps.policy.yaml").write_text(policy)
    settings = Settings.model_validate(
        {
            "apiVersion": "passavant/v1",
            "kind": "Gateway",
            "home": folder / "home",
            "policy": [str(folder / "steps.policy.yaml")],
            "audit": {"origin": "benchmark.localhost/steps"},
            "insecure_volatile_log": True,
        }
    )
    flow = Flow.model_validate({"name": "job", "flow": {"sequential": ["step"] * STEPS}})
    disk = Timed()
    flows = Flows([flow], [LocalAgent("step", step)])
    async with opened(settings, "serve", Surroundings({}, disk=disk, orchestration=flows)) as made:
        runs, known = made.services.runs, made.services.state.runs
        assert runs is not None

        async def one(number: int) -> None:
            run = await runs.start("job", {"number": number}, by="operator:bench", key=None)
            while known.get(run.id).state != "ended":
                await known.moved(run.id)
            assert known.get(run.id).result == "done", known.get(run.id).detail

        yield one, lambda: disk.waited


@asynccontextmanager
async def bare(folder: Path) -> AsyncIterator[tuple[One, Callable[[], float]]]:
    """The same steps with DBOS and nothing else."""
    from dbos import DBOS, SetWorkflowID  # noqa: PLC0415

    file = folder / "runs.db"
    sqlite3.connect(file).execute("PRAGMA journal_mode=WAL").close()

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(file, timeout=30, check_same_thread=False)
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    DBOS(
        config={
            "name": "bare",
            "system_database_url": f"sqlite:///{file}",
            "db_engine_kwargs": {"creator": connect},
            "log_level": "CRITICAL",
            "max_executor_threads": 8,
        }
    )

    @DBOS.workflow(name="job")
    async def job(given: dict[str, int]) -> dict[str, int]:
        async def step() -> dict[str, int]:
            return given

        for _ in range(STEPS):
            given = await DBOS.run_step_async({"name": "step"}, step)
        return given

    DBOS.launch()
    try:

        async def one(number: int) -> None:
            with SetWorkflowID(f"{time.time_ns()}-{number}"):
                handle = await DBOS.start_workflow_async(job, {"number": number})
            await handle.get_result(polling_interval_sec=0.001)

        yield one, lambda: 0.0
    finally:
        await asyncio.to_thread(DBOS.destroy)


@asynccontextmanager
async def langgraph(folder: Path) -> AsyncIterator[tuple[One, Callable[[], float]]]:
    """The same steps as a graph of LangGraph, each saved before the next begins (`sync`)."""
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver  # noqa: PLC0415
    from langgraph.graph import END, START, StateGraph  # noqa: PLC0415

    async def step(state: dict[str, int]) -> dict[str, int]:
        return {"number": state["number"]}

    graph = StateGraph(dict)
    names = [f"step{number}" for number in range(STEPS)]
    for name in names:
        graph.add_node(name, step)
    for before, after in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(before, after)
    async with AsyncSqliteSaver.from_conn_string(str(folder / "graph.db")) as saver:
        await saver.conn.execute("PRAGMA journal_mode=WAL")
        await saver.conn.execute("PRAGMA synchronous=NORMAL")
        compiled = graph.compile(checkpointer=saver)

        async def one(number: int) -> None:
            thread = {"configurable": {"thread_id": f"{time.time_ns()}-{number}"}}
            await compiled.ainvoke({"number": number}, thread, durability="sync")

        yield one, lambda: 0.0


ENGINES: dict[str, Opened] = {
    "reading": governed("read"),
    "acting": governed("write"),
    "bare": bare,
    "langgraph": langgraph,
}


async def measure(engine: Opened, folder: Path, *, seconds: float, at_once: int) -> dict[str, Any]:
    """Runs one after another, so many at once, for so long; what one took.

    less_ms  the time of one run without that in which the log was synced meanwhile; it tells
             something where there is one run at a time
    """
    async with engine(folder) as (one, waited):
        await _made(one, waited, WARM_UP_S, at_once)
        cpu, synced = time.process_time(), waited()
        took = await _made(one, waited, seconds, at_once)
        runs = len(took)
        return {
            "runs_s": runs / seconds,
            "p50_ms": median(whole for whole, _ in took) * 1000,
            "less_ms": median(whole - wait for whole, wait in took) * 1000,
            "sync_ms": (waited() - synced) / runs * 1000,
            "cpu_ms": (time.process_time() - cpu) / runs * 1000,
        }


async def _made(
    one: One, waited: Callable[[], float], seconds: float, at_once: int
) -> list[tuple[float, float]]:
    """Each run's time, and how long the log was synced in it; in seconds."""
    took: list[tuple[float, float]] = []
    ends = time.perf_counter() + seconds

    async def worker() -> None:
        while (began := time.perf_counter()) < ends:
            before = waited()
            await one(len(took))
            took.append((time.perf_counter() - began, waited() - before))

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return took


def main() -> None:
    """Measure one engine and print what one run took, as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--at-once", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    engine = ENGINES[given.engine]
    found = asyncio.run(measure(engine, given.folder, seconds=given.seconds, at_once=given.at_once))
    print(json.dumps(found))


if __name__ == "__main__":
    main()

"""Engines: five steps that do nothing, kept durably, by each engine in a process of its own.

python -m benchmarks.engines reading|acting|bare|langgraph --seconds N --at-once N --folder DIR

All of them keep their checkpoints in one SQLite file (WAL, `synchronous=NORMAL`) and run on the
event loop of `passavant serve`, so that what differs is the work of the engine. `reading` and
`acting` are a whole gateway: each step is decided by a policy, recorded before and after in a log
that is synced, and its checkpoint sealed. To the policy the steps of the one only read, so that
nobody waits for the record of their outcome; those of the other act.
"""

import argparse
import asyncio
import json
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import uvloop

STEPS = 5
WARM_UP_S = 1.0

One = Callable[[int], Awaitable[None]]
"""Makes one run, with a number of its own, from its start to its end."""


@dataclass
class Clocked:
    """How many seconds went into a log so far.

    waited  somebody waited until an entry was durable: a moment in which several do counts once
    synced  the part of it in which the disk was waited for; a sync that nobody waits for is none
    """

    clock: Callable[[], float] = time.perf_counter
    synced: float = 0.0
    waited: float = 0.0
    _waiting: int = 0
    _since: float = 0.0

    def begin(self) -> None:
        """Somebody waits from now on."""
        if not self._waiting:
            self._since = self.clock()
        self._waiting += 1

    def end(self, _durable: object) -> None:
        """They wait no longer."""
        self._waiting -= 1
        if not self._waiting:
            self.waited += self.clock() - self._since

    def sync(self, began: float) -> None:
        """A sync that began then is over."""
        if self._waiting:
            self.synced += self.clock() - max(began, self._since)


Opened = Callable[[Path], AbstractAsyncContextManager[tuple[One, Clocked]]]
"""Opens an engine: how a run is made, and what goes into its log."""

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
async def _governed(folder: Path, policy: str) -> AsyncIterator[tuple[One, Clocked]]:
    """A flow of this gateway, whose agents are functions of the process."""
    from audit.files import OsFiles, write_all  # noqa: PLC0415 - each engine loads what it needs
    from gateway.app import opened  # noqa: PLC0415
    from gateway.diagnostics import configure  # noqa: PLC0415
    from gateway.redaction import Redaction  # noqa: PLC0415
    from gateway.settings import Settings  # noqa: PLC0415
    from gateway.surroundings import Surroundings  # noqa: PLC0415
    from orchestration.agents import LocalAgent  # noqa: PLC0415
    from orchestration.flow import Flow  # noqa: PLC0415
    from orchestration.service import Flows  # noqa: PLC0415

    clocked = Clocked()

    class Timed(OsFiles):
        """The disk, with the time that the log waits for its syncs: each a call of its own here."""

        def write_durably(self, descriptor: int, data: bytes, offset: int) -> None:
            write_all(self, descriptor, data, offset)
            self.sync(descriptor)

        def sync(self, descriptor: int) -> None:
            began = time.perf_counter()
            super().sync(descriptor)
            clocked.sync(began)

    async def step(task: Any) -> Any:  # noqa: ANN401 - JSON
        return task

    configure(level="error", redaction=Redaction(), stream=open(os.devnull, "w"))  # noqa: ASYNC230, PTH123, SIM115 - for the whole process
    settings = Settings.model_validate(_deployment(folder, policy))
    flow = Flow.model_validate({"name": "job", "flow": {"sequential": ["step"] * STEPS}})
    flows = Flows([flow], [LocalAgent("step", step)])
    around = Surroundings({}, disk=Timed(), orchestration=flows)
    async with opened(settings, "serve", around) as made:
        runs, known, log = made.services.runs, made.services.state.runs, made.services.log
        enqueue = log.enqueue

        def timed(record: Any, *, reserved: bool = False) -> Any:  # noqa: ANN401 - as it is
            durable = enqueue(record, reserved=reserved)
            clocked.begin()
            durable.add_done_callback(clocked.end)
            return durable

        log.enqueue = timed  # type: ignore[method-assign]  # to look at the clock beside
        assert runs is not None

        async def one(number: int) -> None:
            run = await runs.start("job", {"number": number}, by="operator:bench", key=None)
            while known.get(run.id).state != "ended":
                await known.moved(run.id)
            assert known.get(run.id).result == "done", known.get(run.id).detail

        yield one, clocked


def _deployment(folder: Path, policy: str) -> dict[str, object]:
    """A gateway in a folder with this policy."""
    (folder / "steps.policy.yaml").write_text(policy)
    return {
        "apiVersion": "passavant/v1",
        "kind": "Gateway",
        "home": folder / "home",
        "policy": [str(folder / "steps.policy.yaml")],
        "audit": {"origin": "benchmark.localhost/steps"},
        "insecure_volatile_log": True,
    }


@asynccontextmanager
async def bare(folder: Path) -> AsyncIterator[tuple[One, Clocked]]:
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

        yield one, Clocked()
    finally:
        await asyncio.to_thread(DBOS.destroy)


@asynccontextmanager
async def langgraph(folder: Path) -> AsyncIterator[tuple[One, Clocked]]:
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

        yield one, Clocked()


ENGINES: dict[str, Opened] = {
    "reading": governed("read"),
    "acting": governed("write"),
    "bare": bare,
    "langgraph": langgraph,
}


async def measure(engine: Opened, folder: Path, *, seconds: float, at_once: int) -> dict[str, Any]:
    """Runs one after another, so many at once, for so long; what one took.

    less_sync, less_wait  without the time in which the log was synced meanwhile, or waited for; for
                          one run at a time
    """
    async with engine(folder) as (one, log):
        await _made(one, log, WARM_UP_S, at_once)
        cpu = time.process_time()
        took = await _made(one, log, seconds, at_once)
        return {
            "runs_s": len(took) / seconds,
            "p50_ms": median(run.took for run in took) * 1000,
            "less_sync": median(run.took - run.synced for run in took) * 1000,
            "less_wait": median(run.took - run.waited for run in took) * 1000,
            "sync_ms": median(run.synced for run in took) * 1000,
            "cpu_ms": (time.process_time() - cpu) / len(took) * 1000,
        }


@dataclass(frozen=True)
class _Run:
    """What one run took, in seconds."""

    took: float
    synced: float
    waited: float


async def _made(one: One, log: Clocked, seconds: float, at_once: int) -> list[_Run]:
    made: list[_Run] = []
    ends = time.perf_counter() + seconds

    async def worker() -> None:
        while (began := time.perf_counter()) < ends:
            synced, waited = log.synced, log.waited
            await one(len(made))
            took = time.perf_counter() - began
            made.append(_Run(took, log.synced - synced, log.waited - waited))

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return made


def main() -> None:
    """Measure one engine and print what one run took, as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--at-once", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    engine = ENGINES[given.engine]
    found = uvloop.run(measure(engine, given.folder, seconds=given.seconds, at_once=given.at_once))
    print(json.dumps(found))


if __name__ == "__main__":
    main()

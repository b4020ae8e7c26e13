"""The engine: what makes runs survive this process. The only file that knows DBOS.

Each node of a run that has steps of its own is a workflow; each step is a checkpoint, named by its
path, so that a replay that has come to another place is refused by the database instead of given
another step's result. Stored values are sealed, and say where they belong. Nothing stored is ever
unpickled: DBOS picks the codec by the row, so its default one is replaced by a refusal.

A home belongs to one process (the log sees to that), so what another executor left under way is
nobody's when the engine opens: it is taken up at once. How runs are paused and stopped is the
gate's business (`gateway.runs`); workflows just find that no step is made.
"""

import asyncio
import hashlib
import sqlite3
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, cast

from dbos import (
    DBOS,
    DBOSConfig,
    Serializer,
    SetWorkflowID,
    StepReservation,
    WorkflowHandleAsync,
    _serialization,
)
from dbos._utils import GlobalParams

from gateway.links.jsonrpc import dump_sorted
from gateway.runs.run import Json, place_of, request_id
from orchestration.errors import EngineRefused, SealBroken
from orchestration.seal import NAME, KeyOf, Seal
from orchestration.store import Store

T = TypeVar("T")

SEMANTICS = "1"
"""Raised whenever a flow would make its steps in another order: older runs are then not resumed."""

_THREADS = 8  # for the database alone: steps wait on the event loop
_LEFT = ["PENDING", "ENQUEUED"]


@dataclass(frozen=True, slots=True)
class Task:
    """One node of a run that has steps of its own.

    path   its place in the run; "": the run itself
    what   everything else that it needs; JSON
    """

    run: str
    path: str
    what: Json

    @property
    def id(self) -> str:
        """Its name in the database: the run's, for the run itself."""
        return request_id(self.run, self.path) if self.path else self.run


Body = Callable[["Engine", Task], Awaitable[Json]]
"""Performs a task; what it does must depend on nothing but the task and the results of steps."""


class Engine:
    """Workflows and their steps, in one database; one at a time in a process."""

    _open: ClassVar["Engine | None"] = None

    def __init__(self, body: Body) -> None:
        self._body = body
        self._tasks: set[asyncio.Task[object]] = set()
        self._ends: dict[str, asyncio.Future[Json]] = {}

    @classmethod
    @asynccontextmanager
    async def opened(cls, store: Store, key_of: KeyOf, body: Body) -> AsyncIterator[Self]:
        """Open the database and take up what was left under way there. Raises EngineRefused."""
        if Engine._open is not None:
            raise EngineRefused("a process runs the flows of one gateway at a time")
        if GlobalParams.dbos_cloud:
            raise EngineRefused("the environment (DBOS__CLOUD) wants runs in somebody's cloud")
        engine = cls(body)
        Engine._open = engine
        try:
            with _own_threads():
                await asyncio.to_thread(store.prepare)
                DBOS(config=_config(store, key_of))
                DBOS.launch()
                try:
                    await engine._take_up()
                    yield engine
                finally:
                    await engine._close()
        finally:
            Engine._open = None

    async def begin(self, task: Task) -> None:
        """Start a task; durable on return. One that was begun before is left as it is."""
        await self._begun(task)

    async def end_of(self, task: Task) -> Json:
        """Start a task, unless it was begun before, and wait for its result."""
        ends = self._end(task.id)
        if await self._begun(task) == "SUCCESS":
            return _opened(await _outside(_result(task.id)), task.id, "")
        return await asyncio.shield(ends)

    async def result(self, run: str) -> Json:
        """What came out of a run that has ended; None where the database does not have it."""
        found = await DBOS.list_workflows_async(
            workflow_ids=[run], load_input=False, load_output=False
        )
        if not found:
            return None
        return _opened(await _outside(_result(run)), run, "")

    async def held(self) -> frozenset[str]:
        """The runs of which the database holds anything."""
        rows = await DBOS.list_workflows_async(load_input=False, load_output=False)
        return frozenset(place_of(row.workflow_id)[0] for row in rows)

    async def forget(self, run: str) -> None:
        """Delete what is stored of a run."""
        rows = await DBOS.list_workflows_async(
            workflow_id_prefix=run, load_input=False, load_output=False
        )
        await DBOS.delete_workflows_async([row.workflow_id for row in rows])

    def reserve(self) -> "Reserved":
        """The next checkpoint of the task that runs; to be taken in an order that never changes."""
        return Reserved(DBOS.reserve_step())

    # -- inside -----------------------------------------------------------------------------

    async def perform(self, stored: Json) -> Json:
        """The whole of one workflow. For the workflow function alone."""
        members = cast("dict[str, Json]", stored)
        task = Task(str(members.get("run")), str(members.get("path")), members.get("what"))
        if task.id != DBOS.workflow_id:
            raise SealBroken("a stored task belongs to another run")
        me = asyncio.current_task()
        assert me is not None, "a workflow runs in a task"
        self._tasks.add(me)
        try:
            result = await self._body(self, task)
        finally:
            self._tasks.discard(me)
        end = self._ends.pop(task.id, None)
        if end is not None and not end.done():
            end.set_result(result)
        return _closed(task.id, "", result)

    def _end(self, task_id: str) -> "asyncio.Future[Json]":
        if task_id not in self._ends:
            self._ends[task_id] = asyncio.get_running_loop().create_future()
        return self._ends[task_id]

    async def _begun(self, task: Task) -> str:
        """Start a task where it is new; the status of its workflow."""

        async def start() -> str:
            with SetWorkflowID(task.id):
                stored: Json = {"run": task.run, "path": task.path, "what": task.what}
                handle = await DBOS.start_workflow_async(_node, stored)
            return (await handle.get_status()).status

        return await _outside(start())

    async def _take_up(self) -> None:
        left = await DBOS.list_workflows_async(
            status=_LEFT, app_version=SEMANTICS, load_input=False, load_output=False
        )
        # The queue of DBOS itself, which it looks at once a second; nothing else waits for a poll.
        await DBOS.resume_workflows_async([each.workflow_id for each in left])

    async def _close(self) -> None:
        """Let go of everything as a crash would; the next start takes it up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(DBOS.destroy)


class Reserved:
    """A checkpoint that is yet to be made."""

    def __init__(self, reservation: StepReservation) -> None:
        self._reservation = reservation

    async def step(
        self, run: str, path: str, given: Json, do: Callable[[], Awaitable[Json]]
    ) -> Json:
        """What `do` gave when it was first done; after a crash it is not done again.

        given  what it depends on: a stored result of something else is refused

        Raises SealBroken, and whatever `do` raises.
        """
        place, of = request_id(run, path), hashlib.sha256(dump_sorted(given)).hexdigest()

        async def kept() -> Json:
            return _closed(place, of, await do())

        return _opened(await self._reservation.run_async({"name": path}, kept), place, of)


@DBOS.workflow(name="node")
async def _node(stored: Json) -> Json:
    engine = Engine._open  # noqa: SLF001 - DBOS finds workflows by a function of a module
    assert engine is not None, "DBOS runs workflows only while the engine is open"
    return await engine.perform(stored)


class _Sealed(Serializer):
    """The codec of all rows."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def name(self) -> str:
        return NAME

    def serialize(self, data: object) -> str:
        if isinstance(data, BaseException):
            run, _ = place_of(DBOS.workflow_id or "")
            return self._seal.close(run, {"error": type(data).__name__})
        return self._seal.close(_run_of(data), {"value": data})

    def deserialize(self, serialized_data: str) -> object:
        members = cast("dict[str, object]", self._seal.open(serialized_data))
        if "error" in members:  # DBOS raises what it gets for one
            return EngineRefused(f"recorded: {members['error']}")
        return members["value"]


def _run_of(data: object) -> str:
    """The run of what is stored: of a task that is begun, or of what came of a step or task."""
    if isinstance(data, dict) and "args" in data:
        (task,) = cast("Sequence[dict[str, str]]", data["args"])
        return task["run"]
    return place_of(cast("dict[str, str]", data)["at"])[0]


def _refuse(*_: object) -> object:
    raise SealBroken("a stored value is not sealed")


# Rows say themselves how they are to be read: neither pickle nor plain JSON is an answer.
for _codec in (_serialization.DefaultSerializer, _serialization.DBOSPortableJSONSerializer):
    setattr(_codec, "serialize", _refuse)  # noqa: B010 - a method, to the type checker
    setattr(_codec, "deserialize", _refuse)  # noqa: B010


def _closed(place: str, of: str, value: Json) -> Json:
    return {"at": place, "of": of, "value": value}


def _opened(stored: Json, place: str, of: str) -> Json:
    members = stored if isinstance(stored, dict) else {}
    if members.get("at") != place or members.get("of") != of:
        raise SealBroken(f"what is stored for {place} belongs to something else")
    return members.get("value")


async def _result(workflow_id: str) -> Json:
    handle: WorkflowHandleAsync[Json] = await DBOS.retrieve_workflow_async(workflow_id)
    return await handle.get_result(polling_interval_sec=0.05)


async def _outside(work: Coroutine[Any, Any, T]) -> T:
    """Do something that is no step of the workflow at hand."""
    return await asyncio.create_task(work, context=Context())


def _config(store: Store, key_of: KeyOf) -> DBOSConfig:
    config: DBOSConfig = {
        "name": "passavant",
        "system_database_url": store.url,
        "executor_id": uuid.uuid4().hex,  # never that of another process, dead or alive
        "application_version": SEMANTICS,
        "serializer": _Sealed(Seal(key_of)),
        "log_level": "CRITICAL",  # it would print values; what matters is told by whoever runs it
        "max_executor_threads": _THREADS,
        "scheduler_polling_interval_sec": 3600.0,
        "notification_listener_polling_interval_sec": 0.25,  # nothing listens; closing waits for it
    }
    if store.file is None:
        return {**config, "dbos_system_schema": store.schema}
    return {**config, "db_engine_kwargs": {"creator": partial(_connected, store.file)}}


def _connected(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=30, check_same_thread=False)
    # A crash of the machine may lose the last checkpoints; the log still has those steps.
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


@contextmanager
def _own_threads() -> Iterator[None]:
    """Give the event loop threads of its own back: DBOS puts its pool there, and ends it."""
    try:
        yield
    finally:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())

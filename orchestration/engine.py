"""The engine: what makes runs survive this process.

Each node of a run that has steps of its own is a workflow; each step is a checkpoint, named by its
path, so that a replay that has come to another place is refused by the database instead of given
another step's result. Stored values are sealed, and say where they belong. Beside `checkpoints` and
`queues` nothing else knows DBOS.

A home belongs to one process (the log sees to that), so what another executor left under way is
nobody's when the engine opens: it is taken up at once. Where workers carry runs too (`Share`), each
run with all its parts is carried by one process, and whoever takes it over takes its parts over as
it comes to them. How runs are paused and stopped is the gate's business (`gateway.runs`); workflows
just find that no step is made.
"""

import asyncio
import hashlib
import uuid
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import ClassVar, Self, TypeVar, cast

from dbos import (
    DBOS,
    DBOSConfig,
    SetEnqueueOptions,
    SetWorkflowID,
    StepReservation,
    WorkflowHandleAsync,
)
from dbos._utils import GlobalParams

from gateway.links.jsonrpc import dump_sorted
from gateway.runs.run import Json, place_of, request_id
from orchestration.checkpoints import Closed, configuration, made
from orchestration.errors import EngineRefused, SealBroken
from orchestration.queues import is_run, left, outside, resumed, workflow
from orchestration.seal import KeyOf, Seal
from orchestration.store import Store
from orchestration.task import Queued, Share, Task

T = TypeVar("T")

_POLL_S = 0.5  # how often a queue that is shared is looked at

_BEGUN: ContextVar[str] = ContextVar("begun", default="")
"""The workflow that is done by the very call that has made its row: no step of it is stored yet."""

Body = Callable[["Engine", Task], Awaitable[Json]]
"""Performs a task; what it does must depend on nothing but the task and the results of steps."""


class Engine:
    """Workflows and their steps, in one database; one at a time in a process."""

    _open: ClassVar["Engine | None"] = None

    def __init__(self, seal: Seal, body: Body, share: Share | None) -> None:
        self._seal = seal
        self._body = body
        self._share = share
        self._tasks: set[asyncio.Task[object]] = set()
        self._ends: dict[str, asyncio.Future[Json]] = {}

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, store: Store, key_of: KeyOf, body: Body, share: Share | None = None
    ) -> AsyncIterator[Self]:
        """Open the database and take up what was left under way there.

        share  how it is shared with other processes; None: there are none

        Raises EngineRefused.
        """
        if Engine._open is not None:
            raise EngineRefused("a process runs the flows of one gateway at a time")
        if GlobalParams.dbos_cloud:
            raise EngineRefused("the environment (DBOS__CLOUD) wants runs in somebody's cloud")
        engine = cls(Seal(key_of), body, share)
        Engine._open = engine
        try:
            with _own_threads():
                await asyncio.to_thread(store.prepare)
                DBOS(config=_configured(store, engine._seal, share))
                if share is not None:
                    DBOS.listen_queues([share.own, *share.serves])
                DBOS.launch()
                try:
                    await engine._begin()
                    yield engine
                finally:
                    await engine._close()
        finally:
            Engine._open = None

    async def begin(self, task: Task, queued: Queued | None = None) -> None:
        """Start a task; durable on return. One that was begun before is left as it is.

        queued  where it waits for a worker; None: this process does it
        """
        if queued is None:
            await self._started(task)
        else:
            await outside(self._enqueued(task, queued))

    async def end_of(self, task: Task) -> Json:
        """Start a task, unless it was begun before, and wait for its result."""
        ends = self._end(task.id)
        if await (self._begun(task) if self._share is None else self._mine(task, self._share)):
            return _opened(await outside(_result(task.id)), task.id, "")
        return await asyncio.shield(ends)

    async def result(self, run: str) -> Json:
        """What came out of a run that has ended; None where the database does not have it."""
        if await workflow(run) is None:
            return None
        return _opened(await outside(_result(run)), run, "")

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
        return Reserved(DBOS.reserve_step(), is_new=_BEGUN.get() == DBOS.workflow_id)

    # -- inside -----------------------------------------------------------------------------

    async def perform(self, sealed: str) -> Closed:
        """The whole of one workflow. For the workflow function alone."""
        run, _ = place_of(str(DBOS.workflow_id))
        if self._share is not None and self._share.admit is not None:
            await self._share.admit(run)
        seal = self._seal.of(run)  # its key may be given up with the end of the run
        members = cast("dict[str, Json]", seal.open(sealed))
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
        return Closed(seal.close(run, _closed(task.id, "", result)))

    def _end(self, task_id: str) -> "asyncio.Future[Json]":
        if task_id not in self._ends:
            self._ends[task_id] = asyncio.get_running_loop().create_future()
        return self._ends[task_id]

    async def _started(self, task: Task) -> WorkflowHandleAsync[Closed]:
        """Start a task where it is new."""

        async def start() -> WorkflowHandleAsync[Closed]:
            _BEGUN.set(task.id)  # DBOS hands it on where it does the workflow by this very call
            with SetWorkflowID(task.id):
                return await DBOS.start_workflow_async(_node, self._sealed(task))

        return await outside(start())

    async def _begun(self, task: Task) -> bool:
        """The same; whether it had ended before, which the database is asked."""
        handle = await self._started(task)
        return (await outside(handle.get_status())).status == "SUCCESS"

    async def _mine(self, task: Task, share: Share) -> bool:
        """The same for a part of a run, which another process may have begun: whoever carried the
        run before does no more, so this one goes on with it.
        """
        row = await workflow(task.id)
        if row is None:
            return await self._begun(task)
        if row.status != "SUCCESS" and row.executor_id != share.executor:
            await resumed([task.id], share.own)
        return bool(row.status == "SUCCESS")

    async def _enqueued(self, task: Task, queued: Queued) -> None:
        options = SetEnqueueOptions(priority=queued.priority, queue_partition_key=queued.starter)
        with SetWorkflowID(task.id), options:
            await DBOS.enqueue_workflow_async(queued.pool, _node, self._sealed(task))

    def _sealed(self, task: Task) -> str:
        return self._seal.close(task.run, {"run": task.run, "path": task.path, "what": task.what})

    async def _begin(self) -> None:
        share = self._share
        if share is None:
            every = await left()
            # The queue of DBOS itself, looked at once a second; nothing else waits for a poll.
            await resumed([each.workflow_id for each in every], None)
            return
        await DBOS.register_queue_async(share.own, polling_interval_sec=_POLL_S)
        for name, places in share.pools.items():
            await DBOS.register_queue_async(
                name,
                worker_concurrency=places.at_once,
                partition_worker_concurrency=places.per_starter,
                polling_interval_sec=_POLL_S,
                on_conflict="always_update",
            )
        if not share.serves:  # a gateway: the runs that it did not give to workers are its own
            own = [each for each in await left() if each.queue_name in {None, share.own}]
            await resumed([each.workflow_id for each in own if is_run(each)], share.own)

    async def _close(self) -> None:
        """Let go of everything as a crash would; the next start takes it up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(DBOS.destroy)


class Reserved:
    """A checkpoint that is yet to be made.

    is_new  nothing can be stored of it: it need not be looked for
    """

    def __init__(self, reservation: StepReservation, *, is_new: bool) -> None:
        self._reservation = reservation
        self._is_new = is_new

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

        if self._is_new:
            return _opened(await made(self._reservation.step_id, path, kept), place, of)
        return _opened(await self._reservation.run_async({"name": path}, kept), place, of)


@DBOS.workflow(name="node")
async def _node(sealed: str) -> Closed:
    engine = Engine._open  # noqa: SLF001 - DBOS finds workflows by a function of a module
    assert engine is not None, "DBOS runs workflows only while the engine is open"
    return await engine.perform(sealed)


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


def _configured(store: Store, seal: Seal, share: Share | None) -> DBOSConfig:
    executor = uuid.uuid4().hex if share is None else share.executor
    makes_schema = share is None or not share.serves
    return configuration(store, executor, seal, makes_schema=makes_schema)


@contextmanager
def _own_threads() -> Iterator[None]:
    """Give the event loop threads of its own back: DBOS puts its pool there, and ends it."""
    try:
        yield
    finally:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())

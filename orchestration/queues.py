"""Queues: what is under way and what waits in the database, run by run and worker by worker."""

import asyncio
import time
from collections.abc import Coroutine, Iterable
from contextvars import Context
from typing import Any, TypeVar

from dbos import DBOS, WorkflowStatus

from gateway.runs.run import place_of
from orchestration.checkpoints import SEMANTICS
from orchestration.task import own_queue

T = TypeVar("T")

_LEFT = ["PENDING", "ENQUEUED"]


class Queues:
    """The queues of the pools, while the engine is open."""

    async def carried(self, pools: Iterable[str]) -> dict[str, list[str]]:
        """The runs of these pools that are under way, by the executor that carries them."""
        found: dict[str, list[str]] = {}
        for row in await left(status=["PENDING"], queue_name=list(pools)):
            if is_run(row):
                found.setdefault(str(row.executor_id), []).append(row.workflow_id)
        return found

    async def carrier(self, run: str) -> tuple[str, str] | None:
        """Executor and pool of a run that was given to a worker and has not ended."""
        row = await workflow(run)
        if row is None or row.status != "PENDING" or row.queue_name is None:
            return None
        return str(row.executor_id), row.queue_name

    async def give_back(self, executor: str, pools: Iterable[str]) -> None:
        """Let others carry what a worker carried that is there no more."""
        by_pool: dict[str, list[str]] = {}
        for row in await left(status=["PENDING"], queue_name=list(pools), executor_id=executor):
            if is_run(row):
                by_pool.setdefault(str(row.queue_name), []).append(row.workflow_id)
        for pool, runs in by_pool.items():
            await resumed(runs, pool)
        await DBOS.delete_queue_async(own_queue(executor))

    async def untaken(self, runs: list[str], pools: Iterable[str]) -> list[str]:
        """Those of these runs that no worker has."""
        if not runs:
            return []
        rows = await left(status=["ENQUEUED"], queue_name=list(pools), workflow_ids=runs)
        return [row.workflow_id for row in rows]

    async def remove(self, run: str) -> None:
        """Give a run to nobody."""
        await outside(DBOS.cancel_workflow_async(run))

    async def waiting(self, pools: Iterable[str]) -> dict[str, tuple[int, float]]:
        """By pool, the runs that no worker has yet, and how many seconds the oldest has waited."""
        found = dict.fromkeys(pools, (0, 0.0))
        now_ms = time.time() * 1000
        for row in await left(status=["ENQUEUED"], queue_name=list(found)):
            pool = str(row.queue_name)
            waited = max(0.0, now_ms - (row.created_at or now_ms)) / 1000
            found[pool] = found[pool][0] + 1, max(found[pool][1], waited)
        return found


async def left(**which: Any) -> list[WorkflowStatus]:  # noqa: ANN401 - of `list_workflows_async`
    """Workflows of this version that have not ended, without what they hold."""
    which.setdefault("status", _LEFT)
    return await outside(
        DBOS.list_workflows_async(
            app_version=SEMANTICS, load_input=False, load_output=False, **which
        )
    )


async def workflow(workflow_id: str) -> WorkflowStatus | None:
    """One of them, without what it holds."""
    found = await outside(
        DBOS.list_workflows_async(workflow_ids=[workflow_id], load_input=False, load_output=False)
    )
    return found[0] if found else None


async def resumed(workflow_ids: list[str], queue: str | None) -> None:
    """Let them go on from a queue; None: that of DBOS itself."""
    if workflow_ids:
        await outside(DBOS.resume_workflows_async(workflow_ids, queue_name=queue))


def is_run(row: WorkflowStatus) -> bool:
    """Whether it is a whole run, and no part of one."""
    return not place_of(row.workflow_id)[1]


async def outside(work: Coroutine[Any, Any, T]) -> T:
    """Do something that is no step of the workflow at hand."""
    return await asyncio.create_task(work, context=Context())

"""A worker: carries the runs of some pools of one gateway, and keeps nothing.

What it holds is what the runs that it carries need: their keys, while it carries them. Each step of
them is the gateway's to decide, to record and to make.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.runs.away import Away
from gateway.runs.heart import beating
from orchestration.engine import Engine
from orchestration.execution import Execution
from orchestration.store import Store
from orchestration.task import Share, own_queue


@asynccontextmanager
async def working(
    store: Store, away: Away, executor: str, pools: tuple[str, ...]
) -> AsyncIterator["asyncio.Future[None]"]:
    """Carry runs until the context is left; a future that fails when the gateway wants none of it.

    executor  its own name, as `away` says it

    Raises RunRefused and EngineRefused.
    """
    await away.appear()
    share = Share(executor, own_queue(executor), serves=pools, admit=away.admit)
    try:
        async with (
            beating(away.asking, away.tell) as beats,
            Engine.opened(store, away.key_of, Execution(away).body, share),
        ):
            yield beats
    finally:
        await away.leave()

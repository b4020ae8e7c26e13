"""Pools: the runs that workers carry, as the gateway looks after them.

Whose lease has lapsed is listened to no more (`gateway.runs.carriers`); only then are its runs put
back into their queues, so that no run ever has two that carry it.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import structlog
from sqlalchemy.exc import SQLAlchemyError

from gateway.background import in_background
from gateway.runs.carriers import LOOK_EVERY_S, Carriers, Listening
from gateway.runs.errors import RunRefused
from gateway.runs.spec import PoolSpec
from orchestration.queues import Queues
from orchestration.task import Places, Share
from orchestration.untaken import Untaken

COUNT_EVERY_S = 2.0
OWN = "gateway.own"
"""The queue of the runs that the gateway carries itself."""

log = structlog.get_logger(__name__)


def gateways_share(pools: Mapping[str, PoolSpec]) -> Share:
    """How the gateway shares its database with the workers of these pools."""
    places = {name: Places(spec.at_once, spec.per_starter) for name, spec in pools.items()}
    return Share(uuid.uuid4().hex, OWN, pools=places)


def workers_of(pools: Mapping[str, PoolSpec]) -> dict[str, frozenset[str]]:
    """Who may carry the runs of each pool."""
    return {name: frozenset(spec.workers) for name, spec in pools.items()}


@asynccontextmanager
async def supervised(
    queues: Queues, carriers: Carriers, listening: Listening, untaken: Untaken
) -> AsyncIterator[None]:
    """Give the runs of workers that are gone to others, and end those that were cancelled before
    anybody had them, for as long as the context lasts.

    listening  the clock of these carriers
    """
    carriers.expect(await queues.carried(carriers.pools))
    work = _sweep(queues, carriers, listening), _count(queues, carriers, untaken)
    async with in_background(*work):
        yield


async def _sweep(queues: Queues, carriers: Carriers, listening: Listening) -> None:
    gone: set[str] = set()
    before = time.monotonic()
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        now = time.monotonic()
        listening.passed(now - before)
        before = now
        gone.update(carriers.lapsed())
        for executor in sorted(gone):
            with _tried_again("worker.runs_kept"):
                await queues.give_back(executor, carriers.pools)
                log.warning("worker.gone", executor=executor)
                gone.discard(executor)


async def _count(queues: Queues, carriers: Carriers, untaken: Untaken) -> None:
    while True:
        with _tried_again("runs.uncounted"):
            carriers.waiting = await queues.waiting(carriers.pools)
        with _tried_again("runs.not_ended"):
            await untaken.end(carriers.pools)
        await asyncio.sleep(COUNT_EVERY_S)


@contextmanager
def _tried_again(event: str) -> Iterator[None]:
    """A database that is away comes back, and so does a log that cannot be written."""
    try:
        yield
    except (SQLAlchemyError, RunRefused) as error:
        log.error(event, reason=type(error).__name__)

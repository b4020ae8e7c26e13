"""Heart: the beat of a worker, from a thread with a loop and a connection of its own.

A worker that begins many runs at once can keep its loop busy for longer than its lease lasts, and
is not gone. The heart says no more than that this loop still turns: when it has stood still for
STILL_S the heart does too, and the lease lapses. With the process it dies at once.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import cast

import httpx
import structlog

from gateway.errors import FetchFailed
from gateway.runs.asking import Asking, client
from gateway.runs.carriers import BEAT_S

STILL_S = 10.0
"""How long the worker's loop may be busy with one thing before it counts as hung."""

log = structlog.get_logger(__name__)


@asynccontextmanager
async def beating(
    asking: Asking,
    tell: Callable[[int], None],
    *,
    connect: Callable[[], httpx.AsyncClient] = client,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator["asyncio.Future[None]"]:
    """Beat for the worker that asks so, until the context is left.

    A future that fails with RunRefused where the gateway wants no such worker.

    tell     is told the time of each answer, in seconds since 1970, from another thread
    connect  what carries the beats; called in that thread
    clock    seconds that only grow
    """
    heart = _Heart(asking, tell, connect, clock)
    own = asyncio.new_event_loop()
    beats = own.create_task(heart.beat())
    feeling = asyncio.create_task(heart.feel())
    thread = ThreadPoolExecutor(1, "heart")
    ended = asyncio.get_running_loop().run_in_executor(thread, _run, own, beats)
    try:
        yield ended
    finally:
        own.call_soon_threadsafe(beats.cancel)
        feeling.cancel()
        await asyncio.gather(ended, feeling, return_exceptions=True)
        thread.shutdown()
        own.close()


class _Heart:
    """What both threads know; each value is written by one of them alone, as a whole."""

    def __init__(
        self,
        asking: Asking,
        tell: Callable[[int], None],
        connect: Callable[[], httpx.AsyncClient],
        clock: Callable[[], float],
    ) -> None:
        self._asking = asking
        self._tell = tell
        self._connect = connect
        self._clock = clock
        self._worker = asyncio.get_running_loop()
        self._felt = clock()
        self._token: str | None = None

    async def feel(self) -> None:
        """On the worker's loop: show that it turns, and bring the token that is good now."""
        while True:
            self._felt = self._clock()
            with suppress(FetchFailed):
                self._token = await self._asking.identity.token(None)
            self._felt = self._clock()
            await asyncio.sleep(BEAT_S)

    async def beat(self) -> None:
        """On the heart's own. Raises RunRefused."""
        async with self._connect() as http:
            identity = replace(self._asking.identity, token=self._good)
            asking = Asking(self._asking.url, identity, http)
            while True:
                again_s = BEAT_S
                if self._clock() - self._felt <= STILL_S:
                    told = await asking.beat()
                    self._tell(cast("int", told["now"]))
                    again_s = float(cast("float", told["again"]))
                else:
                    log.warning("worker.stands_still")
                await asyncio.sleep(again_s)

    async def _good(self, used: str | None) -> str:
        token = self._token
        if token is not None and used is None:
            return token
        # Tokens are had on the worker's loop alone: what is known as a secret is known there.
        asked = asyncio.run_coroutine_threadsafe(self._asking.identity.token(used), self._worker)
        return await asyncio.wrap_future(asked)


def _run(loop: asyncio.AbstractEventLoop, beats: "asyncio.Task[None]") -> None:
    with suppress(asyncio.CancelledError):
        loop.run_until_complete(beats)

"""The bell: wakes every open stream of the operators' listener when entries have become durable."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from audit.entry import Entry
from gateway.operator.errors import OperatorRefused

MOST_STREAMS = 64


class Bell:
    """Rings for everyone who waits; the streams of one gateway, so that they can be ended."""

    def __init__(self) -> None:
        self.streams = 0
        self._news: set[asyncio.Future[None]] = set()
        self._closed = asyncio.Event()

    @property
    def is_closed(self) -> bool:
        """Whether the gateway is about to end, and every stream with it."""
        return self._closed.is_set()

    def check(self) -> None:
        """Raises OperatorRefused (`operator.slow`) when there are as many streams as may be."""
        if self.streams >= MOST_STREAMS:
            raise OperatorRefused("operator.slow", "too many pages are open, or runs followed")

    @contextmanager
    def stream(self) -> Iterator[None]:
        """One stream, as long as the context lasts."""
        self.streams += 1
        try:
            yield
        finally:
            self.streams -= 1

    def ring(self, _: Sequence[Entry]) -> None:
        """Wake everyone; called after each batch of the log."""
        if self._news:
            for waiting in self._news:
                if not waiting.done():
                    waiting.set_result(None)
            self._news.clear()

    def close(self) -> None:
        """End every stream."""
        self._closed.set()
        self.ring(())

    async def wait(self, longest_s: float) -> None:
        """Return at the next ring, or after so long."""
        waiting = asyncio.get_running_loop().create_future()
        self._news.add(waiting)
        with suppress(TimeoutError):
            await asyncio.wait_for(waiting, longest_s)
        self._news.discard(waiting)

    async def rest(self, seconds: float) -> None:
        """Return after so long, or at the end of everything."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), seconds)

"""Slots: so many at a time, and whoever comes when all are taken waits in line.

A semaphore of asyncio does the same; it asks twice, by a generator, whether somebody waits, for
each of the many that need not.
"""

import asyncio
from collections import deque


class Slots:
    """`free` of them, at first."""

    def __init__(self, free: int) -> None:
        self._free = free
        self._line: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Take a slot, if one is free."""
        if self._free == 0:
            return False
        self._free -= 1
        return True

    async def wait(self) -> None:
        """Wait in line until one has been handed over."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it had come: it is the next one's
                self.give_back()
            raise

    def give_back(self) -> None:
        """Hand a slot to whoever waits longest, if anybody does."""
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

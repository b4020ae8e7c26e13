"""Turns: who changes a place waits for whoever does already.

What a key stands for, how full a place is, and which keys are still needed are each looked at
before something is written; nothing may come in between.
"""

import asyncio
from weakref import WeakValueDictionary

from gateway.memory.place import Place


class Turns:
    """One lock for each place that somebody changes; it is gone with the last who holds it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Place, asyncio.Lock] = WeakValueDictionary()

    def at(self, place: Place) -> asyncio.Lock:
        """The lock of that place; to be held by `async with`."""
        lock = self._locks.get(place)
        if lock is None:
            lock = self._locks[place] = asyncio.Lock()
        return lock

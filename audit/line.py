"""The line: entries that wait to be written, and the callers who wait for them.

No timer gathers them: while one batch is being synced the next one forms by itself, and an event
loop calls the writer once a turn of its own, for all that joined in it. The order in which entries
are stamped is the order in the line and in the log.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock, RLock
from typing import Any, TypeAlias

from audit.entry import Receipt, Record
from audit.errors import AuditUnavailable

MOST_WAITING = 4096
MOST_ENTRIES = 1024
MOST_BYTES = 4 << 20
"""A batch holds no more of either, but for a single entry that is larger."""


class Unawaited:
    """In the place of a future that nobody waits for; `lost` hears why an entry was not written."""

    __slots__ = ("_done", "_lost")

    def __init__(self, lost: Callable[[BaseException], None]) -> None:
        self._lost = lost
        self._done = False

    def done(self) -> bool:
        """Whether it is known what became of the entry."""
        return self._done

    def set_result(self, _receipt: Receipt) -> None:
        """It is durable."""
        self._done = True

    def set_exception(self, error: BaseException) -> None:
        """It was not written in time."""
        self._done = True
        self._lost(error)

    def exception(self) -> None:
        """Nobody asks for it later."""


Waiting: TypeAlias = "asyncio.Future[Receipt] | Future[Receipt] | Unawaited"


@dataclass(slots=True)
class Waiter:
    """An entry on its way: its bytes, what they say, and who waits since when (s).

    size  what it takes in a segment, with its payload
    """

    raw: bytes
    body: dict[str, Any]
    payload: bytes | None
    size: int
    future: Waiting
    since: float
    record: Record
    reserved: bool


class Line:
    """A bounded queue between the callers' thread and the writer's."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        # Held while an entry is stamped, so that its place in the line is the one it says.
        self.turn = RLock()
        # Taken, unless the writer is called; let go by nobody without `turn`.
        self._uncalled = Lock()
        self._uncalled.acquire()
        self._waiting: deque[Waiter] = deque()
        self._under_way: list[Waiter] = []
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting) + len(self._under_way)

    def join(self, waiter: Waiter) -> None:
        """Stand behind the last; the caller holds `turn`, and calls the writer afterwards."""
        self._waiting.append(waiter)

    def call(self) -> None:
        """Let the writer come for all who wait."""
        with self.turn:
            if self._uncalled.locked():
                self._uncalled.release()

    def take(self, timeout_s: float | None) -> list[Waiter] | None:
        """Return the next batch, an empty one after `timeout_s`; None when closed and empty."""
        self._under_way = []
        self._uncalled.acquire(timeout=-1 if timeout_s is None else timeout_s)
        with self.turn:
            if self._closed and not self._waiting:
                return None
            self._under_way = self._batch()
            if self._waiting or self._closed:
                self.call()
            return self._under_way

    def drain(self) -> list[Waiter]:
        """Return all who wait, also for the batch under way; the caller holds `turn`."""
        everybody = [*self._under_way, *self._waiting]
        self._under_way = []
        self._waiting.clear()
        return everybody

    def overdue(self, before: float) -> tuple[list[Waiter], float | None]:
        """Those who have waited since `before`, and since when the next one has.

        They stay in the line: their entries are written all the same.
        """
        with self.turn:
            waiting = [w for w in (*self._under_way, *self._waiting) if not w.future.done()]
        late = [waiter for waiter in waiting if waiter.since <= before]
        return late, waiting[len(late)].since if len(late) < len(waiting) else None

    def close(self) -> None:
        """Let the writer go when it has taken everything."""
        with self.turn:
            self._closed = True
            self.call()

    @property
    def closed(self) -> bool:
        """Whether nobody may join any more."""
        return self._closed

    def _batch(self) -> list[Waiter]:
        batch: list[Waiter] = []
        size = 0
        while self._waiting and len(batch) < MOST_ENTRIES:
            size += self._waiting[0].size
            if batch and size > self._most_bytes:
                break
            batch.append(self._waiting.popleft())
        return batch


def acknowledge(batch: list[Waiter], origin: str, first: int, leaves: list[bytes]) -> None:
    """Tell those who still wait that their entries, from index `first` on, are durable."""
    for index, (waiter, leaf) in enumerate(zip(batch, leaves, strict=True), first):
        if not waiter.future.done():
            waiter.future.set_result(Receipt(origin, index, leaf))


def refuse(waiters: list[Waiter], reason: str) -> None:
    """Tell those who still wait that nothing can be promised."""
    for waiter in waiters:
        if not waiter.future.done():
            waiter.future.set_exception(AuditUnavailable(reason))
            waiter.future.exception()  # seen: a caller need not wait for every entry

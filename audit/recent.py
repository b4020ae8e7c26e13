"""The newest entries, kept in memory for whoever follows the log: they need not be read back.

What is not here any more, or not yet, lies in the segments (`audit.reader`).
"""

from collections import deque
from collections.abc import Sequence
from itertools import chain
from threading import Lock

from audit.entry import Entry

MOST_BYTES = 16 << 20
"""Of entries and their payloads: what a busy log takes in between two looks of its publisher."""


class Recent:
    """Durable entries without a gap, up to the newest; from any thread."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._lock = Lock()  # over what follows
        self._batches: deque[tuple[int, Sequence[Entry]]] = deque()  # with their bytes
        self._bytes = 0
        self._end = 0  # the index behind the newest entry

    def add(self, entries: Sequence[Entry], size: int) -> None:
        """A batch is durable. size  its bytes, payloads included"""
        with self._lock:
            if entries[0].index != self._end:  # what lies between is not known here
                self._batches.clear()
                self._bytes = 0
            self._batches.append((size, entries))
            self._bytes += size
            self._end = entries[-1].index + 1
            while self._bytes > self._most_bytes:
                self._bytes -= self._batches.popleft()[0]

    def between(self, start: int, stop: int) -> list[Entry] | None:
        """The entries from `start` up to, without, `stop`; None when not all of them are here."""
        with self._lock:
            if not self._batches or start < self._batches[0][1][0].index or stop > self._end:
                return None
            batches = [each for _, each in self._batches if each[-1].index >= start]
        return [each for each in chain.from_iterable(batches) if start <= each.index < stop]

"""The scribe: the one thread that writes, and what it does when it cannot.

A full disk refuses ordinary entries and leaves the reserve to those that must be possible. A write
or sync that fails refuses all: nothing is tried again on the same file, but once a second the log
is read back up to what was durable and goes on in a new segment.
"""

import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict
from threading import Thread
from typing import Protocol

from audit.canonical import Json
from audit.entry import Record
from audit.errors import LogUnusable
from audit.line import Line, Waiter
from audit.stamp import Stamp
from audit.store import Recovery, Store
from audit.writer import NoRoom, frames_size

RETRY_S = 1.0


class Verdicts(Protocol):
    """How those who wait are told; called in the scribe's thread."""

    def durable(self, batch: list[Waiter], first: int, leaves: list[bytes]) -> None:
        """The entries of a batch are durable, the first of them at index `first`."""

    def refused(self, waiters: list[Waiter], reason: str) -> None:
        """Nothing can be promised to these."""


class Scribe:
    """Takes batches from the line and writes them, until the line is closed."""

    def __init__(self, store: Store, line: Line, stamp: Stamp, verdicts: Verdicts) -> None:
        self._store = store
        self._line = line
        self._stamp = stamp
        self._verdicts = verdicts
        self._mend_at = 0.0
        self.trouble: str | None = None
        """Why nothing can be written."""
        self.full = False
        """Whether only the reserve is left."""
        self._thread = Thread(target=self._run, name="audit-writer", daemon=True)

    def start(self) -> None:
        """Begin; the first entry says how the log was found, if it had not been closed."""
        if self._store.recovered:
            self._record(self._store.recovered)
        self._thread.start()

    def join(self) -> None:
        """Wait until everything is written and the store is closed."""
        self._thread.join()

    def _run(self) -> None:
        unwell = True
        while (batch := self._line.take(RETRY_S if unwell else None)) is not None:
            if batch:
                self._write(batch)
            unwell = self._is_unwell()
            if unwell and time.monotonic() >= self._mend_at:
                self._mend()
                self._mend_at = time.monotonic() + RETRY_S
        with suppress(OSError):  # without its mark the next start is careful, nothing more
            if self.trouble:
                self._store.abandon()
            else:
                self._store.close()

    def _write(self, batch: list[Waiter]) -> None:
        writer = self._store.writer
        first = writer.head.size
        may_use_reserve = all(waiter.reserved for waiter in batch)
        try:
            size = sum(waiter.size for waiter in batch)
            leaves = writer.commit(batch, size, reserved=may_use_reserve)
        except NoRoom as error:
            self._fill(str(error))
        except OSError as error:
            self._fail(error)
        else:
            self._verdicts.durable(batch, first, leaves)

    def _fill(self, reason: str) -> None:
        """Refuse those who wait; when that is new, those who may use the reserve queue again."""
        with self._line.turn:
            waiters = self._line.drain()
            self._stamp.new_boot()
            again = [] if self.full else [waiter for waiter in waiters if waiter.reserved]
            self.full = True
            for waiter in again:
                waiter.raw, waiter.body = self._stamp.encode(waiter.record)
                self._stamp.advance()
                self._line.join(waiter)
        self._line.call()
        refused = waiters if not again else [w for w in waiters if not w.reserved]
        self._verdicts.refused(refused, reason)

    def _fail(self, error: OSError) -> None:
        reason = f"the log cannot be written: {error.strerror or error}"
        with self._line.turn:
            self.trouble = reason
            waiters = self._line.drain()
        self._store.writer.abandon()
        self._verdicts.refused(waiters, reason)

    def _is_unwell(self) -> bool:
        """Whether to look again soon: a spare that is still being made may come to nothing."""
        return bool(self.trouble) or self.full or not self._store.writer.spare_ready

    def _mend(self) -> None:
        if self.trouble:
            self._reopen(self.trouble)
        elif self._store.writer.spare_ready:
            self.full = False
        else:
            self._store.writer.retry_spare()

    def _reopen(self, cause: str) -> None:
        try:
            self._store.reopen()
            with self._line.turn:
                self._stamp.new_boot()
            self._record(Recovery(self._store.head.size, None, cause))
        except (OSError, NoRoom, LogUnusable):
            return  # tried again in a second; what was wrong first is still the reason
        self.full = False
        self.trouble = None

    def _record(self, recovery: Recovery) -> None:
        """Write that the log was recovered, before anything else. Raises OSError or NoRoom."""
        tail: Json = asdict(recovery.tail) if recovery.tail else None
        fields: dict[str, Json] = {"cause": recovery.cause, "size": recovery.size, "tail": tail}
        record = Record(self._stamp.new_id(), "recovery", fields)
        raw, body = self._stamp.encode(record)
        self._stamp.advance()
        size = frames_size(raw, None)
        waiter = Waiter(raw, body, None, size, Future(), 0.0, record, reserved=True)
        first = self._store.head.size
        leaves = self._store.writer.commit([waiter], size, reserved=True)
        self._verdicts.durable([waiter], first, leaves)

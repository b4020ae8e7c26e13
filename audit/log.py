"""The log: a caller's record goes in, and a receipt comes back once it is durable.

Callers stamp their entries and stand in the line (`audit.line`); one thread writes all who wait as
one batch (`audit.scribe`, `audit.writer`). Every failure ends in AuditUnavailable for whoever
waits: who cannot record must not act.
"""

import asyncio
import concurrent.futures
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import get_ident
from typing import Literal, Self, TypeAlias

from audit.checkpoint import Checkpoint
from audit.entry import Entry, Receipt, Record
from audit.errors import (
    AuditUnavailable,
    EntryRefused,
    LogDamaged,
    NoSuchEntry,
    NotIncluded,
)
from audit.files import Files, OsFiles
from audit.line import (
    MOST_BYTES,
    MOST_WAITING,
    Line,
    Unawaited,
    Waiter,
    Waiting,
    acknowledge,
    refuse,
)
from audit.merkle import consistency_path, inclusion_path, verify_inclusion
from audit.note import Signer
from audit.proof import Proof
from audit.recent import Recent
from audit.scribe import Scribe
from audit.stamp import Stamp
from audit.store import Store
from audit.writer import frames_size

SEGMENT_BYTES = 64 << 20
LONGEST_WAIT_S = 2.0
RIDE_S = 0.01
"""How long an entry for which nobody waits stays for another batch, before it gets its own: longer
than a run of one caller takes from an answer to its next call, which would wait for that sync too.
"""

_MOST_ORIGIN_BYTES = 255
_TOO_LONG = f"not durable after {LONGEST_WAIT_S:.0f} s"

Subscriber: TypeAlias = Callable[[list[Entry]], None]


def microseconds() -> int:
    """The time by the system's clock, in microseconds since 1970."""
    return time.time_ns() // 1000


class Log:
    """An open log. Writing belongs to one event loop; reading, to any thread."""

    def __init__(self, store: Store, signer: Signer, clock: Callable[[], int]) -> None:
        """Begin to write to an opened store; see `open`."""
        self._store = store
        self._signer = signer
        self.origin = signer.name
        self.recovered = store.recovered
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0  # in which it runs
        self._timer: asyncio.TimerHandle | None = None
        self._calling = False  # the writer is called at the end of this turn of the loop
        self._left: float | None = None  # since when somebody waits for others to go along with
        self._ride: asyncio.TimerHandle | None = None  # looks whether any have come
        self._subscribers: list[Subscriber] = []
        self._stamp = Stamp(clock, last=self._last_time())
        self.now = self._stamp.now
        """Microseconds since 1970, never less than in the last entry."""
        self.new_id = self._stamp.new_id
        """An id for a record: a UUIDv7."""
        self._recent = Recent()
        self._line = Line(min(MOST_BYTES, store.writer.largest))
        self._scribe = Scribe(store, self._line, self._stamp, self)
        self._scribe.start()

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        signer: Signer,
        segment_bytes: int = SEGMENT_BYTES,
        clock: Callable[[], int] = microseconds,
        files: Files | None = None,
        published: bytes | None = None,
    ) -> Self:
        """Take the folder for this process and recover what is in it, making a log where none is.

        signer         its name is the origin of the log
        segment_bytes  size of the files; an entry and its payload must fit into one
        clock          microseconds since 1970; may jump, the log's time does not run backwards
        published      the newest signed checkpoint known elsewhere, which the log must contain

        Raises LogLocked, LogDamaged, LogRolledBack, BadSignature (of `published`) or OSError.
        """
        if len(signer.name.encode()) > _MOST_ORIGIN_BYTES:
            raise ValueError(f"an origin has at most {_MOST_ORIGIN_BYTES} bytes")
        store = Store.open(
            files or OsFiles(), folder, signer, segment_bytes=segment_bytes, published=published
        )
        try:
            return cls(store, signer, clock)
        except BaseException:
            store.abandon()
            raise

    @property
    def size(self) -> int:
        """How many entries are durable."""
        return self._store.head.size

    @property
    def boot(self) -> str:
        """The present run of the writer; a new one begins whenever entries had to be refused."""
        return self._stamp.boot

    @property
    def state(self) -> Literal["ok", "degraded", "read_only"]:
        """`degraded`: no segment is ready to follow; `read_only`: ordinary entries are refused."""
        if self._scribe.trouble or self._scribe.full or self._line.closed:
            return "read_only"
        return "degraded" if self._store.writer.spare_missing else "ok"

    @property
    def trouble(self) -> str | None:
        """Why nothing at all can be written."""
        return self._scribe.trouble

    async def append(self, record: Record, *, reserved: bool = False) -> Receipt:
        """Write an entry; returns when it is durable.

        reserved  it must be possible on a full disk: security-relevant and rare

        Raises EntryRefused for a record that cannot become an entry, and AuditUnavailable for
        every other reason: the disk, too many who wait, a wait of more than LONGEST_WAIT_S.
        """
        return await self.enqueue(record, reserved=reserved)

    def enqueue(self, record: Record, *, reserved: bool = False) -> "asyncio.Future[Receipt]":
        """Write an entry with the next batch; the future is done when it is durable."""
        loop = self._here()
        future: asyncio.Future[Receipt] = loop.create_future()
        self._enter(record, future, loop, reserved=reserved)
        return future

    def leave(self, record: Record, lost: Callable[[BaseException], None]) -> None:
        """Write an entry for which nobody waits: with the next batch, within RIDE_S if none comes.

        lost  called in the event loop with the error, when it could not be written after all
        """
        self._enter(record, Unawaited(lost), self._here(), reserved=False)

    def append_now(self, record: Record, *, reserved: bool = False) -> Receipt:
        """Write an entry and block until it is durable: before an event loop runs, or beside it.

        Raises as `append` does.
        """
        if self._loop and self._loop.is_closed():
            self._loop = None
        future: concurrent.futures.Future[Receipt] = concurrent.futures.Future()
        waiter = self._join(record, future, time.monotonic(), reserved=reserved)
        self._line.call()
        try:
            receipt = future.result(LONGEST_WAIT_S)
        except TimeoutError:
            raise AuditUnavailable(_TOO_LONG) from None
        if self._loop is None:
            for callback in self._subscribers:
                callback([_entry(waiter, receipt.index, receipt.leaf)])
        return receipt

    def subscribe(self, callback: Subscriber) -> None:
        """Call `callback` with the entries of each durable batch, in order, in the event loop."""
        self._subscribers.append(callback)

    def entry(self, index: int) -> Entry:
        """Return a durable entry, checked against the signed root.

        Raises NoSuchEntry, LogDamaged or OSError.
        """
        return self._included(index, self._store.head.size)[0]

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """Yield durable entries from `start` up to `stop`, or to the present end.

        Raises LogDamaged or OSError.
        """
        size = self.size
        stop = size if stop is None else min(stop, size)
        recent = self._recent.between(start, stop)
        return self._store.reader.entries(start, stop) if recent is None else iter(recent)

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        """The state of the log now, or when it had `size` entries. Raises LogDamaged or OSError."""
        head = self._store.head
        if size is None or size == head.size:
            return Checkpoint(self.origin, head.size, head.root)
        if not 0 <= size < head.size:
            raise ValueError(f"the log has {head.size} entries, not {size}")
        return Checkpoint(self.origin, size, self._store.reader.frontier(size, head.size).root())

    def signed_checkpoint(self) -> bytes:
        """The signed checkpoint over all durable entries."""
        return self._store.head.note

    def prove(self, index: int, size: int | None = None) -> str:
        """A proof (tlog-proof@v1) that entry `index` is in the log, now or when it had `size`.

        Raises NoSuchEntry, LogDamaged or OSError.
        """
        head = self._store.head
        size = head.size if size is None else size
        _, path, checkpoint = self._included(index, size)
        note = head.note.decode() if size == head.size else self._signer.sign(str(checkpoint))
        return str(Proof(index, tuple(path), note))

    def consistency(self, old: int, new: int | None = None) -> list[bytes]:
        """The hashes that show the log of `new` entries to continue the one of `old`.

        Raises ValueError, LogDamaged or OSError.
        """
        size = self.size
        new = size if new is None else new
        if new > size:
            raise ValueError(f"the log has {size} entries, not {new}")
        return consistency_path(old, new, self._store.reader.hashes(size))

    def stats(self) -> Mapping[str, float]:
        """Numbers for metrics."""
        writer = self._store.writer
        return {
            "size": writer.head.size,
            "waiting": len(self._line),
            "last_batch_entries": writer.last_batch,
            "last_sync_seconds": writer.last_sync_us / 1e6,
            "commit_age_seconds": time.monotonic() - writer.last_commit_s,
            "writable": self.state != "read_only",
            "spare_ready": not writer.spare_missing,
        }

    async def close(self) -> None:
        """Write what waits, leave the mark of a clean stop, and give up the lock."""
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """As `close`, blocking."""
        self._line.close()
        self._scribe.join()
        for timer in (self._timer, self._ride):
            if timer:
                timer.cancel()

    def _here(self) -> asyncio.AbstractEventLoop:
        """The event loop that runs here. Raises RuntimeError where none does.

        It is looked up only where it may be another than last time: up to CPython 3.11 that takes a
        system call.
        """
        loop = self._loop
        if loop is not None and get_ident() == self._thread and loop.is_running():
            return loop
        running = asyncio.get_running_loop()
        if running is not loop:
            self._loop, self._timer, self._ride, self._calling = running, None, None, False
            self._left = None
        self._thread = get_ident()
        return running

    def _enter(
        self, record: Record, future: Waiting, loop: asyncio.AbstractEventLoop, *, reserved: bool
    ) -> None:
        since = loop.time()
        self._join(record, future, since, reserved=reserved)
        if isinstance(future, Unawaited):
            # A sync of its own would keep those waiting who come meanwhile.
            if self._left is None:
                self._left = since
            if self._ride is None:
                self._ride = loop.call_at(since + RIDE_S, self._call_alone, loop)
        elif not self._calling:
            self._calling = True
            loop.call_soon(self._call)
        if self._timer is None:
            self._timer = loop.call_at(since + LONGEST_WAIT_S, self._expire, loop)

    def _call(self) -> None:
        self._calling = False
        self._left = None  # all who wait go along
        self._line.call()

    def _call_alone(self, loop: asyncio.AbstractEventLoop) -> None:
        """Call the writer for those who have waited long enough for others, or look again."""
        self._ride = None
        if self._left is None:
            return
        if loop.time() < self._left + RIDE_S:
            self._ride = loop.call_at(self._left + RIDE_S, self._call_alone, loop)
        else:
            self._left = None
            self._line.call()

    def _join(self, record: Record, future: Waiting, since: float, *, reserved: bool) -> Waiter:
        payload = record.sealed.payload if record.sealed else None
        with self._line.turn:
            self._admit(reserved=reserved)
            raw, body = self._stamp.encode(record)
            size = frames_size(raw, payload)
            if size > self._store.writer.largest:
                raise EntryRefused(f"{record.kind}: {size} bytes do not fit into a segment")
            waiter = Waiter(raw, body, payload, size, future, since, record, reserved)
            self._stamp.advance()
            self._line.join(waiter)
        return waiter

    def _admit(self, *, reserved: bool) -> None:
        if self._scribe.trouble:
            raise AuditUnavailable(self._scribe.trouble)
        if self._scribe.full and not reserved:
            raise AuditUnavailable("the disk is full; the rest is kept for what must be possible")
        if self._line.closed:
            raise AuditUnavailable("the log is being closed")
        if len(self._line) >= MOST_WAITING:
            raise AuditUnavailable(f"{MOST_WAITING} entries wait already")

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        """Refuse those who have waited too long, and look again when the next will have."""
        late, since = self._line.overdue(loop.time() - LONGEST_WAIT_S)
        refuse(late, _TOO_LONG)
        if since is None:
            self._timer = None
        else:
            self._timer = loop.call_at(since + LONGEST_WAIT_S, self._expire, loop)

    def _acknowledge(self, batch: list[Waiter], first: int, leaves: list[bytes]) -> None:
        if self._subscribers and self._loop:
            entries = [
                _entry(waiter, index, leaf)
                for index, (waiter, leaf) in enumerate(zip(batch, leaves, strict=True), first)
            ]
            for callback in self._subscribers:  # scheduled before those who wait go on
                self._loop.call_soon(callback, entries)
        acknowledge(batch, self.origin, first, leaves)

    def durable(self, batch: list[Waiter], first: int, leaves: list[bytes]) -> None:
        """See `audit.scribe.Verdicts`."""
        written = enumerate(zip(batch, leaves, strict=True), first)
        self._recent.add(
            [Entry(index, leaf, each.raw, each.payload) for index, (each, leaf) in written],
            sum([each.size for each in batch]),
        )
        self._post(self._acknowledge, batch, first, leaves)

    def refused(self, waiters: list[Waiter], reason: str) -> None:
        """See `audit.scribe.Verdicts`."""
        self._post(refuse, waiters, reason)

    def _post(self, verdict: Callable[..., None], *arguments: object) -> None:
        """Give a verdict in the event loop, where there is one."""
        loop = self._loop
        if loop is None:
            verdict(*arguments)
            return
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(verdict, *arguments)

    def _included(self, index: int, size: int) -> tuple[Entry, list[bytes], Checkpoint]:
        """An entry with the path that leads from it to the root of the first `size` entries."""
        committed = self._store.head.size
        if not 0 <= index < size <= committed:
            raise NoSuchEntry(index, min(size, committed))
        reader, checkpoint = self._store.reader, self.checkpoint(size)
        entry = reader.entry(index, committed)
        path = inclusion_path(index, size, reader.hashes(committed))
        try:
            verify_inclusion(entry.leaf, index, size, path, checkpoint.root)
        except NotIncluded as error:
            raise LogDamaged("is not what was signed", place=f"entry {index}") from error
        return entry, path, checkpoint

    def _last_time(self) -> int:
        size = self._store.head.size
        ts: int = self._store.reader.entry(size - 1, size).body["ts"] if size else 0
        return ts


def _entry(waiter: Waiter, index: int, leaf: bytes) -> Entry:
    return Entry(index, leaf, waiter.raw, waiter.payload, waiter.body)

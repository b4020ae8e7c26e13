"""The store: the log's folder, held by this process alone, checked, and open for writing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from audit.checkpoint import Checkpoint
from audit.errors import LogDamaged, LogLocked, LogRolledBack
from audit.files import Files
from audit.merkle import EMPTY_ROOT
from audit.note import Signer, Verifier
from audit.reader import Reader
from audit.recovery import Head, State, Tail, check_contains, recover, recover_to
from audit.tree import Tree
from audit.watermark import Mark, Watermark
from audit.writer import Writer


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a log was found that had not been closed.

    size   entries that were there; all that were acknowledged are among them
    tail   a batch that was being written, if any of it was left
    cause  what ended the run before
    """

    size: int
    tail: Tail | None
    cause: str


class Store:
    """A folder with its lock, its writer and its reader."""

    def __init__(
        self, files: Files, folder: Path, signer: Signer, segment_bytes: int, lock: int
    ) -> None:
        self._files = files
        self._folder = folder
        self._signer = signer
        self._verifier = Verifier.parse(signer.vkey)
        self._segment_bytes = segment_bytes
        self._lock = lock
        self.recovered: Recovery | None = None
        self.writer: Writer
        self.reader: Reader

    @classmethod
    def open(
        cls,
        files: Files,
        folder: Path,
        signer: Signer,
        *,
        segment_bytes: int,
        published: bytes | None,
    ) -> Self:
        """Take the lock and recover; see `Log.open`."""
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
            files.sync_folder(folder.parent)
        try:
            lock = files.lock(folder)
        except BlockingIOError:
            raise LogLocked("another process writes to this log") from None
        store = cls(files, folder, signer, segment_bytes, lock)
        try:
            store._recover(published)
        except BaseException:
            files.close(lock)
            raise
        return store

    @property
    def head(self) -> Head:
        """The log at its last durable commit."""
        return self.writer.head

    def reopen(self) -> None:
        """After a failed write: go on behind the last durable commit, in a new segment.

        Raises OSError or LogUnusable; then it may be tried again.
        """
        state = recover_to(self._files, self._folder, self._verifier, self.head)
        watermark = Watermark.open(self._files, self._folder)
        self._write_to(state, watermark)

    def close(self) -> None:
        """Leave the mark of a clean stop, and the lock. Raises OSError."""
        try:
            self.writer.close()
        finally:
            self._files.close(self._lock)

    def abandon(self) -> None:
        """Leave the files as a failure left them, and the lock."""
        self.writer.abandon()
        self._files.close(self._lock)

    def _recover(self, published: bytes | None) -> None:
        state = recover(self._files, self._folder, self._verifier)
        if state is None and self._is_new():
            watermark = Watermark.create(self._files, self._folder)
        else:
            watermark = Watermark.open(self._files, self._folder)
        state = state or self._empty()
        try:
            self._check(state, watermark.mark, published)
        except BaseException:
            watermark.close()
            raise
        if state.head.size and not watermark.mark.closed:
            self.recovered = Recovery(state.head.size, state.tail, "not closed")
        self._write_to(state, watermark)

    def _is_new(self) -> bool:
        return not self._files.names(self._folder)

    def _empty(self) -> State:
        checkpoint = Checkpoint(self._signer.name, 0, EMPTY_ROOT)
        note = self._signer.sign(str(checkpoint)).encode()
        return State(Head(0, EMPTY_ROOT, note), Tree(), None, None)

    def _check(self, state: State, mark: Mark, published: bytes | None) -> None:
        head, reader = state.head, Reader(self._files, self._folder, state.tree)
        check_contains(reader, head, mark.size, mark.root, source="the watermark")
        if mark.closed and mark.size != head.size:
            raise LogRolledBack(
                f"closed with {mark.size} entries, now {head.size}",
                found=head.size,
                expected=mark.size,
            )
        if mark.closed and state.tail:
            raise LogDamaged("bytes lie behind the end of a closed log", place=state.tail.place)
        if published is not None:
            known = Checkpoint.parse(self._verifier.open(published))
            source = "the published checkpoint"
            check_contains(reader, head, known.size, known.root, source=source)

    def _write_to(self, state: State, watermark: Watermark) -> None:
        self.writer = Writer(
            self._files,
            self._folder,
            self._signer,
            state,
            watermark,
            segment_bytes=self._segment_bytes,
        )
        self.reader = Reader(self._files, self._folder, state.tree)

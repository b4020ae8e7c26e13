"""The spare: the next segment, zero-filled and synced before it is needed.

So a full disk is noticed while the segment in use still has room, and no sync waits for blocks.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from audit.files import Files
from audit.segments import HEADER_BYTES, SPARE


class Spare:
    """Makes one file ahead, in a thread of its own."""

    def __init__(self, files: Files, folder: Path, size: int) -> None:
        self._files = files
        self._path = folder / SPARE
        self._size = size
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="audit-spare")
        self._made: Future[int] = self._maker.submit(self._make)

    @property
    def missing(self) -> bool:
        """Whether the last attempt failed."""
        return self._made.done() and self._made.exception() is not None

    @property
    def ready(self) -> bool:
        """Whether it can be taken at once."""
        return self._made.done() and self._made.exception() is None

    def retry(self) -> None:
        """Try again when the last attempt failed."""
        if self.missing:
            self._made = self._maker.submit(self._make)

    def take(self) -> tuple[int, Path]:
        """Return descriptor and path, waiting while it is being made. Raises OSError."""
        return self._made.result(), self._path

    def taken(self) -> None:
        """Make the next one; the last was renamed."""
        self._made = self._maker.submit(self._make)

    def close(self) -> None:
        """Stop, and leave the file for the next start."""
        self._maker.shutdown()
        if not self._made.exception():
            self._files.close(self._made.result())

    def _make(self) -> int:
        found = self._find()
        return self._files.create(self._path, self._size) if found is None else found

    def _find(self) -> int | None:
        """A spare of an earlier start: only its header can have been written to."""
        try:
            descriptor = self._files.open(self._path)
        except FileNotFoundError:
            return None
        header = self._files.read(descriptor, HEADER_BYTES, 0)
        if self._files.size(descriptor) == self._size and not any(header):
            return descriptor
        self._files.close(descriptor)
        return None

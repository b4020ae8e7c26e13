"""Disks that a test can stop, fill or make read-only below a running gateway."""

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audit.files import OsFiles, write_all
from tests.harness.reached import LONGEST_S


class SteppingFiles(OsFiles):
    """Writes first and syncs then, each by its own method, so that a test can come between."""

    def write_durably(self, descriptor: int, data: bytes, offset: int) -> None:
        """See Files."""
        write_all(self, descriptor, data, offset)
        self.sync(descriptor)


class StallingDisk(SteppingFiles):
    """A disk whose syncs wait while it is stalled: what comes meanwhile makes up one batch."""

    def __init__(self) -> None:
        super().__init__()
        self._free = threading.Event()
        self._free.set()

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Hold every sync until the block ends."""
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()

    def sync(self, descriptor: int) -> None:
        """Make durable, once the disk is not stalled."""
        assert self._free.wait(LONGEST_S)
        super().sync(descriptor)


class FailingDisk(SteppingFiles):
    """A disk on which writing fails with `error` while that is set."""

    error: int | None = None

    def create(self, path: Path, size: int) -> int:
        """Make a file, if there is room."""
        self._fail()
        return super().create(path, size)

    def write(self, descriptor: int, data: bytes, offset: int) -> int:
        """Write, if that works."""
        self._fail()
        return super().write(descriptor, data, offset)

    def sync(self, descriptor: int) -> None:
        """Make durable, if that works."""
        self._fail()
        super().sync(descriptor)

    def fill(self) -> None:
        """Have no room from now on."""
        self.error = errno.ENOSPC

    def mend(self) -> None:
        """Work again."""
        self.error = None

    def _fail(self) -> None:
        if self.error is not None:
            raise OSError(self.error, "the disk fails")

"""The file operations of the log, as one small interface.

Everything the log asks of the operating system goes through `Files`, so that tests can put a disk
below it that fills up, fails, or loses what was not synced.
"""

import errno
import fcntl
import os
import sys
from pathlib import Path
from typing import Protocol

_ZEROS = bytes(1 << 20)
_VOLATILE = frozenset({"tmpfs", "ramfs"})


class Files(Protocol):
    """What the log needs from a disk. Every method may raise OSError."""

    def lock(self, folder: Path) -> int:
        """Take the folder for this process alone; BlockingIOError when somebody else has it."""

    def names(self, folder: Path) -> list[str]:
        """The names in a folder, sorted."""

    def create(self, path: Path, size: int) -> int:
        """Make a file of `size` zero bytes, durable before this returns; all of it or nothing."""

    def open(self, path: Path) -> int:
        """Open an existing file for reading and writing."""

    def size(self, descriptor: int) -> int:
        """The length of an open file."""

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """Up to `length` bytes from `offset` on; fewer only at the end."""

    def write(self, descriptor: int, data: bytes, offset: int) -> int:
        """Write at `offset`; returns how many bytes were taken, as the system call does."""

    def write_durably(self, descriptor: int, data: bytes, offset: int) -> None:
        """Write all of `data` at `offset`, durable when this returns; fails as `sync` does."""

    def sync(self, descriptor: int) -> None:
        """Make what was written durable. After a failure nothing is known: never call again."""

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable."""

    def forget(self, descriptor: int) -> None:
        """Drop a file from the cache, so that reading asks the disk; best effort."""

    def rename(self, path: Path, new: Path) -> None:
        """Rename within one folder."""

    def remove(self, path: Path) -> None:
        """Remove a file if it is there."""

    def protect(self, path: Path) -> None:
        """Make a finished file read-only."""

    def close(self, descriptor: int) -> None:
        """Close a descriptor, and give up its lock."""


class OsFiles:
    """The real thing."""

    def lock(self, folder: Path) -> int:
        """Lock the folder itself (flock): the lock ends with the process, however that ends."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def names(self, folder: Path) -> list[str]:
        """See Files."""
        return sorted(path.name for path in folder.iterdir())

    def create(self, path: Path, size: int) -> int:
        """Reserve the space first, so that a full disk is noticed before it is written to."""
        self.remove(path)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _fill(descriptor, size)
            os.fsync(descriptor)
            self.sync_folder(path.parent)
        except OSError:
            os.close(descriptor)
            self.remove(path)
            raise
        return descriptor

    def open(self, path: Path) -> int:
        """See Files; a finished file can only be opened for reading."""
        writable = os.access(path, os.W_OK) and path.stat().st_mode & 0o200
        return os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)

    def size(self, descriptor: int) -> int:
        """See Files."""
        return os.fstat(descriptor).st_size

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """See Files."""
        return os.pread(descriptor, length, offset)

    def write(self, descriptor: int, data: bytes, offset: int) -> int:
        """See Files."""
        return os.pwrite(descriptor, data, offset)

    def write_durably(self, descriptor: int, data: bytes, offset: int) -> None:
        """In one system call where there is one (RWF_DSYNC, pwritev2(2)): between two, a thread
        that waits for the interpreter lock would run first.
        """
        taken = _write_through(descriptor, data, offset)
        if taken < len(data):
            write_all(self, descriptor, data[taken:], offset + taken)
            self.sync(descriptor)

    def sync(self, descriptor: int) -> None:
        """See Files."""
        if sys.platform == "darwin":  # there fsync leaves data in the drive's own cache
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        else:
            os.fdatasync(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """See Files."""
        sync_folder(folder)

    def forget(self, descriptor: int) -> None:
        """See Files."""
        if sys.platform != "darwin":
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def rename(self, path: Path, new: Path) -> None:
        """See Files."""
        path.rename(new)

    def remove(self, path: Path) -> None:
        """See Files."""
        path.unlink(missing_ok=True)

    def protect(self, path: Path) -> None:
        """See Files."""
        path.chmod(0o400)

    def close(self, descriptor: int) -> None:
        """See Files."""
        os.close(descriptor)


def write_all(files: Files, descriptor: int, data: bytes, offset: int) -> None:
    """Write all of `data`, also when the system takes it in parts. Raises OSError."""
    taken = files.write(descriptor, data, offset)
    while taken < len(data):
        more = files.write(descriptor, data[taken:], offset + taken)
        if not more:
            raise OSError("the system takes no more bytes")
        taken += more


def is_volatile(folder: Path) -> bool:
    """Whether a folder lies in memory (tmpfs): nothing in it survives the machine."""
    mounts = Path("/proc/self/mountinfo")
    if not mounts.exists():  # no such file system is mounted by default elsewhere
        return False
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.read_text().splitlines():
        fields, _, kind = line.partition(" - ")
        if fields.split()[2] == number:
            return kind.split()[0] in _VOLATILE
    return False


def _write_through(descriptor: int, data: bytes, offset: int) -> int:
    """Write and sync at once; returns how many bytes are durable, 0 where that is not offered."""
    if sys.platform != "linux":
        return 0
    try:
        return os.pwritev(descriptor, (data,), offset, os.RWF_DSYNC)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:  # a sandbox such as gVisor, or an old kernel
            raise
        return 0


def _fill(descriptor: int, size: int) -> None:
    if sys.platform != "darwin":
        os.posix_fallocate(descriptor, 0, size)
    offset = 0
    while offset < size:  # written, not only reserved: a later sync then has no blocks to convert
        offset += os.pwrite(descriptor, _ZEROS[: size - offset], offset)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

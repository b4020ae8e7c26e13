"""Disks that misbehave, below the log."""

import errno
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

from tests.harness.disk import SteppingFiles

SECTOR = 512


class FailingFiles(SteppingFiles):
    """Fails on demand: a rule is asked before every operation, with its name and path."""

    def __init__(self) -> None:
        self.rule: Callable[[str, str], int | None] = lambda _operation, _name: None
        self.calls: list[tuple[str, str]] = []
        self.short = False
        """Whether every write takes half of what it is given."""
        self._names: dict[int, str] = {}

    def lock(self, folder: Path) -> int:
        self._ask("lock", folder.name)
        return super().lock(folder)

    def names(self, folder: Path) -> list[str]:
        self._ask("names", folder.name)
        return super().names(folder)

    def create(self, path: Path, size: int) -> int:
        self._ask("create", path.name)
        return self._named(super().create(path, size), path)

    def open(self, path: Path) -> int:
        self._ask("open", path.name)
        return self._named(super().open(path), path)

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        self._ask("read", self._names[descriptor])
        return super().read(descriptor, length, offset)

    def write(self, descriptor: int, data: bytes, offset: int) -> int:
        self._ask("write", self._names[descriptor])
        if self.short and len(data) > 1:
            data = data[: len(data) // 2]
        return super().write(descriptor, data, offset)

    def sync(self, descriptor: int) -> None:
        self._ask("sync", self._names[descriptor])
        super().sync(descriptor)

    def sync_folder(self, folder: Path) -> None:
        self._ask("sync_folder", folder.name)
        super().sync_folder(folder)

    def rename(self, path: Path, new: Path) -> None:
        self._ask("rename", path.name)
        super().rename(path, new)
        for descriptor, name in self._names.items():
            if name == path.name:
                self._names[descriptor] = new.name

    def protect(self, path: Path) -> None:
        self._ask("protect", path.name)
        super().protect(path)

    def fail(self, operation: str, name: str, code: int = errno.EIO) -> None:
        """From now on let `operation` on files whose name ends in `name` fail."""
        self.rule = lambda op, file: code if op == operation and file.endswith(name) else None

    def heal(self) -> None:
        """Work again."""
        self.rule = lambda _operation, _name: None

    def _ask(self, operation: str, name: str) -> None:
        self.calls.append((operation, name))
        code = self.rule(operation, name)
        if code is not None:
            raise OSError(code, errno.errorcode[code])

    def _named(self, descriptor: int, path: Path) -> int:
        self._names[descriptor] = path.name
        return descriptor


class PowerCut(BaseException):
    """The machine stops here."""


class SectorLossFiles(SteppingFiles):
    """A disk whose cache forgets: at a cut any of the unsynced sectors may be lost.

    The folder holds what the system would read back, `_durable` what is on the platter. The
    operations of the main thread are counted, and the one after the last allowed is a PowerCut.
    """

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self._durable: dict[int, bytearray] = {}  # by inode
        self._dirty: dict[int, set[int]] = {}
        self._inodes: dict[int, int] = {}  # by descriptor
        self._renamed: list[tuple[Path, Path]] = []  # not synced yet

    def create(self, path: Path, size: int) -> int:
        descriptor = super().create(path, size)
        self._durable.pop(os.fstat(descriptor).st_ino, None)  # that of a file removed before
        return self._opened(descriptor)

    def open(self, path: Path) -> int:
        return self._opened(super().open(path))

    def close(self, descriptor: int) -> None:
        self._inodes.pop(descriptor, None)
        super().close(descriptor)

    def write(self, descriptor: int, data: bytes, offset: int) -> int:
        self._count()
        taken = super().write(descriptor, data, offset)
        sectors = range(offset // SECTOR, (offset + taken - 1) // SECTOR + 1)
        self._dirty.setdefault(self._inodes[descriptor], set()).update(sectors)
        return taken

    def sync(self, descriptor: int) -> None:
        self._count()
        inode = self._inodes[descriptor]
        image = self._durable[inode]
        for sector in self._dirty.pop(inode, ()):
            at = sector * SECTOR
            image[at : at + SECTOR] = self.read(descriptor, SECTOR, at)

    def rename(self, path: Path, new: Path) -> None:
        self._count()
        super().rename(path, new)
        self._renamed.append((path, new))

    def sync_folder(self, folder: Path) -> None:
        self._count()
        self._renamed.clear()

    def cut(self, folder: Path, rng: random.Random) -> None:
        """Lose power: each unsynced sector and name survives, or not."""
        share = rng.random()
        for path in sorted(folder.iterdir()):
            inode = path.stat().st_ino
            image = self._durable.get(inode)
            if image is None:
                continue
            seen = path.read_bytes()
            for sector in sorted(self._dirty.pop(inode, ())):
                if rng.random() < share:
                    at = sector * SECTOR
                    image[at : at + SECTOR] = seen[at : at + SECTOR]
            path.chmod(0o600)
            path.write_bytes(image)
        for path, new in self._renamed:
            if rng.random() < 0.5 and not path.exists():
                new.rename(path)

    def _opened(self, descriptor: int) -> int:
        inode = os.fstat(descriptor).st_ino
        self._inodes[descriptor] = inode
        if inode not in self._durable:  # what is found, or was just made, is on the platter
            self._durable[inode] = bytearray(self.read(descriptor, self.size(descriptor), 0))
        return descriptor

    def _count(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self.allowed -= 1
        if self.allowed < 0:
            raise PowerCut

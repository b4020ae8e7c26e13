"""A folder of files that are there wholly and durably, or not at all.

A file is written and synced under a staging name and then linked under its own: that never shows
half a file, and what it shows is on disk. Names themselves are durable after `sync`.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from audit.errors import TileConflict
from audit.files import OsFiles
from audit.layout import STAGED

_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


class DurableFolder:
    """The only way the published log is written. Every method may raise OSError."""

    def __init__(self, folder: Path) -> None:
        """Make the folder if it is not there, and forget what a crash left half-written."""
        self._folder, self._staged = folder, folder / STAGED
        self._files = OsFiles()
        self._unsynced: set[Path] = set()
        self._made: set[Path] = set()
        self._make(folder)
        self._staged.unlink(missing_ok=True)
        self.sync()

    def add(self, path: str, data: bytes) -> None:
        """Put a file that will never change; the same once more is nothing new.

        Raises TileConflict when the name holds other bytes.
        """
        target = self._folder / path
        try:
            self._put(target, data)
        except FileExistsError:
            if target.is_symlink() or target.read_bytes() != data:
                raise TileConflict(path) from None
        self._unsynced.add(target.parent)

    def sync(self) -> None:
        """Make all names durable that were added since the last time."""
        for folder in sorted(self._unsynced):
            self._files.sync_folder(folder)
        self._unsynced.clear()

    def replace(self, path: str, data: bytes) -> None:
        """Put a file at the top that may change, durably, in the place of an earlier one."""
        self._stage(data)
        self._files.rename(self._staged, self._folder / path)
        self._files.sync_folder(self._folder)

    def rename(self, path: str, new: str) -> None:
        """Give a file at the top another name, durably, in the place of an earlier one."""
        self._files.rename(self._folder / path, self._folder / new)
        self._files.sync_folder(self._folder)

    def remove(self, paths: Iterable[str]) -> None:
        """Remove subfolders with the files in them, if they are there; need not be durable."""
        for path in paths:
            self._made.discard(self._folder / path)
            with suppress(FileNotFoundError):
                for file in (self._folder / path).iterdir():
                    file.unlink(missing_ok=True)
                (self._folder / path).rmdir()

    def _put(self, target: Path, data: bytes) -> None:
        if target.exists():
            raise FileExistsError(target)
        self._make(target.parent)
        self._stage(data)
        os.link(self._staged, target, follow_symlinks=False)
        self._staged.unlink()

    def _stage(self, data: bytes) -> None:
        self._staged.unlink(missing_ok=True)  # after a failure it may be linked under its name
        descriptor = os.open(self._staged, _NEW, 0o600)
        try:
            self._files.write_durably(descriptor, data, 0)
        finally:
            os.close(descriptor)

    def _make(self, folder: Path) -> None:
        """Make a folder and those above it; a new name is durable once its parent is synced."""
        if folder in self._made:
            return
        new = not folder.exists()
        if new:
            self._make(folder.parent)
            folder.mkdir(mode=0o700, exist_ok=True)
        if new or self._folder in folder.parents:  # what a crash has left may be unsynced
            self._unsynced.add(folder.parent)
        self._made.add(folder)

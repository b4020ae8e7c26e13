"""Reading a published log from a folder that nobody vouches for.

Whatever lies there is looked at without following it elsewhere and without waiting for it: only
regular files, never through a symbolic link, no more bytes than a file of its kind can have.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from audit.errors import MalformedBundle, Unreadable
from audit.layout import MOST_ENTRY_BYTES, WIDTH, Tile, split_bundle
from audit.merkle import HASH_BYTES

_MOST_NOTE_BYTES = 1_000_000
_MOST_BUNDLE_BYTES = WIDTH * (2 + MOST_ENTRY_BYTES)
# A named pipe in the place of a file would block the opening for ever.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class PublishedFolder:
    """The files of a published log; every method raises Unreadable for what is no such file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def note(self, path: str) -> bytes | None:
        """Read a checkpoint; None when it is absent."""
        return self._read(path, _MOST_NOTE_BYTES)

    def hashes(self, tile: Tile) -> bytes | None:
        """Read exactly the hashes of `tile`, also from the full tile in the place of a partial one.

        None when neither is there.
        """
        length = tile.width * HASH_BYTES
        raw = self._read(tile.path, length)
        if raw is None and tile.width < WIDTH:
            full = self.hashes(tile.full)
            return full and full[:length]
        if raw is not None and len(raw) != length:
            raise Unreadable(tile.path, f"holds {len(raw)} bytes, not {length}")
        return raw

    def entries(self, bundle: Tile) -> list[bytes] | None:
        """Read exactly the entries of `bundle`, also from the full one in the place of a partial.

        None when neither is there.
        """
        raw = self._read(bundle.path, _MOST_BUNDLE_BYTES)
        if raw is None and bundle.width < WIDTH:
            full = self.entries(bundle.full)
            return full and full[: bundle.width]
        if raw is None:
            return None
        try:
            entries = split_bundle(raw)
        except MalformedBundle as error:
            raise Unreadable(bundle.path, str(error)) from error
        if len(entries) != bundle.width:
            raise Unreadable(bundle.path, f"holds {len(entries)} entries, not {bundle.width}")
        return entries

    def paths(self) -> Iterator[str]:
        """Every file below the folder, by its path in it."""
        return self._paths("")

    def _paths(self, below: str) -> Iterator[str]:
        try:
            with os.scandir(self._folder / below) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except FileNotFoundError:
            return  # the publisher has just removed the partial tiles that lay here
        except OSError as error:
            raise Unreadable(below, f"cannot be listed: {error.strerror}") from error
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from self._paths(path)
            else:
                yield path

    def _read(self, path: str, most: int) -> bytes | None:
        try:
            descriptor = os.open(self._folder / path, _FLAGS)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unreadable(path, f"cannot be opened: {error.strerror}") from error
        try:
            raw = _read_regular(descriptor, most)
        except OSError as error:
            raise Unreadable(path, f"cannot be read: {error.strerror}") from error
        finally:
            os.close(descriptor)
        if raw is None:
            raise Unreadable(path, f"is not a regular file of at most {most} bytes")
        return raw


def _read_regular(descriptor: int, most: int) -> bytes | None:
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode) or state.st_size > most:
        return None
    with open(descriptor, "rb", closefd=False) as file:
        return file.read(state.st_size)

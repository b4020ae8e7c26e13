"""The watermark: how much of the log was acknowledged, kept beside it.

Two slots of one disk sector each are written in turn, after the batch is durable and before anyone
is told. They are not synced: the page cache survives the death of the process, so after a crash
the mark is exact, and after a power cut it is at most behind. A clean stop sets the closed flag
and syncs it; then a torn tail is damage, since nothing was being written.

    slot: generation u64 | flags u8 (1 closed) | size u64 | root (32) | crc32 u32
"""

from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Self
from zlib import crc32

from audit.errors import LogDamaged
from audit.files import Files, write_all
from audit.merkle import EMPTY_ROOT

NAME = "watermark"

_SECTOR = 512
_BYTES = 2 * _SECTOR
_SLOT = Struct(">QBQ32s")
_CRC = Struct(">I")
_CLOSED = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """What was acknowledged: `size` entries with the hash `root`, and whether writing had ended."""

    size: int
    root: bytes
    closed: bool


class Watermark:
    """The open file; one writer at a time."""

    def __init__(self, files: Files, descriptor: int) -> None:
        self._files = files
        self._descriptor = descriptor
        self._generation = 0
        self.mark = Mark(0, EMPTY_ROOT, closed=False)

    @classmethod
    def create(cls, files: Files, folder: Path) -> Self:
        """Make the file of a new log, durably. Raises OSError."""
        return cls(files, files.create(folder / NAME, _BYTES))

    @classmethod
    def open(cls, files: Files, folder: Path) -> Self:
        """Read the newer slot. Raises LogDamaged when there is none, or OSError."""
        try:
            watermark = cls(files, files.open(folder / NAME))
        except FileNotFoundError:
            raise LogDamaged("the file is missing", place=NAME) from None
        try:
            watermark._load(files.read(watermark._descriptor, _BYTES, 0))
        except LogDamaged:
            watermark.close()
            raise
        return watermark

    def move(self, size: int, root: bytes, *, closed: bool = False) -> None:
        """Write the next slot; it survives the process, and once synced the machine."""
        self._generation += 1
        slot = _SLOT.pack(self._generation, _CLOSED if closed else 0, size, root)
        at = self._generation % 2 * _SECTOR
        write_all(self._files, self._descriptor, slot + _CRC.pack(crc32(slot)), at)

    def sync(self) -> None:
        """Make the last slot durable."""
        self._files.sync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        self._files.close(self._descriptor)

    def _load(self, raw: bytes) -> None:
        if len(raw) == _BYTES and not any(raw):
            return  # made, and never moved
        slots = [slot for at in (0, _SECTOR) if (slot := _read_slot(raw[at : at + _SECTOR]))]
        if not slots:
            raise LogDamaged("neither slot can be read", place=NAME)
        self._generation, self.mark = max(slots, key=lambda slot: slot[0])


def _read_slot(raw: bytes) -> tuple[int, Mark] | None:
    if len(raw) < _SLOT.size + _CRC.size:
        return None
    (checksum,) = _CRC.unpack_from(raw, _SLOT.size)
    generation, flags, size, root = _SLOT.unpack_from(raw)
    if crc32(raw[: _SLOT.size]) != checksum or not generation:
        return None
    return generation, Mark(size, root, closed=bool(flags & _CLOSED))

r"""Segments: the files the log is written to, and the only truth about it.

A segment is `NNNNNNNN.seg`, zero-filled when made. It begins with a header of 4,096 bytes:

    magic "passavant-log\n" (14) | version u16 | ordinal u32 | first index u64 | key id (4)
    | hashes u8 | note length u16 | origin length u16
    | frontier: `hashes` x 32 | note | origin | zeros | crc32 u32 over what stands before

`note` is the signed checkpoint of the log before this segment, `frontier` the hashes of its
complete subtrees, which fold to that checkpoint's root. Frames follow without gaps:

    length u32 | type u8 | crc32 u32 over (place u64, type, payload) | payload

    1 entry            the bytes of an entry
    2 commit           the signed checkpoint over all entries so far: ends a batch
    3 sealed payload   belongs to the entry right before it
    4 seal             the last commit again: no batch follows in this segment

A place is `ordinal << 32 | offset`, so that a frame copied elsewhere is invalid. Zeros follow the
last frame. All numbers are big-endian.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Self
from zlib import crc32

from audit.errors import LogDamaged
from audit.files import Files
from audit.merkle import HASH_BYTES
from audit.value import value_type

ENTRY, COMMIT, PAYLOAD, SEAL = 1, 2, 3, 4
HEADER_BYTES = 4096
FRAME_BYTES = 9
RESERVE_BYTES = 64 * 1024
"""The end of each segment, kept for records that must be possible on a full disk."""

MOST_BATCH_BYTES = 16 << 20
"""No batch is larger; more bytes than this behind the last commit are no torn batch."""

SPARE = "spare"

_MAGIC = b"passavant-log\n"
_VERSION = 1
_HEAD = Struct(">14sHIQ4sBHH")
_FRAME = Struct(">IBI")
_PREFIX = Struct(">QB")
_CRC = Struct(">I")
_NAME = re.compile(r"(?P<ordinal>[0-9]{8})\.seg", re.ASCII)
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Header:
    """How a segment begins: whose it is, and the log it continues."""

    origin: str
    key_id: bytes
    ordinal: int
    first: int
    frontier: tuple[bytes, ...]
    note: bytes

    @classmethod
    def parse(cls, raw: bytes, *, place: str) -> Self:
        """Read the first HEADER_BYTES of a segment. Raises LogDamaged."""
        if len(raw) < HEADER_BYTES:
            raise LogDamaged("shorter than its header", place=place)
        magic, version, ordinal, first, key_id, hashes, note, origin = _HEAD.unpack_from(raw)
        if magic != _MAGIC or version != _VERSION:
            raise LogDamaged("not a segment of this version", place=place)
        body, (crc,) = raw[: HEADER_BYTES - 4], _CRC.unpack_from(raw, HEADER_BYTES - 4)
        if crc32(body) != crc:
            raise LogDamaged("the header is altered", place=place)
        note_at = _HEAD.size + hashes * HASH_BYTES
        nodes = tuple(raw[at : at + HASH_BYTES] for at in range(_HEAD.size, note_at, HASH_BYTES))
        origin_at = note_at + note
        name = raw[origin_at : origin_at + origin].decode()
        return cls(name, key_id, ordinal, first, nodes, raw[note_at:origin_at])

    def __bytes__(self) -> bytes:
        origin = self.origin.encode()
        head = _HEAD.pack(
            _MAGIC,
            _VERSION,
            self.ordinal,
            self.first,
            self.key_id,
            len(self.frontier),
            len(self.note),
            len(origin),
        )
        body = b"".join((head, *self.frontier, self.note, origin))
        assert len(body) <= HEADER_BYTES - 4, "63 hashes and a note of a 255-byte origin fit"
        body = body.ljust(HEADER_BYTES - 4, b"\0")
        return body + _CRC.pack(crc32(body))


@value_type
class Frame:
    """One frame as it was read; `end` is the offset behind it."""

    type: int
    payload: bytes
    end: int


def frame(place: int, kind: int, payload: bytes) -> bytes:
    """Write one frame for its place."""
    checksum = crc32(payload, crc32(_PREFIX.pack(place, kind)))
    return _FRAME.pack(len(payload), kind, checksum) + payload


def place_of(ordinal: int, offset: int) -> int:
    """Where a frame lies in the whole log."""
    return ordinal << 32 | offset


def name_of(ordinal: int) -> str:
    """The file name of a segment."""
    return f"{ordinal:08d}.seg"


def ordinal_of(name: str) -> int | None:
    """The ordinal in a segment's file name; None for other files."""
    match = _NAME.fullmatch(name)
    return int(match["ordinal"]) if match else None


def read_header(files: Files, folder: Path, ordinal: int) -> Header:
    """Read a segment's header. Raises LogDamaged, OSError."""
    name = name_of(ordinal)
    descriptor = files.open(folder / name)
    try:
        header = Header.parse(files.read(descriptor, HEADER_BYTES, 0), place=name)
    finally:
        files.close(descriptor)
    if header.ordinal != ordinal:
        raise LogDamaged(f"holds segment {header.ordinal}", place=name)
    return header


def read_frames(
    files: Files,
    descriptor: int,
    ordinal: int,
    offset: int = HEADER_BYTES,
    *,
    chunk: int = _CHUNK,
) -> Iterator[Frame]:
    """Yield frames from `offset` on, up to the first place where none is valid.

    chunk  bytes that are read at a time
    """
    buffer, base = b"", offset
    unpack, prefix = _FRAME.unpack_from, _PREFIX.pack
    place = ordinal << 32
    while True:
        at = offset - base
        if len(buffer) - at < FRAME_BYTES:
            buffer, base, at = files.read(descriptor, chunk, offset), offset, 0
            if len(buffer) < FRAME_BYTES:
                return
        length, kind, checksum = unpack(buffer, at)
        if not ENTRY <= kind <= SEAL:
            return
        if len(buffer) - at < FRAME_BYTES + length:
            wanted = max(chunk, FRAME_BYTES + length)
            buffer, base, at = files.read(descriptor, wanted, offset), offset, 0
            if len(buffer) < FRAME_BYTES + length:
                return
        payload = buffer[at + FRAME_BYTES : at + FRAME_BYTES + length]
        if crc32(payload, crc32(prefix(place | offset, kind))) != checksum:
            return
        offset += FRAME_BYTES + length
        yield Frame(kind, payload, offset)


def claim(raw: bytes) -> tuple[bool, int]:
    """What a bad frame says of itself: whether it ends a batch, and how long it is."""
    if len(raw) < FRAME_BYTES:
        return False, len(raw)
    length, kind, _ = _FRAME.unpack_from(raw)
    return kind in (COMMIT, SEAL), FRAME_BYTES + length

"""Reading committed entries back from the segments, and the hashes that proofs are made of."""

from collections.abc import Generator, Iterator
from contextlib import closing
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from audit.block import Block
from audit.entry import Entry
from audit.errors import LogDamaged, NoSuchEntry
from audit.files import Files
from audit.merkle import Frontier, HashAt, hash_leaf
from audit.segments import (
    ENTRY,
    FRAME_BYTES,
    HEADER_BYTES,
    PAYLOAD,
    Frame,
    name_of,
    place_of,
    read_frames,
)
from audit.tree import BLOCK, HEIGHT, Tree

_OFFSET_BITS = 32
_BLOCKS_KEPT = 128
"""Of 18 KiB each: those that a page of search results leads to, and the next page again."""

_MANY = 256 * 1024
_ONE = 4096
"""Bytes that are read at a time: for a block or more, and for one entry."""

Stored: TypeAlias = tuple[int, bytes, bytes | None]
"""An entry where it lies: place, bytes, payload."""


class Reader:
    """Reads below a size that the caller knows to be committed; from any thread."""

    def __init__(self, files: Files, folder: Path, tree: Tree) -> None:
        self._files = files
        self._folder = folder
        self._tree = tree
        self._block = lru_cache(_BLOCKS_KEPT)(self._read_block)

    def entry(self, index: int, size: int) -> Entry:
        """Return one entry. Raises NoSuchEntry, LogDamaged or OSError."""
        if not 0 <= index < size:
            raise NoSuchEntry(index, size)
        block, at = divmod(index, BLOCK)
        place = self._block(block, _end_of(block, size)).places[at]
        with closing(self._stored_at(place, chunk=_ONE)) as stored:
            for _, raw, sealed in stored:
                return Entry(index, hash_leaf(raw), raw, sealed)
        raise LogDamaged("cannot be read", place=f"entry {index}")

    def entries(self, start: int, stop: int) -> Iterator[Entry]:
        """Yield the entries from `start` up to `stop`. Raises LogDamaged or OSError."""
        if start >= stop:
            return
        with closing(self._stored_from(start // BLOCK)) as stored:
            for index, (_, raw, sealed) in enumerate(stored, start // BLOCK * BLOCK):
                if index >= start:
                    yield Entry(index, hash_leaf(raw), raw, sealed)
                if index + 1 == stop:
                    return

    def frontier(self, at: int, size: int) -> Frontier:
        """The right edge of the tree when it had `at` leaves, of the `size` that it has."""
        return Frontier.at(at, self.hashes(size))

    def hashes(self, size: int) -> HashAt:
        """The hashes of complete subtrees (see `audit.merkle`) of the first `size` leaves."""
        return lambda level, index: self._hash_at(level, index, size)

    def _hash_at(self, level: int, index: int, size: int) -> bytes:
        if level >= HEIGHT:
            return self._tree.hash_at(level, index)
        first = index << level
        block, at = divmod(first, BLOCK)
        return self._block(block, _end_of(block, size)).hash_at(level, at >> level)

    def _read_block(self, block: int, end: int) -> Block:
        with closing(self._stored_from(block)) as stored:
            entries = islice(stored, end - block * BLOCK)
            return Block.of((place, hash_leaf(raw)) for place, raw, _ in entries)

    def _stored_from(self, block: int) -> Generator[Stored, None, None]:
        """Yield what is stored from the first entry of a block on, across segments."""
        firsts, place, index = self._tree.firsts, self._tree.places[block], block * BLOCK
        while True:
            ordinal = place >> _OFFSET_BITS
            last = firsts[ordinal + 1] if ordinal + 1 < len(firsts) else None
            with closing(self._stored_at(place)) as stored:
                for each in stored:
                    if index == last:  # an abandoned tail may follow
                        break
                    yield each
                    index += 1
            if index != last:
                raise LogDamaged(f"entry {index} cannot be read", place=name_of(ordinal))
            place = place_of(ordinal + 1, HEADER_BYTES)

    def _stored_at(self, place: int, *, chunk: int = _MANY) -> Generator[Stored, None, None]:
        """Yield what is stored from a place on, to the end of its segment."""
        ordinal, offset = place >> _OFFSET_BITS, place & ((1 << _OFFSET_BITS) - 1)
        descriptor = self._files.open(self._folder / name_of(ordinal))
        try:
            frames = read_frames(self._files, descriptor, ordinal, offset, chunk=chunk)
            yield from _with_payloads(frames, ordinal)
        finally:
            self._files.close(descriptor)


def _end_of(block: int, size: int) -> int:
    """The index behind the last entry of a block."""
    return min((block + 1) * BLOCK, size)


def _with_payloads(frames: Iterator[Frame], ordinal: int) -> Iterator[Stored]:
    """Join each entry with the payload that may follow it; a commit follows the last."""
    entry: Frame | None = None
    for frame in frames:
        if entry is not None:
            place = place_of(ordinal, entry.end - len(entry.payload) - FRAME_BYTES)
            yield place, entry.payload, frame.payload if frame.type == PAYLOAD else None
        entry = frame if frame.type == ENTRY else None

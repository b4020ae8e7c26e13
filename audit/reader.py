"""Reading committed entries back from the segments, and the hashes that proofs are made of."""

from collections.abc import Generator, Iterator
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from audit.entry import Entry
from audit.errors import LogDamaged, NoSuchEntry
from audit.files import Files
from audit.merkle import Frontier, HashAt, hash_leaf, root_of
from audit.segments import ENTRY, HEADER_BYTES, PAYLOAD, Frame, name_of, read_frames
from audit.tree import BLOCK, HEIGHT, Tree

_OFFSET_BITS = 32
_BLOCKS_CACHED = 16


class Reader:
    """Reads below a size that the caller knows to be committed; from any thread."""

    def __init__(self, files: Files, folder: Path, tree: Tree) -> None:
        self._files = files
        self._folder = folder
        self._tree = tree
        self._whole_block = lru_cache(_BLOCKS_CACHED)(self._leaves_of_whole_block)

    def entry(self, index: int, size: int) -> Entry:
        """Return one entry. Raises NoSuchEntry, LogDamaged or OSError."""
        if not 0 <= index < size:
            raise NoSuchEntry(index, size)
        return next(self.entries(index, index + 1))

    def entries(self, start: int, stop: int) -> Iterator[Entry]:
        """Yield the entries from `start` up to `stop`. Raises LogDamaged or OSError."""
        if start >= stop:
            return
        with closing(self._stored_from(start // BLOCK)) as stored:
            for index, raw, sealed in stored:
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
        first, count = index << level, 1 << level
        block = first // BLOCK
        if (block + 1) * BLOCK <= size:
            leaves = self._whole_block(block)
        else:
            leaves = self._leaves(block, size)
        at = first % BLOCK
        return root_of(leaves[at : at + count])

    def _leaves_of_whole_block(self, block: int) -> list[bytes]:
        return self._leaves(block, (block + 1) * BLOCK)

    def _leaves(self, block: int, stop: int) -> list[bytes]:
        return [entry.leaf for entry in self.entries(block * BLOCK, stop)]

    def _stored_from(self, block: int) -> Generator[tuple[int, bytes, bytes | None], None, None]:
        """Yield (index, bytes, payload) from the first entry of a block on, across segments."""
        firsts, place = self._tree.firsts, self._tree.places[block]
        ordinal, offset = place >> _OFFSET_BITS, place & ((1 << _OFFSET_BITS) - 1)
        index = block * BLOCK
        while True:
            last = firsts[ordinal + 1] if ordinal + 1 < len(firsts) else None
            with closing(self._segment(ordinal, offset)) as stored:
                for raw, sealed in stored:
                    if index == last:  # an abandoned tail may follow
                        break
                    yield index, raw, sealed
                    index += 1
            if index != last:
                raise LogDamaged(f"entry {index} cannot be read", place=name_of(ordinal))
            ordinal, offset = ordinal + 1, HEADER_BYTES

    def _segment(
        self, ordinal: int, offset: int
    ) -> Generator[tuple[bytes, bytes | None], None, None]:
        descriptor = self._files.open(self._folder / name_of(ordinal))
        try:
            yield from _with_payloads(read_frames(self._files, descriptor, ordinal, offset))
        finally:
            self._files.close(descriptor)


def _with_payloads(frames: Iterator[Frame]) -> Iterator[tuple[bytes, bytes | None]]:
    """Join each entry with the payload that may follow it; a commit follows the last."""
    entry: bytes | None = None
    for frame in frames:
        if entry is not None:
            yield entry, frame.payload if frame.type == PAYLOAD else None
        entry = frame.payload if frame.type == ENTRY else None

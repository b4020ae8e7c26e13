"""The tree over the segments: what the writer grows, and readers look up.

It holds the right edge, one hash for every complete block of 256 entries and for everything above,
and where each block begins: about 40 bytes for 256 entries. Hashes below are computed again from
the entries when a proof asks for them. The same is kept beside each finished segment
(`NNNNNNNN.blocks`), derived and checked, so that a start need not read the whole log.
"""

from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from struct import Struct, pack, unpack_from
from zlib import crc32

from audit.files import Files, write_all
from audit.merkle import HASH_BYTES, Frontier

BLOCK = 256
HEIGHT = 8  # 2**8 = 256

_HEAD = Struct(">QQII")
_CRC = Struct(">I")


class Tree:
    """A growing tree whose entries lie in segments."""

    __slots__ = ("_levels", "firsts", "frontier", "places")

    def __init__(self) -> None:
        self.frontier = Frontier()
        self.firsts: list[int] = []  # per segment: the index of its first entry
        self.places = array("Q")  # per block: where its first entry lies
        self._levels: list[bytearray] = []  # hashes of height 8, 9, ...

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return self.frontier.size

    def extend(self, leaves: Sequence[bytes], places: Sequence[int]) -> None:
        """Append the leaves of entries whose frames lie at `places`."""
        self.places.extend(places[-self.size % BLOCK :: BLOCK])
        self._keep(self.frontier.extend(leaves)[HEIGHT:])

    def hash_at(self, level: int, index: int) -> bytes:
        """The hash of a complete subtree of height HEIGHT or more."""
        at = index * HASH_BYTES
        return bytes(self._levels[level - HEIGHT][at : at + HASH_BYTES])

    def pack(self, ordinal: int, end: int) -> bytes:
        """The part of segment `ordinal`, whose last entry is `end - 1`."""
        first = self.firsts[ordinal]
        places = self.places[_blocks_begun(first) : _blocks_begun(end)]
        hashes = self._hashes()[first // BLOCK * HASH_BYTES : end // BLOCK * HASH_BYTES]
        head = _HEAD.pack(first, end, len(places), len(hashes) // HASH_BYTES)
        body = head + pack(f">{len(places)}Q", *places) + hashes
        return body + _CRC.pack(crc32(body))

    def load(self, packed: bytes, end: int, nodes: tuple[bytes, ...]) -> bool:
        """Go on to `end` with what `pack` wrote; False, and nothing done, when it does not fit.

        end, nodes  size and right edge of the tree behind this part, from the next header
        """
        if len(packed) < _HEAD.size + _CRC.size:
            return False
        body, (checksum,) = packed[: -_CRC.size], _CRC.unpack(packed[-_CRC.size :])
        first, last, places, hashes = _HEAD.unpack_from(body)
        hashes_at = _HEAD.size + places * 8
        if (
            crc32(body) != checksum
            or (first, last) != (self.size, end)
            or len(body) != hashes_at + hashes * HASH_BYTES
            or places != _blocks_begun(end) - _blocks_begun(first)
            or hashes != end // BLOCK - first // BLOCK
        ):
            return False
        self.places.extend(unpack_from(f">{places}Q", body, _HEAD.size))
        begins = range(hashes_at, len(body), HASH_BYTES)
        self._keep(self._blocks().extend([body[at : at + HASH_BYTES] for at in begins]))
        self.frontier = Frontier(end, nodes)
        return True

    def agrees(self) -> bool:
        """Whether the block hashes lead to the right edge."""
        blocks = self._blocks().nodes
        return self.frontier.nodes[: len(blocks)] == blocks

    def _blocks(self) -> Frontier:
        """The right edge of the complete blocks."""
        return Frontier.at(self.size >> HEIGHT, lambda level, i: self.hash_at(level + HEIGHT, i))

    def _hashes(self) -> bytearray:
        return self._levels[0] if self._levels else bytearray()

    def _keep(self, grown: Iterable[Sequence[bytes]]) -> None:
        """Append the hashes of subtrees that became complete, from height HEIGHT upwards."""
        for level, hashes in enumerate(grown):
            if level == len(self._levels):
                self._levels.append(bytearray())
            self._levels[level] += b"".join(hashes)


def write_blocks(files: Files, folder: Path, tree: Tree, ordinal: int) -> None:
    """Keep the part of a finished segment, which ends where the tree does. Raises OSError."""
    packed = tree.pack(ordinal, tree.size)
    descriptor = files.create(folder / _name(ordinal), len(packed))
    try:
        write_all(files, descriptor, packed, 0)
    finally:
        files.close(descriptor)


def read_blocks(files: Files, folder: Path, ordinal: int) -> bytes | None:
    """What was kept for a finished segment, unchecked; None when there is nothing."""
    try:
        descriptor = files.open(folder / _name(ordinal))
    except FileNotFoundError:
        return None
    try:
        return files.read(descriptor, files.size(descriptor), 0)
    finally:
        files.close(descriptor)


def _name(ordinal: int) -> str:
    return f"{ordinal:08d}.blocks"


def _blocks_begun(size: int) -> int:
    return -(-size // BLOCK)

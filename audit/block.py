"""A block: up to 256 entries of which places and hashes were read once.

A proof needs hashes from all over a block, and a page of search results many entries of one; both
would else read it from its beginning each time. It holds nothing of what the entries say: that is
read again whenever it is asked for, and checked against the hash.
"""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from audit.merkle import HASH_BYTES, hash_node


@dataclass(frozen=True, slots=True)
class Block:
    """A block, or what there is of the last one.

    places  where each entry's frame lies (`segments.place_of`)
    levels  the hashes of its complete subtrees: leaves first, each level half as long
    """

    places: "array[int]"
    levels: tuple[bytes, ...]

    @classmethod
    def of(cls, stored: Iterable[tuple[int, bytes]]) -> Self:
        """Make it of the place and the leaf hash of each of its entries, in their order."""
        places, leaves = zip(*stored, strict=True)
        levels = [list(leaves)]
        while len(below := levels[-1]) > 1:
            pairs = zip(below[::2], below[1::2], strict=False)  # one may be left over
            levels.append([hash_node(left, right) for left, right in pairs])
        return cls(array("Q", places), tuple(map(b"".join, levels)))

    def hash_at(self, level: int, index: int) -> bytes:
        """The hash of a subtree, counted from the beginning of the block."""
        at = index * HASH_BYTES
        return self.levels[level][at : at + HASH_BYTES]

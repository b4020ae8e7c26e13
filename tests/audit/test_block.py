"""A block gives the hashes that the tree has, whole or begun."""

import pytest

from audit.block import Block
from audit.merkle import hash_leaf, root_of

LEAVES = [hash_leaf(b"%d" % number) for number in range(256)]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 128, 200, 255, 256])
def test_every_complete_subtree_has_its_hash(count: int) -> None:
    block = Block.of(enumerate(LEAVES[:count]))
    for level in range(9):
        for index in range(count >> level):
            leaves = LEAVES[index << level : (index + 1) << level]
            assert block.hash_at(level, index) == root_of(leaves)


def test_a_block_knows_where_its_entries_lie() -> None:
    places = [7 << 32 | 64 * number for number in range(200)]
    assert list(Block.of(zip(places, LEAVES, strict=False)).places) == places

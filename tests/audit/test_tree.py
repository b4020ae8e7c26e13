from struct import pack
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.merkle import hash_leaf, root_of
from audit.tree import BLOCK, HEIGHT, Tree

LEAVES = [hash_leaf(b"%d" % n) for n in range(3000)]


def grown(sizes: list[int]) -> Tree:
    """A tree whose segments begin at 0 and at each size but the last."""
    tree = Tree()
    for first, end in zip([0, *sizes], sizes, strict=False):
        tree.firsts.append(first)
        for index in range(first, end):
            tree.extend([LEAVES[index]], [index + 1000])
    return tree


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 511, 512, 1000, 2048, 3000])
def test_block_hashes_are_those_of_complete_subtrees(size: int) -> None:
    tree = grown([size])
    assert tree.frontier.root() == root_of(LEAVES[:size])
    for level in range(HEIGHT, size.bit_length()):
        for index in range(size >> level):
            leaves = LEAVES[index << level : index + 1 << level]
            assert tree.hash_at(level, index) == root_of(leaves)
    assert tree.agrees()


def test_it_knows_where_each_block_begins() -> None:
    assert list(grown([1000]).places) == [1000, 1256, 1512, 1768]


@given(st.lists(st.integers(0, 700), max_size=4))
def test_it_grows_by_batches_as_by_single_entries(steps: list[int]) -> None:
    tree = Tree()
    for step in steps:
        begin, end = tree.size, tree.size + step
        tree.extend(LEAVES[begin:end], range(begin + 1000, end + 1000))
    single = grown([tree.size])
    tree.firsts.append(0)
    assert tree.pack(0, tree.size) == single.pack(0, single.size)
    assert tree.frontier.nodes == single.frontier.nodes
    assert tree.agrees()


cuts = st.lists(st.integers(0, 1500), min_size=2, max_size=5).map(sorted)


@given(cuts)
def test_a_tree_can_be_put_together_from_its_parts(sizes: list[int]) -> None:
    whole = grown(sizes)
    tree = Tree()
    for ordinal, end in enumerate(sizes):
        tree.firsts.append(tree.size)
        part = grown(sizes[: ordinal + 1])
        assert tree.load(part.pack(ordinal, end), end, part.frontier.nodes)
        assert tree.agrees()
    assert tree.places == whole.places
    assert tree.frontier.root() == whole.frontier.root()


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(b"", id="empty"),
        pytest.param(grown([300]).pack(0, 300)[:-1], id="cut"),
        pytest.param(b"x" + grown([300]).pack(0, 300)[1:], id="changed"),
        pytest.param(grown([299]).pack(0, 299), id="another-end"),
        pytest.param(grown([100, 300]).pack(1, 300), id="another-beginning"),
        pytest.param(
            (body := pack(">QQII", 0, 300, 9, 9)) + pack(">I", crc32(body)), id="counts-too-much"
        ),
    ],
)
def test_a_part_that_does_not_fit_changes_nothing(packed: bytes) -> None:
    tree = Tree()
    tree.firsts.append(0)
    assert not tree.load(packed, 300, grown([300]).frontier.nodes)
    assert tree.size == 0
    assert list(tree.places) == []


def test_block_hashes_of_another_tree_do_not_agree() -> None:
    tree, other = Tree(), Tree()
    for index in range(2 * BLOCK):
        tree.extend([LEAVES[index]], [0])
        other.extend([LEAVES[index + 1]], [0])
    mixed = Tree()
    mixed.firsts.append(0)
    other.firsts.append(0)
    assert mixed.load(other.pack(0, 512), 512, tree.frontier.nodes)
    assert not mixed.agrees()

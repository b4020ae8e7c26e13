"""The tree against its recursive definition, published proofs, and every way to bend a proof."""

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import NotConsistent, NotIncluded
from audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_path,
    hash_leaf,
    hash_node,
    inclusion_path,
    root_of,
    verify_consistency,
    verify_inclusion,
)

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "merkle.json").read_text()
)
REFERENCE = [hash_leaf(bytes.fromhex(leaf)) for leaf in VECTORS["leaves"]]
ROOTS = [bytes.fromhex(root) for root in VECTORS["roots"]]

MOST = 70
LEAVES = [hash_leaf(b"%d" % number) for number in range(MOST)]
OTHER = hash_leaf(b"other")


@cache
def mth(begin: int, end: int) -> bytes:
    """The tree hash by its definition (RFC 6962, section 2.1)."""
    if end - begin <= 1:
        return LEAVES[begin] if end > begin else hashlib.sha256().digest()
    k = 1
    while k * 2 < end - begin:
        k *= 2
    return hashlib.sha256(b"\x01" + mth(begin, begin + k) + mth(begin + k, end)).digest()


def hash_at(level: int, index: int) -> bytes:
    return mth(index << level, (index + 1) << level)


def reference_hash_at(level: int, index: int) -> bytes:
    return root_of(REFERENCE[index << level : (index + 1) << level])


def steps(path: list[str]) -> list[bytes]:
    return [bytes.fromhex(step) for step in path]


@pytest.mark.parametrize("size", range(MOST + 1))
def test_the_root_is_the_recursive_one(size: int) -> None:
    assert root_of(LEAVES[:size]) == mth(0, size)


@pytest.mark.parametrize("size", range(9))
def test_the_reference_roots_are_met(size: int) -> None:
    assert root_of(REFERENCE[:size]) == ROOTS[size]


@pytest.mark.parametrize("case", VECTORS["inclusion"], ids=lambda c: f"{c['index']}-of-{c['size']}")
def test_reference_inclusion_proofs_are_generated_and_verified(case: dict[str, Any]) -> None:
    index, size, path = case["index"], case["size"], steps(case["path"])
    assert inclusion_path(index, size, reference_hash_at) == path
    verify_inclusion(REFERENCE[index], index, size, path, ROOTS[size])


@pytest.mark.parametrize("case", VECTORS["consistency"], ids=lambda c: f"{c['old']}-to-{c['new']}")
def test_reference_consistency_proofs_are_generated_and_verified(case: dict[str, Any]) -> None:
    old, new, path = case["old"], case["new"], steps(case["path"])
    assert consistency_path(old, new, reference_hash_at) == path
    verify_consistency(old, new, path, ROOTS[old], ROOTS[new])


@pytest.mark.parametrize("size", range(1, MOST + 1))
def test_every_entry_of_every_tree_has_a_proof_that_fits_nowhere_else(size: int) -> None:
    root = mth(0, size)
    for index in range(size):
        path = inclusion_path(index, size, hash_at)
        verify_inclusion(LEAVES[index], index, size, path, root)
        for elsewhere in {index ^ 1, index + 1, size - 1} - {index}:
            with pytest.raises(NotIncluded):
                verify_inclusion(LEAVES[index], elsewhere, size, path, root)


@pytest.mark.parametrize("new", range(MOST + 1))
def test_every_tree_is_proven_to_begin_every_larger_one_and_no_other_does(new: int) -> None:
    for old in range(new + 1):
        path = consistency_path(old, new, hash_at)
        verify_consistency(old, new, path, mth(0, old), mth(0, new))
        with pytest.raises(NotConsistent):
            verify_consistency(old, new, path, OTHER, mth(0, new))
        if old:
            with pytest.raises(NotConsistent):
                verify_consistency(old, new, path, mth(0, old), OTHER)


@pytest.mark.parametrize("size", range(MOST + 1))
def test_a_frontier_built_from_stored_hashes_goes_on_like_one_that_grew(size: int) -> None:
    grown, built = Frontier(), Frontier.at(size, hash_at)
    for leaf in LEAVES[:size]:
        grown.extend([leaf])
    assert (built.size, built.nodes, built.root()) == (size, grown.nodes, mth(0, size))
    built.extend([OTHER])
    grown.extend([OTHER])
    assert built.root() == grown.root()


@given(st.lists(st.integers(0, 20), max_size=8))
def test_a_frontier_says_which_subtrees_become_complete(batches: list[int]) -> None:
    frontier = Frontier()
    for step in batches:
        old, new = frontier.size, min(frontier.size + step, MOST)
        grown = frontier.extend(LEAVES[old:new])
        assert (frontier.size, frontier.root()) == (new, mth(0, new))
        for level, hashes in enumerate(grown):
            complete = range(old >> level, new >> level)
            assert list(hashes) == [hash_at(level, index) for index in complete]
        assert new >> len(grown) == old >> len(grown)


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert Frontier().root() == EMPTY_ROOT == ROOTS[0]


def test_a_node_never_has_the_hash_of_a_leaf_with_the_same_bytes() -> None:
    assert hash_node(LEAVES[0], LEAVES[1]) != hash_leaf(LEAVES[0] + LEAVES[1])


@pytest.mark.parametrize(
    ("size", "nodes"), [(0, [OTHER]), (3, [OTHER]), (4, [OTHER, OTHER]), (-1, [])]
)
def test_a_frontier_has_as_many_hashes_as_its_size_has_one_bits(
    size: int, nodes: list[bytes]
) -> None:
    with pytest.raises(ValueError, match="a frontier of"):
        Frontier(size, nodes)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (8, 7), (-1, 5)])
def test_no_inclusion_proof_is_made_for_what_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="is not in a tree"):
        inclusion_path(index, size, hash_at)


@pytest.mark.parametrize(("old", "new"), [(1, 0), (9, 8), (-1, 5)])
def test_no_consistency_proof_is_made_backwards(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="cannot contain"):
        consistency_path(old, new, hash_at)


Bend = Callable[[list[bytes]], list[bytes]]
BENDS: dict[str, Bend] = {
    "step-missing": lambda path: path[:-1],
    "first-step-missing": lambda path: path[1:],
    "empty": lambda path: [],
    "step-appended": lambda path: [*path, OTHER],
    "step-put-first": lambda path: [OTHER, *path],
    "empty-step-appended": lambda path: [*path, b""],
    "empty-step-put-first": lambda path: [b"", *path],
    "reversed": lambda path: path[::-1],
    "bit-flipped": lambda path: [bytes([path[0][0] ^ 8]) + path[0][1:], *path[1:]],
    "last-bit-flipped": lambda path: [*path[:-1], path[-1][:-1] + bytes([path[-1][-1] ^ 1])],
    "steps-joined": lambda path: [path[0] + path[1], *path[2:]],
    "cut-elsewhere": lambda path: [path[0] + path[1][:1], path[1][1:], *path[2:]],
}


@pytest.mark.parametrize("bend", BENDS.values(), ids=BENDS.keys())
@pytest.mark.parametrize(("index", "size"), [(0, 8), (5, 8), (1, 5), (66, 69)])
def test_a_bent_inclusion_proof_is_refused(index: int, size: int, bend: Bend) -> None:
    path = bend(inclusion_path(index, size, hash_at))
    with pytest.raises(NotIncluded):
        verify_inclusion(LEAVES[index], index, size, path, mth(0, size))


@pytest.mark.parametrize("bend", BENDS.values(), ids=BENDS.keys())
@pytest.mark.parametrize(("old", "new"), [(1, 8), (6, 8), (2, 5), (60, 69), (37, 70)])
def test_a_bent_consistency_proof_is_refused(old: int, new: int, bend: Bend) -> None:
    path = bend(consistency_path(old, new, hash_at))
    with pytest.raises(NotConsistent):
        verify_consistency(old, new, path, mth(0, old), mth(0, new))


@pytest.mark.parametrize(
    ("leaf", "index", "size", "root"),
    [
        pytest.param(LEAVES[0], 0, 0, EMPTY_ROOT, id="empty-tree"),
        pytest.param(LEAVES[0], 1, 1, LEAVES[0], id="index-is-size"),
        pytest.param(LEAVES[0], -1, 1, LEAVES[0], id="negative"),
        pytest.param(LEAVES[0], 0, 1, OTHER, id="other-root"),
        pytest.param(OTHER, 0, 1, LEAVES[0], id="other-leaf"),
        pytest.param(b"", 0, 1, b"", id="empty-hashes"),
        pytest.param(LEAVES[0], 0, 2, LEAVES[0], id="path-missing"),
    ],
)
def test_nothing_is_included_by_default(leaf: bytes, index: int, size: int, root: bytes) -> None:
    with pytest.raises(NotIncluded):
        verify_inclusion(leaf, index, size, [], root)


@pytest.mark.parametrize(
    ("old", "new", "path", "old_root", "new_root"),
    [
        pytest.param(1, 0, [], LEAVES[0], EMPTY_ROOT, id="backwards"),
        pytest.param(-1, 1, [], EMPTY_ROOT, LEAVES[0], id="negative"),
        pytest.param(1, 2, [], LEAVES[0], mth(0, 2), id="no-path"),
        pytest.param(3, 5, [], mth(0, 3), mth(0, 5), id="no-path-from-no-power-of-two"),
        pytest.param(1, 1, [], LEAVES[0], OTHER, id="same-size-other-root"),
        pytest.param(1, 1, [OTHER], LEAVES[0], LEAVES[0], id="same-size-with-path"),
        pytest.param(0, 1, [OTHER], EMPTY_ROOT, LEAVES[0], id="from-empty-with-path"),
        pytest.param(0, 1, [], OTHER, LEAVES[0], id="from-empty-with-other-root"),
        pytest.param(1, 1, [], b"", b"", id="empty-hashes"),
        pytest.param(2, 5, [mth(2, 4), mth(4, 5)], mth(0, 5), mth(0, 2), id="roots-swapped"),
    ],
)
def test_nothing_is_consistent_by_default(
    old: int, new: int, path: list[bytes], old_root: bytes, new_root: bytes
) -> None:
    with pytest.raises(NotConsistent):
        verify_consistency(old, new, path, old_root, new_root)


@given(
    index=st.integers(0, 2**63 - 1),
    size=st.integers(0, 2**63),
    path=st.lists(st.binary(min_size=32, max_size=32), max_size=64),
)
def test_an_invented_inclusion_proof_is_refused_at_any_size(
    index: int, size: int, path: list[bytes]
) -> None:
    with pytest.raises(NotIncluded):
        verify_inclusion(OTHER, index, size, path, EMPTY_ROOT)


@given(
    old=st.integers(1, 2**63),
    new=st.integers(1, 2**63),
    path=st.lists(st.binary(min_size=32, max_size=32), max_size=64),
)
def test_an_invented_consistency_proof_is_refused_at_any_size(
    old: int, new: int, path: list[bytes]
) -> None:
    with pytest.raises(NotConsistent):
        verify_consistency(old, new, path, OTHER, EMPTY_ROOT)

"""Paths and bundles of a published log."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import MalformedBundle
from audit.layout import Tile, edge, join_bundle, split_bundle

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "tiles.json").read_text()
)


@pytest.mark.parametrize("case", VECTORS["paths"], ids=lambda case: case["path"])
def test_paths_are_those_of_the_specification(case: dict[str, Any]) -> None:
    tile = Tile(case["level"], case["index"], case["width"])
    assert tile.path == case["path"]
    assert Tile.parse(case["path"]) == tile


@given(level=st.none() | st.integers(0, 7), index=st.integers(0, 2**55), width=st.integers(1, 256))
def test_parsing_a_path_restores_the_tile(level: int | None, index: int, width: int) -> None:
    tile = Tile(level, index, width)
    assert Tile.parse(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "checkpoint",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/0/1",
        "tile/0/0001",
        "tile/0/x001",
        "tile/0/001/002",
        "tile/0/x000/001",
        "tile/0/x001/x002",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/1000",
        "tile/0/000.p/1/2",
        "tile/00/000",
        "tile/8/000",
        "tile/63/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/entries/٠٠٠",
        "/tile/0/000",
        "tile/0/000\n",
        "tile//0/000",
        "../tile/0/000",
    ],
)
def test_a_path_has_one_spelling(path: str) -> None:
    assert Tile.parse(path) is None


@pytest.mark.parametrize(
    ("tile", "size"),
    [
        (Tile(None, 0, 1), 1),
        (Tile(0, 0), 256),
        (Tile(1, 0, 1), 256),
        (Tile(0, 273, 112), 70_000),
        (Tile(1, 1, 17), 273 * 256),
        (Tile(2, 0, 1), 65_536),
    ],
)
def test_a_tile_exists_from_a_size_on(tile: Tile, size: int) -> None:
    assert tile.reaches == size


@pytest.mark.parametrize("tree", VECTORS["trees"], ids=lambda tree: str(tree["size"]))
def test_the_partial_tiles_of_a_tree_are_those_of_the_specification(tree: dict[str, Any]) -> None:
    widths = {str(tile.level): tile.width for tile in edge(tree["size"]) if tile.level is not None}
    assert widths == tree["partial"]
    for tile in edge(tree["size"]):
        if tile.level is not None:
            assert tile.index == tree["full"].get(str(tile.level), 0)


def test_the_bundle_has_the_width_of_the_lowest_tile() -> None:
    assert list(edge(700)) == [Tile(None, 2, 188), Tile(0, 2, 188), Tile(1, 0, 2)]
    assert list(edge(0)) == []


@given(st.lists(st.binary(max_size=700), max_size=20))
def test_a_bundle_gives_back_its_entries(entries: list[bytes]) -> None:
    assert split_bundle(join_bundle(entries)) == entries


def test_the_longest_entry_fits_and_a_longer_one_does_not() -> None:
    assert split_bundle(join_bundle([b"x" * 65_535])) == [b"x" * 65_535]
    with pytest.raises(OverflowError):
        join_bundle([b"x" * 65_536])


@pytest.mark.parametrize(
    "bundle",
    [
        pytest.param(b"\x00", id="half-a-length"),
        pytest.param(b"\x00\x01", id="no-entry"),
        pytest.param(b"\x00\x02a", id="half-an-entry"),
        pytest.param(b"\x00\x01a\xff\xff", id="second-missing"),
        pytest.param(b"\x00\x01a\x00", id="trailing-byte"),
    ],
)
def test_a_bundle_that_ends_within_an_entry_is_refused(bundle: bytes) -> None:
    with pytest.raises(MalformedBundle, match="ends within item"):
        split_bundle(bundle)

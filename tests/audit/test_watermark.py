from pathlib import Path

import pytest

from audit.errors import LogDamaged
from audit.files import OsFiles
from audit.merkle import EMPTY_ROOT
from audit.watermark import Mark, Watermark

ONE, TWO = b"\x01" * 32, b"\x02" * 32


@pytest.fixture
def watermark(tmp_path: Path) -> Watermark:
    return Watermark.create(OsFiles(), tmp_path)


def found(folder: Path) -> Mark:
    watermark = Watermark.open(OsFiles(), folder)
    watermark.close()
    return watermark.mark


def damage(folder: Path, offset: int, raw: bytes) -> None:
    with (folder / "watermark").open("r+b") as file:
        file.seek(offset)
        file.write(raw)


def test_a_new_one_says_that_nothing_was_acknowledged(watermark: Watermark, tmp_path: Path) -> None:
    assert found(tmp_path) == Mark(0, EMPTY_ROOT, closed=False)


def test_the_newer_slot_counts(watermark: Watermark, tmp_path: Path) -> None:
    for size in range(1, 6):
        watermark.move(size, ONE)
        assert found(tmp_path) == Mark(size, ONE, closed=False)
    watermark.move(6, TWO, closed=True)
    assert found(tmp_path) == Mark(6, TWO, closed=True)


def test_it_goes_on_behind_the_newer_slot(watermark: Watermark, tmp_path: Path) -> None:
    watermark.move(1, ONE)
    watermark.move(2, ONE)
    again = Watermark.open(OsFiles(), tmp_path)
    again.move(3, TWO)
    assert found(tmp_path) == Mark(3, TWO, closed=False)


@pytest.mark.parametrize("torn", [0, 512])
def test_a_torn_slot_leaves_the_other(watermark: Watermark, tmp_path: Path, torn: int) -> None:
    watermark.move(1, ONE)  # generation 1: the second slot
    watermark.move(2, TWO)
    damage(tmp_path, torn + 20, b"\xff")
    assert found(tmp_path).size == (1 if torn == 0 else 2)


def test_two_torn_slots_are_damage(watermark: Watermark, tmp_path: Path) -> None:
    watermark.move(1, ONE)
    damage(tmp_path, 512, b"\xff")
    with pytest.raises(LogDamaged, match="neither slot"):
        found(tmp_path)


def test_a_missing_file_is_damage(tmp_path: Path) -> None:
    with pytest.raises(LogDamaged, match="missing"):
        found(tmp_path)

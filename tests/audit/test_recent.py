"""The newest entries in memory: what they give is what the segments hold, or nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.entry import Entry, Record
from audit.log import Log
from audit.recent import Recent
from tests.audit.stored_logs import SIGNER


def _entries(start: int, stop: int) -> list[Entry]:
    return [Entry(n, n.to_bytes(32), b"%d" % n) for n in range(start, stop)]


def _held(recent: Recent, start: int, stop: int) -> list[int] | None:
    found = recent.between(start, stop)
    return None if found is None else [each.index for each in found]


@pytest.fixture
def recent() -> Recent:
    kept = Recent(most_bytes=30)
    kept.add(_entries(0, 3), 10)
    kept.add(_entries(3, 4), 10)
    kept.add(_entries(4, 8), 10)
    return kept


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 8), (0, 1), (2, 5), (3, 4), (7, 8), (5, 5), (8, 8), (6, 3)]
)
def test_what_was_asked_for_is_given_without_a_gap(recent: Recent, start: int, stop: int) -> None:
    assert _held(recent, start, stop) == list(range(start, stop))


@pytest.mark.parametrize(("start", "stop"), [(0, 9), (8, 9), (20, 30)])
def test_what_is_not_durable_yet_is_not_here(recent: Recent, start: int, stop: int) -> None:
    assert _held(recent, start, stop) is None


def test_the_oldest_go_first_and_whole_batches_with_them(recent: Recent) -> None:
    recent.add(_entries(8, 9), 11)
    assert _held(recent, 2, 9) is None
    assert _held(recent, 3, 9) is None
    assert _held(recent, 4, 9) == [4, 5, 6, 7, 8]


def test_a_batch_that_is_too_large_leaves_nothing(recent: Recent) -> None:
    recent.add(_entries(8, 9), 31)
    assert _held(recent, 8, 9) is None
    recent.add(_entries(9, 10), 30)
    assert _held(recent, 9, 10) == [9]


def test_behind_a_gap_nothing_older_is_given(recent: Recent) -> None:
    recent.add(_entries(9, 11), 2)
    assert _held(recent, 7, 11) is None
    assert _held(recent, 9, 11) == [9, 10]


def test_an_empty_memory_gives_nothing() -> None:
    assert _held(Recent(), 0, 0) is None
    assert _held(Recent(), 0, 1) is None


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    opened = Log.open(tmp_path / "log", signer=SIGNER)
    yield opened
    opened.close_now()


def test_a_log_gives_the_same_from_memory_and_from_its_segments(log: Log) -> None:
    for number in range(5):
        log.append_now(Record(log.new_id(), "note", {"number": number}))
    from_memory = list(log.entries(1, 4))
    assert from_memory == list(log._store.reader.entries(1, 4))
    assert [each.body["number"] for each in from_memory] == [1, 2, 3]

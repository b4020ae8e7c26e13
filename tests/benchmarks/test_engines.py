"""What is taken off a run for the log's syncs: the time in which it waited for them, and once."""

import pytest

from benchmarks.engines import Clocked


def test_entries_that_are_waited_for_together_count_once() -> None:
    clocked = Clocked(iter([1.0, 5.0, 7.0, 8.0]).__next__)
    clocked.begin()
    clocked.begin()
    clocked.end(None)
    clocked.end(None)
    clocked.begin()
    clocked.end(None)
    assert clocked.waited == (5 - 1) + (8 - 7)


@pytest.mark.parametrize(
    ("waits_since", "began", "ended", "counts"),
    [
        pytest.param(1.0, 2.0, 5.0, 3.0, id="waited-for"),
        pytest.param(4.0, 2.0, 5.0, 1.0, id="came-meanwhile"),
        pytest.param(None, 2.0, 5.0, 0.0, id="nobody-waits"),
    ],
)
def test_only_the_part_of_a_sync_that_somebody_waits_for_counts(
    waits_since: float | None, began: float, ended: float, counts: float
) -> None:
    times = [ended] if waits_since is None else [waits_since, ended]
    clocked = Clocked(iter(times).__next__)
    if waits_since is not None:
        clocked.begin()
    clocked.sync(began)
    assert clocked.synced == counts

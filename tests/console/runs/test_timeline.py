"""The line of time: work has room, however long nothing happened."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.runs.length import length
from console.runs.timeline import Bar, scale

HOUR = 3_600_000_000
spans = st.lists(
    st.tuples(
        st.integers(0, 10 * HOUR), st.integers(0, HOUR), st.sampled_from(["done", "waiting"])
    ),
    min_size=1,
    max_size=30,
)


def bars(*spans: tuple[int, int, str]) -> list[Bar]:
    return [Bar("x", status, at, at + lasts) for at, lasts, status in spans]


@given(spans=spans)
def test_the_pieces_cover_the_whole_time_and_the_whole_width(
    spans: list[tuple[int, int, str]],
) -> None:
    found = bars(*spans)
    pieces = scale(found)
    assert pieces[0].at == min(bar.at for bar in found)
    assert pieces[-1].until >= max(bar.until for bar in found)
    for one, other in itertools.pairwise(pieces):
        assert one.until == other.at
        assert one.x + one.wide == pytest.approx(other.x)
    assert pieces[-1].x + pieces[-1].wide <= 1000
    assert all(piece.wide >= 0 for piece in pieces)


def test_idle_hours_take_no_room_from_the_work() -> None:
    pieces = scale(bars((0, 1000, "done"), (10 * HOUR, 1000, "done")))
    assert [piece.is_cut for piece in pieces] == [False, True, False]
    assert pieces[0].wide > 5 * pieces[1].wide


def test_while_people_are_waited_for_nothing_happens() -> None:
    pieces = scale(bars((0, 1000, "done"), (1000, 5 * HOUR, "waiting")))
    assert [piece.is_cut for piece in pieces] == [False, True]


def test_work_that_overlaps_is_cut_nowhere() -> None:
    assert [piece.is_cut for piece in scale(bars((0, 100, "done"), (50, 100, "done")))] == [False]


def test_a_run_that_only_waits_is_drawn() -> None:
    assert scale(bars((7, 5 * HOUR, "waiting")))[-1].until == 7 + 5 * HOUR


@pytest.mark.parametrize(
    ("us", "said"),
    [
        (0, "0.0 ms"),
        (1500, "1.5 ms"),
        (2_500_000, "2.50 s"),
        (90_000_000, "1.5 min"),
        (2 * HOUR, "2.0 h"),
        (48 * HOUR, "2.0 d"),
    ],
)
def test_lengths_are_said_as_people_read_them(us: int, said: str) -> None:
    assert length(us) == said

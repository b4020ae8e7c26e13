import pytest

from gateway.errors import NotUnderstood
from gateway.links.flood import Flood


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_let_through_and_what_follows_is_not() -> None:
    flood = Flood(per_second=10, burst=3, clock=Clock())
    assert [flood.allows() for _ in range(5)] == [True, True, True, False, False]
    with pytest.raises(NotUnderstood, match="10 unasked"):
        flood.count()


def test_time_fills_it_again_but_never_above_the_burst() -> None:
    clock = Clock()
    flood = Flood(per_second=10, burst=3, clock=clock)
    while flood.allows():
        pass
    clock.now += 0.1
    assert [flood.allows() for _ in range(2)] == [True, False]
    clock.now += 3600
    assert [flood.allows() for _ in range(4)] == [True, True, True, False]

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.throttle import Throttle, network

NOW = 1_795_154_745


def test_so_many_attempts_are_allowed_and_then_one_waits() -> None:
    throttle = Throttle(attempts=3, window_s=60)
    assert [throttle.charge("a", NOW + n) for n in range(5)] == [0, 0, 0, 57, 56]
    assert throttle.charge("a", NOW + 60) == 0


def test_keys_are_counted_apart() -> None:
    throttle = Throttle(attempts=1, window_s=60)
    assert throttle.charge("a", NOW) == 0
    assert throttle.charge("b", NOW) == 0


def test_an_attempt_that_succeeded_is_not_counted() -> None:
    throttle = Throttle(attempts=1, window_s=60)
    for _ in range(5):
        assert throttle.charge("a", NOW) == 0
        throttle.forgive("a")


def test_forgiving_what_was_never_charged_gives_nothing() -> None:
    throttle = Throttle(attempts=1, window_s=60)
    throttle.forgive("a")
    assert throttle.charge("a", NOW) == 0
    assert throttle.charge("a", NOW) > 0


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 30))))
def test_memory_is_bounded_and_no_window_allows_more(attempts: list[tuple[int, int]]) -> None:
    throttle = Throttle(attempts=2, window_s=60, max_keys=10)
    now = NOW
    for key, later in attempts:
        now += later
        throttle.charge(str(key), now)
        assert len(throttle._windows) <= 10
        assert all(window.used <= 2 for window in throttle._windows.values())


@pytest.mark.parametrize(
    ("source", "counted"),
    [
        ("127.0.0.1:41022", "127.0.0.1"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("::1:41022", "::/64"),
        ("[2001:db8:1:2:3:4:5:6]:80", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff:80", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1:80", "10.0.0.1"),
        ("unknown", ""),
        ("testclient:50000", "testclient"),
    ],
)
def test_one_source_is_one_host_or_one_ipv6_network(source: str, counted: str) -> None:
    assert network(source) == counted

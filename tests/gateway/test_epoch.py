from hypothesis import given
from hypothesis import strategies as st

from gateway.epoch import CONFIRMED_FOR_US, Epoch

NOW = 1_795_154_745_000_000


def test_the_owner_of_the_epoch_needs_no_confirmation() -> None:
    assert Epoch().confirmed(NOW)


def test_advancing_raises_the_number_by_one() -> None:
    epoch = Epoch()
    assert (epoch.advance(), epoch.advance(), epoch.value) == (1, 2, 2)


def test_a_replica_that_never_heard_is_not_confirmed() -> None:
    assert not Epoch.followed().confirmed(0)


def test_a_replica_is_confirmed_for_one_second_and_no_longer() -> None:
    epoch = Epoch.followed()
    epoch.confirm(7, NOW)
    assert epoch.value == 7
    assert epoch.confirmed(NOW + CONFIRMED_FOR_US)
    assert not epoch.confirmed(NOW + CONFIRMED_FOR_US + 1)


def test_an_older_number_neither_lowers_nor_confirms() -> None:
    epoch = Epoch.followed()
    epoch.confirm(7, NOW)
    epoch.confirm(6, NOW + CONFIRMED_FOR_US)
    assert epoch.value == 7
    assert not epoch.confirmed(NOW + CONFIRMED_FOR_US + 1)


def test_the_owner_takes_no_number_from_elsewhere() -> None:
    epoch = Epoch()
    epoch.confirm(99, NOW)
    assert epoch.value == 0


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 2**53))))
def test_the_number_of_a_replica_never_falls(heard: list[tuple[int, int]]) -> None:
    epoch = Epoch.followed()
    for value, now in heard:
        before = epoch.value
        epoch.confirm(value, now)
        assert epoch.value == max(before, value)


def test_what_lost_its_state_is_never_confirmed_again() -> None:
    for epoch in (Epoch(), Epoch.followed()):
        before = epoch.value
        epoch.lose()
        epoch.confirm(before + 9, NOW)
        assert epoch.value > before
        assert not epoch.confirmed(NOW)

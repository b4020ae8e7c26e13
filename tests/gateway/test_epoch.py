from hypothesis import given
from hypothesis import strategies as st

from gateway.epoch import CONFIRMED_FOR_US, Epoch

NOW = 1_795_154_745_000_000


def test_the_epoch_of_a_single_gateway_needs_no_confirmation() -> None:
    assert Epoch().confirmed(NOW)


def test_advancing_raises_the_number_by_one() -> None:
    epoch = Epoch()
    assert (epoch.advance(), epoch.advance(), epoch.value) == (1, 2, 2)


def test_one_of_several_that_never_heard_is_not_confirmed() -> None:
    assert not Epoch.followed().confirmed(0)


def test_one_of_several_is_confirmed_for_less_than_a_second_and_no_longer() -> None:
    epoch = Epoch.followed()
    epoch.confirm(NOW)
    assert CONFIRMED_FOR_US < 1_000_000
    assert epoch.confirmed(NOW + CONFIRMED_FOR_US)
    assert not epoch.confirmed(NOW + CONFIRMED_FOR_US + 1)


@given(st.lists(st.integers(0, 2**53), min_size=1))
def test_it_is_confirmed_as_long_as_the_newest_answer_reaches(asked: list[int]) -> None:
    epoch = Epoch.followed()
    for each in asked:
        epoch.confirm(each)
    assert epoch.confirmed(max(asked) + CONFIRMED_FOR_US)
    assert not epoch.confirmed(max(asked) + CONFIRMED_FOR_US + 1)


def test_confirming_changes_nothing_that_was_verified() -> None:
    epoch = Epoch.followed()
    epoch.confirm(NOW)
    assert epoch.value == 0


def test_what_lost_its_state_is_never_confirmed_again() -> None:
    for epoch in (Epoch(), Epoch.followed()):
        before = epoch.value
        epoch.lose()
        epoch.confirm(NOW)
        assert epoch.value > before
        assert not epoch.confirmed(NOW)

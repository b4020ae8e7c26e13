"""Carriers: a run has one worker, and a worker that is not heard of has no run."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.runs.carriers import LEASE_S, LOOK_EVERY_S, MOST_WORKERS, Carriers, Listening
from gateway.runs.errors import RunRefused

POOLS = {"crew": frozenset({"porter", "helper"}), "other": frozenset({"helper"})}


class House:
    """Carriers with a clock of the test's."""

    def __init__(self) -> None:
        self.now = 100.0
        self.carriers = Carriers(POOLS, lambda: self.now)

    def come(self, executor: str, agent: str = "porter") -> None:
        self.carriers.beat(agent, executor, ["crew"])

    def carries(self, executor: str, run: str = "r", agent: str = "porter") -> bool:
        try:
            self.carriers.check(agent, executor, run)
        except RunRefused:
            return False
        return True


def test_a_worker_carries_what_it_was_given_while_it_is_heard_of() -> None:
    house = House()
    house.come("one")
    house.carriers.take("porter", "one", "crew", "r")
    assert house.carries("one")
    house.now += LEASE_S / 2
    house.come("one")
    house.now += LEASE_S / 2
    assert house.carries("one")
    house.now += LEASE_S
    assert not house.carries("one")
    assert house.carriers.lapsed() == ("one",)
    assert house.carriers.lapsed() == ()


def test_who_comes_back_after_its_lease_carries_nothing() -> None:
    house = House()
    house.come("one")
    house.carriers.take("porter", "one", "crew", "r")
    house.now += LEASE_S
    assert house.carriers.lapsed() == ("one",)
    house.come("one")
    assert not house.carries("one")


def test_who_is_late_but_was_not_missed_yet_goes_on() -> None:
    house = House()
    house.come("one")
    house.carriers.take("porter", "one", "crew", "r")
    house.now += LEASE_S
    house.come("one")
    assert house.carries("one")
    assert house.carriers.lapsed() == ()


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda c: c.beat("porter", "two", ["other"]), id="a-pool-that-is-not-its"),
        pytest.param(lambda c: c.beat("porter", "two", ["none"]), id="a-pool-that-there-is-not"),
        pytest.param(lambda c: c.beat("clerk", "two", ["crew"]), id="an-agent-that-is-no-worker"),
        pytest.param(lambda c: c.beat("helper", "one", ["crew"]), id="anothers-name"),
        pytest.param(lambda c: c.take("porter", "one", "other", "r"), id="a-run-of-another-pool"),
        pytest.param(lambda c: c.take("porter", "two", "crew", "r"), id="a-worker-never-heard-of"),
        pytest.param(lambda c: c.take("helper", "one", "crew", "r"), id="for-another"),
        pytest.param(lambda c: c.check("porter", "one", "s"), id="a-run-it-was-not-given"),
        pytest.param(lambda c: c.check("helper", "one", "r"), id="another-agent"),
        pytest.param(lambda c: c.leave("helper", "one"), id="sent-away-by-another"),
    ],
)
def test_anything_else_is_refused(act: Callable[[Carriers], None]) -> None:
    house = House()
    house.come("one")
    house.carriers.take("porter", "one", "crew", "r")
    with pytest.raises(RunRefused):
        act(house.carriers)
    assert house.carries("one")


def test_a_run_that_another_was_given_is_its_alone() -> None:
    house = House()
    for executor in ("one", "two"):
        house.come(executor)
        house.carriers.take("porter", executor, "crew", "r")
    assert (house.carries("one"), house.carries("two")) == (False, True)


def test_whatever_a_worker_asks_keeps_it_there() -> None:
    house = House()
    house.come("one")
    house.carriers.take("porter", "one", "crew", "r")
    for _ in range(3):
        house.now += LEASE_S / 2
        house.carriers.heard("porter", "one")
    assert house.carries("one")
    house.now += LEASE_S
    with pytest.raises(RunRefused):
        house.carriers.heard("porter", "one")


def test_time_in_which_nobody_could_be_heard_does_not_count() -> None:
    listening = Listening()
    carriers = Carriers(POOLS, lambda: listening.seconds)
    carriers.beat("porter", "one", ["crew"])
    listening.passed(10 * LEASE_S)
    assert carriers.lapsed() == ()
    while listening.seconds < LEASE_S:
        listening.passed(LOOK_EVERY_S)
    assert carriers.lapsed() == ("one",)


def test_who_leaves_is_missed_at_once() -> None:
    house = House()
    house.come("one")
    house.carriers.take("porter", "one", "crew", "r")
    house.carriers.leave("porter", "one")
    assert not house.carries("one")
    assert house.carriers.lapsed() == ("one",)


def test_workers_of_an_earlier_start_are_waited_for_a_while() -> None:
    house = House()
    house.carriers.expect(["one", "two"])
    house.come("one")
    house.now += 2 * LEASE_S - 1
    house.come("one")
    assert house.carriers.lapsed() == ()
    house.now += 1
    assert house.carriers.lapsed() == ("two",)


def test_there_are_not_any_number_of_workers() -> None:
    house = House()
    for number in range(MOST_WORKERS):
        house.come(f"{number}")
    with pytest.raises(RunRefused):
        house.come("one-more")
    house.come("0")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["come", "take", "pass", "leave", "sweep"]),
            st.sampled_from(["one", "two", "three"]),
            st.sampled_from(["r", "s"]),
        ),
        max_size=40,
    )
)
def test_no_run_ever_has_two_workers(steps: list[tuple[str, str, str]]) -> None:
    house = House()
    for what, executor, run in steps:
        try:
            if what == "come":
                house.come(executor)
            elif what == "take":
                house.carriers.take("porter", executor, "crew", run)
            elif what == "leave":
                house.carriers.leave("porter", executor)
        except RunRefused:
            pass
        if what == "pass":
            house.now += LEASE_S / 2
        if what == "sweep":
            house.carriers.lapsed()
        for each in ("r", "s"):
            assert sum(house.carries(one, each) for one in ("one", "two", "three")) <= 1

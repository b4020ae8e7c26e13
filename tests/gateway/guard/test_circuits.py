import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.guard.circuits import Circuits
from gateway.guard.rules import Circuit

S = 1_000_000
NOW = 1_795_154_745 * S
RULE = Circuit.model_validate({"failures": 3, "pause": "10s"})


def opened(rule: Circuit | None = RULE) -> tuple[Circuits, list[tuple[str, str, int, int]]]:
    told: list[tuple[str, str, int, int]] = []
    return Circuits(rule, lambda *what: told.append(what)), told


def fails(circuits: Circuits, times: int, now: int = NOW) -> None:
    for _ in range(times):
        circuits.failed("desk", "clerk", now)


def test_a_server_is_left_alone_after_so_many_failures_in_a_row_and_that_is_told_once() -> None:
    circuits, told = opened()
    fails(circuits, 2)
    assert circuits.admits("desk", "clerk", NOW)
    fails(circuits, 3)
    assert not circuits.admits("desk", "clerk", NOW)
    assert told == [("desk", "clerk", 3, NOW + 10 * S)]


@pytest.mark.parametrize(("server", "agent"), [("desk", "scout"), ("ledger", "clerk")])
def test_only_this_agent_at_this_server_is_concerned(server: str, agent: str) -> None:
    circuits, _ = opened()
    fails(circuits, 9)
    assert circuits.admits(server, agent, NOW)


def test_an_answer_in_between_makes_it_no_row() -> None:
    circuits, told = opened()
    for _ in range(5):
        fails(circuits, 2)
        circuits.succeeded("desk", "clerk")
    assert circuits.admits("desk", "clerk", NOW)
    assert not told


def test_after_the_pause_one_call_tries_and_its_success_ends_the_matter() -> None:
    circuits, _ = opened()
    fails(circuits, 3)
    later = NOW + 10 * S
    assert [circuits.admits("desk", "clerk", later) for _ in range(3)] == [True, False, False]
    circuits.succeeded("desk", "clerk")
    assert circuits.admits("desk", "clerk", later)
    fails(circuits, 2, later)
    assert circuits.admits("desk", "clerk", later)


def test_after_the_pause_one_failure_is_enough_for_the_next_pause_and_is_no_news() -> None:
    circuits, told = opened()
    fails(circuits, 3)
    later = NOW + 10 * S
    assert circuits.admits("desk", "clerk", later)
    fails(circuits, 1, later)
    assert not circuits.admits("desk", "clerk", later + 9 * S)
    assert circuits.admits("desk", "clerk", later + 10 * S)
    assert len(told) == 1


def test_a_try_that_never_comes_back_does_not_keep_it_open_for_ever() -> None:
    circuits, _ = opened()
    fails(circuits, 3)
    assert circuits.admits("desk", "clerk", NOW + 10 * S)
    assert circuits.admits("desk", "clerk", NOW + 20 * S)


def test_without_the_guard_nobody_is_left_alone() -> None:
    circuits, told = opened(None)
    fails(circuits, 100)
    assert circuits.admits("desk", "clerk", NOW)
    assert not told


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=60))
def test_whoever_is_refused_has_failed_that_often_and_not_been_answered_since(
    steps: list[tuple[bool, int]],
) -> None:
    circuits, _ = opened()
    now, in_a_row = NOW, 0
    for answers, pause in steps:
        now += pause * S
        if not circuits.admits("desk", "clerk", now):
            assert in_a_row >= RULE.failures
            continue
        if answers:
            circuits.succeeded("desk", "clerk")
            in_a_row = 0
        else:
            circuits.failed("desk", "clerk", now)
            in_a_row += 1

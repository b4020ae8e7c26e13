import asyncio
import random

import pytest

from gateway.links.slots import Slots


async def _turns(number: int = 3) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def _waiting(slots: Slots, number: int) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(slots.wait()) for _ in range(number)]


def test_only_so_many_are_taken() -> None:
    slots = Slots(2)
    assert [slots.take() for _ in range(3)] == [True, True, False]
    slots.give_back()
    assert [slots.take() for _ in range(2)] == [True, False]


async def test_who_waits_longest_is_next_and_nobody_overtakes() -> None:
    slots = Slots(1)
    assert slots.take()
    first, second = _waiting(slots, 2)
    await _turns()
    slots.give_back()
    assert not slots.take()
    await _turns()
    assert (first.done(), second.done()) == (True, False)
    slots.give_back()
    await second


async def test_who_stops_waiting_is_passed_over() -> None:
    slots = Slots(1)
    assert slots.take()
    first, second = _waiting(slots, 2)
    await _turns()
    first.cancel()
    slots.give_back()
    await second
    slots.give_back()
    assert slots.take()


async def test_a_slot_that_comes_to_somebody_who_just_left_is_not_lost() -> None:
    slots = Slots(1)
    assert slots.take()
    first, second = _waiting(slots, 2)
    await _turns()
    slots.give_back()  # handed to the first, who has not run since
    first.cancel()
    await second
    assert first.cancelled()
    slots.give_back()
    assert slots.take()


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_happens_as_many_come_back_as_there_were(seed: int) -> None:
    chance, slots = random.Random(seed), Slots(3)  # noqa: S311 - what is tried, no secret
    inside = most = 0

    async def visit() -> None:
        nonlocal inside, most
        if not slots.take():
            await slots.wait()
        inside += 1
        most = max(most, inside)
        try:
            await _turns(chance.randrange(4))
        finally:
            inside -= 1
            slots.give_back()

    tasks = [asyncio.create_task(visit()) for _ in range(40)]
    while any(not task.done() for task in tasks):
        chance.choice(tasks).cancel()
        await _turns(chance.randrange(4))
    await asyncio.gather(*tasks, return_exceptions=True)
    assert most <= 3
    assert [slots.take() for _ in range(4)] == [True, True, True, False]

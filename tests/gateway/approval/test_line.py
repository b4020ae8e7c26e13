"""The line: turns in order, no turn without room, and no room that nobody is told of."""

import asyncio

import pytest

from gateway.approval.line import Line


class Room:
    """How many more questions can be put, by agent."""

    def __init__(self, **room: int) -> None:
        self.room = room
        self.line = Line(lambda agent: self.room[agent] > 0)
        self.asked: list[str] = []

    async def ask(self, name: str, agent: str = "job", *, used: bool = True) -> None:
        """Wait for a turn, and ask in it, unless nothing comes of it."""
        async with self.line.turn(agent) as turn:
            await turn
            if used:
                self.room[agent] -= 1
                self.asked.append(name)

    def answer(self, agent: str = "job") -> None:
        self.room[agent] += 1
        self.line.call_up(agent)


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_turns_come_in_order_and_one_for_each_room() -> None:
    house = Room(job=0)
    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(house.ask(name))
        await settled()
        assert house.asked == []
        for asked in (["a"], ["a", "b"], ["a", "b", "c"]):
            house.answer()
            await settled()
            assert house.asked == asked


async def test_a_turn_that_nothing_came_of_is_the_next_ones() -> None:
    house = Room(job=0)
    async with asyncio.TaskGroup() as group:
        group.create_task(house.ask("a", used=False))
        group.create_task(house.ask("b"))
        await settled()
        house.answer()
    assert house.asked == ["b"]


@pytest.mark.parametrize("when", ["waiting", "called-up"])
async def test_who_goes_away_keeps_nobody_waiting(when: str) -> None:
    house = Room(job=0)
    first = asyncio.create_task(house.ask("a"))
    async with asyncio.TaskGroup() as group:
        await settled()
        group.create_task(house.ask("b"))
        await settled()
        if when == "called-up":
            house.answer()
        first.cancel()
        await settled()
        if when == "waiting":
            house.answer()
    assert house.asked == ["b"]


async def test_agents_do_not_wait_for_each_other() -> None:
    house = Room(job=0, other=1)
    waiting = asyncio.create_task(house.ask("a"))
    await house.ask("b", "other")
    assert house.asked == ["b"]
    waiting.cancel()


async def test_room_for_several_is_used_by_several() -> None:
    house = Room(job=3)
    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(house.ask(name))
    assert sorted(house.asked) == ["a", "b", "c"]

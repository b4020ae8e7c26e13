import asyncio

import pytest

from gateway.links.deadlines import NEVER, Deadlines


class Member:
    def __init__(self, deadline: float = NEVER) -> None:
        self.deadline = deadline
        self.expired = asyncio.Event()

    def expire(self) -> None:
        self.deadline = NEVER
        self.expired.set()


def soon(seconds: float = 0.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def until(member: Member) -> None:
    await asyncio.wait_for(member.expired.wait(), 10)


async def test_what_is_due_expires_and_nothing_else_does() -> None:
    due, later, never = Member(soon()), Member(soon(3600)), Member()
    deadlines = Deadlines([later, due, never])
    deadlines.watch(later.deadline)
    deadlines.watch(due.deadline)
    await until(due)
    assert not later.expired.is_set()
    assert not never.expired.is_set()
    deadlines.close()


async def test_each_expires_in_its_turn_by_the_one_timer() -> None:
    members = [Member(soon(0.02)), Member(soon(0.01)), Member(soon(0.03))]
    deadlines = Deadlines(members)
    for member in members:
        deadlines.watch(member.deadline)
    for member in members:
        await until(member)


async def test_a_shorter_deadline_does_not_wait_for_the_one_that_is_watched() -> None:
    members = [Member(soon(3600))]
    deadlines = Deadlines(members)
    deadlines.watch(members[0].deadline)
    members.append(Member(soon()))
    deadlines.watch(members[1].deadline)
    await until(members[1])
    deadlines.close()


async def test_what_has_ended_in_time_does_not_expire() -> None:
    ended, after = Member(soon()), Member(soon(0.01))
    deadlines = Deadlines([ended, after])
    deadlines.watch(ended.deadline)
    ended.deadline = NEVER
    deadlines.watch(after.deadline)
    await until(after)
    assert not ended.expired.is_set()


async def test_a_deadline_that_was_put_off_expires_at_its_new_time() -> None:
    member = Member(soon())
    deadlines = Deadlines([member])
    deadlines.watch(member.deadline)
    member.deadline = soon(0.01)  # nobody says so: the watch looks again by itself
    await until(member)


async def test_after_closing_nothing_expires_until_told_anew() -> None:
    member = Member(soon())
    deadlines = Deadlines([member])
    deadlines.watch(member.deadline)
    deadlines.close()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(member.expired.wait(), 0.02)
    deadlines.watch(member.deadline)
    await until(member)

"""The bell, without a gateway."""

import asyncio

import pytest

from gateway.operator.bell import MOST_STREAMS, Bell
from gateway.operator.errors import OperatorRefused


async def test_a_bell_that_is_closed_wakes_everyone() -> None:
    bell = Bell()
    waiting = asyncio.create_task(bell.wait(60))
    resting = asyncio.create_task(bell.rest(60))
    await asyncio.sleep(0)
    bell.close()
    async with asyncio.timeout(20):
        await asyncio.gather(waiting, resting)
    assert bell.is_closed


async def test_so_many_streams_there_are_and_no_more() -> None:
    bell = Bell()
    bell.streams = MOST_STREAMS - 1
    bell.check()
    with bell.stream(), pytest.raises(OperatorRefused, match="too many"):
        bell.check()
    bell.check()

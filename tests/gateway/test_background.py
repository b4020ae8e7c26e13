import asyncio

import pytest

from gateway.background import in_background


async def test_all_of_it_goes_on_beside_the_block_and_ends_with_it() -> None:
    begun, ended = set[str](), set[str]()

    async def work(name: str) -> None:
        begun.add(name)
        try:
            await asyncio.Event().wait()
        finally:
            ended.add(name)

    async def fail_in_the_block() -> None:
        async with in_background(work("a"), work("b")):
            await asyncio.sleep(0)
            assert (begun, ended) == ({"a", "b"}, set())
            raise ValueError("of the block")

    with pytest.raises(ValueError, match="of the block"):
        await fail_in_the_block()
    assert ended == {"a", "b"}


async def test_what_fails_ends_nothing_else() -> None:
    async def fails() -> None:
        raise OSError("gone")

    other = asyncio.Event()

    async def goes_on() -> None:
        await asyncio.sleep(0)
        other.set()
        await asyncio.Event().wait()

    async with in_background(fails(), goes_on()):
        await other.wait()

"""The heart: a busy worker is not taken for dead, and one that hangs is."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from gateway.errors import FetchFailed
from gateway.runs.asking import Asking, Identity
from gateway.runs.errors import RunRefused
from gateway.runs.heart import STILL_S, beating

PATIENCE_S = 60
TOLD = {"now": 1000, "again": 0.001}


class Gateway:
    """Hears beats, in the heart's thread; `beats` can be waited for from another one."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self.beats = threading.Semaphore(0)
        self.heard = 0
        self._answer = answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.heard += 1
        self.beats.release()
        return self._answer(request)

    def connect(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self))

    def wait_here(self, beats: int) -> None:
        """Keep this thread, and the loop in it, until so many more have come."""
        for _ in range(beats):
            assert self.beats.acquire(timeout=PATIENCE_S)


class Clock:
    """A clock of the test's; `looked` can be waited for."""

    def __init__(self) -> None:
        self.now = 0.0
        self.looked = threading.Semaphore(0)

    def __call__(self) -> float:
        self.looked.release()
        return self.now


async def first_or_second(used: str | None) -> str:
    return "first" if used is None else "second"


def well(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=TOLD)


@asynccontextmanager
async def a_heart(
    gateway: Gateway,
    clock: Clock | None = None,
    token: Callable[[str | None], object] = first_or_second,
) -> AsyncIterator[tuple[object, list[int]]]:
    told: list[int] = []
    identity = Identity("e", ("crew",), token)  # type: ignore[arg-type]  # whatever it gives is awaited
    async with httpx.AsyncClient(transport=httpx.MockTransport(well)) as unused:
        asking = Asking("http://gw", identity, unused)
        how = {"connect": gateway.connect, "clock": clock or Clock()}
        async with beating(asking, told.append, **how) as ended:  # type: ignore[arg-type]  # by name
            yield ended, told


async def test_it_beats_while_the_workers_loop_is_busy() -> None:
    gateway = Gateway(well)
    async with a_heart(gateway, token=first_or_second) as (_, told):
        await once_heard(gateway)
        gateway.wait_here(5)  # this loop does not turn meanwhile
    assert set(told) == {1000}


async def test_it_stands_still_when_the_workers_loop_does() -> None:
    gateway, clock = Gateway(well), Clock()
    async with a_heart(gateway, clock):
        await once_heard(gateway)
        clock.now += STILL_S + 1
        looks_until_it_knows(clock)
        heard = gateway.heard
        looks_until_it_knows(clock)
        assert gateway.heard == heard


async def test_it_beats_again_when_the_loop_turns_again() -> None:
    gateway, clock = Gateway(well), Clock()
    async with a_heart(gateway, clock):
        await once_heard(gateway)
        clock.now += STILL_S + 1
        looks_until_it_knows(clock)
        heard = gateway.heard
        while gateway.heard <= heard + 1:  # one may have been under way
            await a_turn()


async def test_a_worker_that_is_not_wanted_learns_it() -> None:
    refused = httpx.Response(403, json={"code": "run.pool", "detail": "no"})
    async with a_heart(Gateway(lambda _: refused)) as (ended, _):
        with pytest.raises(RunRefused) as error:
            await ended  # type: ignore[misc]  # a future
    assert error.value.code == "run.pool"


async def test_a_token_that_is_refused_is_not_used_again() -> None:
    def choosy(request: httpx.Request) -> httpx.Response:
        good = request.headers["authorization"] == "Bearer second"
        return well(request) if good else httpx.Response(401, json={"code": "auth.invalid"})

    gateway = Gateway(choosy)
    async with a_heart(gateway) as (_, told):
        while not told:
            await a_turn()


async def test_it_beats_with_the_last_token_while_there_is_no_new_one() -> None:
    given = ["only"]

    async def once(_: str | None) -> str:
        if not given:
            raise FetchFailed("the gateway is busy")
        return given.pop()

    gateway = Gateway(well)
    async with a_heart(gateway, token=once):
        await once_heard(gateway)
        gateway.wait_here(3)
    assert given == []


async def test_it_ends_with_its_context_while_the_gateway_is_away() -> None:
    def gone(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    gateway = Gateway(gone)
    async with a_heart(gateway) as (_, told):
        while gateway.heard < 2:
            await a_turn()
    heard = gateway.heard
    assert told == []
    assert gateway.heard == heard
    assert not [each for each in threading.enumerate() if each.name.startswith("heart")]


async def once_heard(gateway: Gateway) -> None:
    while gateway.heard == 0:
        await a_turn()


def looks_until_it_knows(clock: Clock) -> None:
    """Keep the loop until the heart has looked at the clock twice: what it did before is over."""
    while clock.looked.acquire(blocking=False):
        pass
    for _ in range(2):
        assert clock.looked.acquire(timeout=PATIENCE_S)


async def a_turn() -> None:
    await asyncio.sleep(0.001)

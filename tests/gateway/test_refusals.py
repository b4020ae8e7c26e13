import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.canonical import Json
from audit.errors import AuditUnavailable
from gateway.principal import Principal
from gateway.refusals import MAX_SOURCES, PER_SECOND, WINDOW_US, Refusals
from tests.gateway.rooms import KEY, Call, Disk, House

CLERK = Call("", KEY).principal
WINDOW_S = WINDOW_US / 1_000_000


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def here(tmp_path: Path, disk: Disk) -> Iterator[House]:
    house = House.open(tmp_path / "here", files=disk)
    yield house
    disk.fails = False
    house.close()


@pytest.fixture
def refusals(here: House) -> Refusals:
    return Refusals(here.recorder)


async def refuse(
    refusals: Refusals,
    times: int = 1,
    *,
    principal: Principal | None = None,
    source: str = "192.0.2.1:4711",
    code: str = "auth.invalid",
) -> int:
    """How many of them were entries of their own."""
    receipts = [
        await refusals.refuse(principal, source=source, code=code, detail="no")
        for _ in range(times)
    ]
    return sum(receipt is not None for receipt in receipts)


def counted(house: House) -> int:
    return sum(body["count"] for body in house.bodies("refusal"))


async def test_a_refusal_says_who_why_and_from_where(here: House, refusals: Refusals) -> None:
    await refuse(refusals)
    await refuse(refusals, principal=CLERK, code="session.ended")
    stranger, clerk = here.bodies("refusal")
    assert stranger["actor"] == {"agent": None, "sub": None, "chain": []}
    assert (stranger["source"], stranger["code"]) == ("192.0.2.1", "auth.invalid")
    assert clerk["actor"]["agent"] == "clerk"


async def test_a_stranger_is_one_entry_in_ten_seconds(here: House, refusals: Refusals) -> None:
    assert await refuse(refusals, 500) == 1
    await refusals.flush(here.recorder.now())
    assert len(here.bodies("refusal")) == 1  # its window is not over
    here.clock.pass_s(WINDOW_S)
    await refusals.flush(here.recorder.now())
    first, rest = here.bodies("refusal")
    assert (first["count"], rest["count"], rest["source"]) == (1, 499, "192.0.2.1")


async def test_every_port_of_an_address_is_one_stranger(refusals: Refusals) -> None:
    assert sum([await refuse(refusals, source=f"192.0.2.1:{port}") for port in range(50)]) == 1
    assert sum([await refuse(refusals, source=f"[2001:db8::1]:{port}") for port in range(50)]) == 1


async def test_an_agent_is_an_entry_each_up_to_ten_a_second(
    here: House, refusals: Refusals
) -> None:
    assert await refuse(refusals, 100, principal=CLERK) == PER_SECOND
    here.clock.pass_s(1)
    assert await refuse(refusals, 100, principal=CLERK) == PER_SECOND
    here.clock.pass_s(WINDOW_S)
    await refusals.flush(here.recorder.now())
    assert counted(here) == 200
    assert here.bodies("refusal")[-1]["actor"]["agent"] == "clerk"


async def test_the_count_tells_what_was_refused(here: House, refusals: Refusals) -> None:
    for code, times in (("auth.invalid", 1 + 5), ("auth.expired", 7), ("request.malformed", 2)):
        await refuse(refusals, times, code=code)
    await refusals.flush(here.recorder.now(), everything=True)
    last = here.bodies("refusal")[-1]
    assert last["codes"] == {"auth.invalid": 5, "auth.expired": 7, "request.malformed": 2}
    assert (last["code"], last["count"]) == ("auth.expired", 14)
    assert refusals.counts == {"auth.invalid": 6, "auth.expired": 7, "request.malformed": 2}


async def test_a_hundred_thousand_refusals_are_few_entries_and_a_true_count(
    here: House, refusals: Refusals
) -> None:
    for _ in range(100):
        await refuse(refusals, 10)
        for _ in range(990):
            assert not refusals.admits("192.0.2.1", known=False, code="x", now=here.recorder.now())
        here.clock.pass_s(1)
        await refusals.flush(here.recorder.now())
    await refusals.flush(here.recorder.now(), everything=True)
    assert len(here.bodies("refusal")) <= 12
    assert counted(here) == 100_000


async def test_more_strangers_than_can_be_told_apart_are_counted_together(
    here: House, refusals: Refusals
) -> None:
    now = here.recorder.now()
    for n in range(MAX_SOURCES):
        assert refusals.admits(f"s{n}", known=False, code="x", now=now)
    assert refusals.admits("one more", known=False, code="x", now=now)  # the first of `*`
    assert not any(refusals.admits(f"t{n}", known=False, code="x", now=now) for n in range(500))
    await refusals.flush(now, everything=True)
    (body,) = here.bodies("refusal")
    assert (body["source"], body["count"]) == ("*", 500)


async def test_strangers_do_not_hide_what_an_agent_is_refused(
    here: House, refusals: Refusals
) -> None:
    now = here.recorder.now()
    for n in range(MAX_SOURCES + 100):
        refusals.admits(f"s{n}", known=False, code="x", now=now)
    assert await refuse(refusals, 50, principal=CLERK) == PER_SECOND
    await refusals.flush(here.recorder.now(), everything=True)
    told = [body for body in here.bodies("refusal") if body["actor"]["agent"] == "clerk"]
    assert sum(body["count"] for body in told) == 50


async def test_an_agent_and_an_address_of_one_name_are_two(refusals: Refusals) -> None:
    assert await refuse(refusals, source="clerk") == 1
    assert await refuse(refusals, principal=CLERK) == 1


async def test_quiet_strangers_are_forgotten(here: House, refusals: Refusals) -> None:
    for n in range(50):
        await refuse(refusals, source=f"192.0.2.{n}:1")
    here.clock.pass_s(WINDOW_S)
    await refusals.flush(here.recorder.now())
    assert refusals._strangers == {}
    assert len(here.bodies("refusal")) == 50


async def test_a_log_that_cannot_be_written_loses_no_count(
    here: House, refusals: Refusals, disk: Disk
) -> None:
    disk.fails = True
    assert await refuse(refusals, 3) == 0
    assert await refuse(refusals, 3, principal=CLERK) == 0
    with pytest.raises(AuditUnavailable):
        await refusals.flush(here.recorder.now(), everything=True)
    disk.fails = False
    await back(here)
    await refusals.flush(here.recorder.now(), everything=True)
    assert counted(here) == 6


async def back(house: House) -> None:
    """Wait until the log has found its disk again, which it looks for by itself."""
    async with asyncio.timeout(10):
        while house.log.trouble:  # noqa: ASYNC110 - the writer's thread has no event to give
            await asyncio.sleep(0.02)


async def test_a_refusal_never_raises_for_what_it_is_told(refusals: Refusals) -> None:
    huge: dict[str, Json] = {"tool": {"name": "x" * 100_000, "pin": None}}
    told = await refusals.refuse(None, source="", code="x", detail="y" * 9999, facts=huge)
    assert told is None
    assert refusals.counts == {"x": 1}

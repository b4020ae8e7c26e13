"""T52: memory has an end in size, in number and in time, and what has ended is gone."""

import asyncio
from pathlib import Path

import pytest

from tests.gateway.memory.remains import files_with, key_files, memory_keys
from tests.harness.agent import WAYS, Agent
from tests.harness.gateway import Running, running
from tests.harness.policy import MEMORY

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = MEMORY.replace(
    "rules:\n",
    "spaces:\n"
    "  session: {entries: 5, bytes: 2000}\n"
    "  team: {of: team, roles: [clerk], keep: 10m, entries: 6, bytes: 900}\n"
    "rules:\n",
    1,
)
CANARY = "canary-4411-remembered"


@pytest.mark.parametrize("space", [{}, {"space": "team"}])
async def test_t52_no_more_entries_fit_than_the_policy_says(
    gateway: Running, space: dict[str, str]
) -> None:
    clerks = [await gateway.agent() for _ in range(4)] if space else [await gateway.agent()]
    calls = [
        clerk.call("memory.put", key=f"{number} {n}", value="v", **space)
        for n, clerk in enumerate(clerks)
        for number in range(20)
    ]
    kept = sum(answer.done for answer in await asyncio.gather(*calls))
    assert kept == (6 if space else 5)


async def test_t52_no_more_bytes_fit_than_the_policy_says(gateway: Running, clerk: Agent) -> None:
    answers = [await clerk.call("memory.put", key=str(n), value="v" * 900) for n in range(3)]
    assert [answer.done for answer in answers] == [True, True, False]
    assert (await clerk.call("memory.get", key="2")).done is False


async def test_t52_what_has_expired_is_unreadable_every_way(tmp_path: Path) -> None:
    async with running(tmp_path, POLICY) as gateway:
        clerk = await gateway.agent()
        assert (await clerk.call("memory.put", key="k", value=CANARY, keep_s=5)).done
        assert (await clerk.call("memory.put", key="k", value=CANARY, space="team")).done
        gateway.clock.pass_s(601)
        for way in WAYS:
            agent = clerk.by(way)
            for space in ({}, {"space": "team"}):
                assert not (await agent.call("memory.get", key="k", **space)).done
                found = await agent.call("memory.search", text="canary", **space)
                assert CANARY not in str(found.body)
        await gateway.until(lambda: key_files(tmp_path / "home") == [])


async def test_t52_the_end_of_a_session_wipes_what_it_remembered(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with running(tmp_path, POLICY) as gateway:
        clerk = await gateway.agent()
        assert (await clerk.call("memory.put", key=CANARY, value=CANARY)).done
        found = memory_keys(home)
        assert found
        assert await clerk.end() == 204
        for secret in (CANARY.encode(), *found):
            assert files_with(home, secret) == []
        assert (await clerk.call("memory.get", key=CANARY)).http == 401
        (entry,) = gateway.entries("memory.wiped")
        assert entry["place"]["owner"] == clerk.session
    for secret in (CANARY.encode(), *found):
        assert files_with(home, secret) == []


async def test_t52_an_ended_session_cannot_be_written_into(tmp_path: Path) -> None:
    async with running(tmp_path, POLICY) as gateway:
        clerk = await gateway.agent()
        calls = [clerk.call("memory.put", key="k", value=str(n)) for n in range(10)]
        ended, answers = await asyncio.gather(clerk.end(), asyncio.gather(*calls))
        assert ended == 204
        assert all(answer.done or answer.code for answer in answers)
        items = gateway.gateway.services.state.memory
        await gateway.until(lambda: not items.places() and not key_files(tmp_path / "home"))
        assert not (await clerk.call("memory.put", key="k", value="late")).done
        assert key_files(tmp_path / "home") == []

"""Memory in a gateway that is killed: what was acknowledged stands, also that it is forgotten."""

import asyncio
from pathlib import Path

from tests.gateway.memory.remains import files_with, key_files, memory_keys
from tests.gateway.memory.test_memory import put, told
from tests.harness.agent import Agent, Answer
from tests.harness.child import child
from tests.harness.policy import HEAD
from tests.harness.upstream import desk

POLICY = (
    HEAD
    + """\
tools:
  desk.look: {risk: read, emits: []}
  memory.put: {}
  memory.get: {}
  memory.search: {}
rules:
  - {id: looks, roles: [clerk], tools: [desk.look], effect: allow}
  - {id: remembers, roles: [clerk], tools: [memory.*], effect: allow}
"""
)
CANARY = "canary-b1f0-remembered"


async def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path) -> None:
    async with desk() as upstream, child(tmp_path, POLICY, {"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        kept: set[str] = set()

        async def keep(key: str) -> None:
            await put(clerk, key, f"text of {key}")
            kept.add(key)
            if len(kept) == 15:
                await gateway.kill()

        calls = [asyncio.create_task(keep(f"k{number}")) for number in range(40)]
        await asyncio.gather(*calls, return_exceptions=True)
        assert len(kept) >= 15
        await gateway.start()
        again = await gateway.agent(clerk.name, session=clerk.session)
        for key in sorted(kept):
            assert told(await again.call("memory.get", key=key))["value"] == f"text of {key}"
        begun = {
            answer.text for answer in await asyncio.gather(*(_read(again, n) for n in range(40)))
        }
        assert all("text of k" in text or "nothing under" in text for text in begun)


async def test_what_was_forgotten_before_a_kill_stays_forgotten(tmp_path: Path) -> None:
    async with desk() as upstream, child(tmp_path, POLICY, {"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        await put(clerk, CANARY, CANARY)
        secrets = memory_keys(gateway.home.path)
        assert len(secrets) == 2
        assert await clerk.end() == 204
        await gateway.kill()
        assert key_files(gateway.home.path) == []
        await gateway.start()
        assert len(await gateway.entries("memory.wiped")) == 1
        for secret in (CANARY.encode(), *secrets):
            assert files_with(gateway.home.path, secret) == []


async def _read(agent: Agent, number: int) -> Answer:
    return await agent.call("memory.get", key=f"k{number}")

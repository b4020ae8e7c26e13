"""T37: labels go through memory with what is remembered: into other sessions, past a restart."""

import asyncio
import threading
from pathlib import Path

import pytest

from gateway.memory.item import Item
from gateway.memory.texts import Texts
from tests.harness.agent import Agent
from tests.harness.disk import StallingDisk
from tests.harness.gateway import Running, running
from tests.harness.policy import MEMORY
from tests.harness.upstream import desk

DAY_S = 24 * 3600

POLICY = MEMORY.replace(
    "desk.look: {risk: read, emits: []}", "desk.look: {risk: read, emits: [web]}"
).replace(
    "rules:\n",
    "spaces:\n"
    "  team: {of: team, roles: [clerk], keep: 30d}\n"
    "  notes: {of: agent, roles: [clerk], keep: 30d}\n"
    "rules:\n",
    1,
)


def labels(gateway: Running, agent: Agent) -> frozenset[str]:
    session = gateway.gateway.services.state.sessions.get(agent.session)
    assert session is not None
    return session.labels


async def tainted(gateway: Running, space: str) -> Agent:
    """An agent that has read a stranger's page and put it aside."""
    writer = await gateway.agent()
    assert (await writer.call("desk.look", at="evil.example")).done
    assert (await writer.call("memory.put", key="k", value="v", space=space)).done
    return writer


async def test_t37_a_fresh_session_that_reads_what_a_tainted_one_wrote_is_tainted(
    tmp_path: Path,
) -> None:
    async with desk() as upstream, running(tmp_path, POLICY, {"desk": upstream}) as gateway:
        await tainted(gateway, "team")
        reader = await gateway.agent()
        assert labels(gateway, reader) == frozenset()
        assert (await reader.call("memory.get", key="k", space="team")).done
        assert labels(gateway, reader) == {"web"}


async def test_t37_handing_a_text_from_memory_to_memory_takes_no_label_off(
    tmp_path: Path,
) -> None:
    async with desk() as upstream, running(tmp_path, POLICY, {"desk": upstream}) as gateway:
        await tainted(gateway, "team")
        for key in ("k", "copy 0", "copy 1", "copy 2"):
            hand = await gateway.agent()
            assert (await hand.call("memory.get", key=key, space="team")).done
            following = "copy 0" if key == "k" else f"copy {int(key[-1]) + 1}"
            assert (await hand.call("memory.put", key=following, value="v", space="team")).done
        reader = await gateway.agent()
        assert (await reader.call("memory.get", key="copy 3", space="team")).done
        assert labels(gateway, reader) == {"web"}


async def test_t37_overwriting_an_entry_cleans_nobody_who_has_read_it(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, POLICY, {"desk": upstream}) as gateway:
        await tainted(gateway, "team")
        reader, cleaner = await gateway.agent(), await gateway.agent()
        assert (await reader.call("memory.get", key="k", space="team")).done
        assert (await cleaner.call("memory.put", key="k", value="clean", space="team")).done
        assert (await reader.call("memory.put", key="k", value="v", space="team")).done
        fresh = await gateway.agent()
        assert (await fresh.call("memory.get", key="k", space="team")).done
        assert labels(gateway, fresh) == {"web"}


@pytest.mark.parametrize("lost", [(), ("state.db", "state.db-wal", "state.db-shm")])
async def test_t37_neither_a_restart_nor_time_takes_a_label_off(
    tmp_path: Path, lost: tuple[str, ...]
) -> None:
    async with desk() as upstream:
        async with running(tmp_path, POLICY, {"desk": upstream}) as gateway:
            writer = await tainted(gateway, "notes")
            assert await writer.end() == 204
        for name in lost:
            (tmp_path / "home" / name).unlink(missing_ok=True)
        async with running(tmp_path, POLICY, {"desk": upstream}) as gateway:
            gateway.clock.pass_s(2 * DAY_S)
            later = await gateway.agent(writer.name)
            assert labels(gateway, later) == frozenset()
            assert (await later.call("memory.get", key="k", space="notes")).done
            assert labels(gateway, later) == {"web"}


async def test_t37_a_text_is_given_out_only_when_its_labels_are_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, opened, let_open = StallingDisk(), Texts.text, threading.Event()

    def held(texts: Texts, item: Item) -> str:
        assert let_open.wait(10)
        return opened(texts, item)

    monkeypatch.setattr(Texts, "text", held)
    async with (
        desk() as upstream,
        running(tmp_path, POLICY, {"desk": upstream}, disk=disk) as gateway,
    ):
        await tainted(gateway, "team")
        reader = await gateway.agent()
        reading = asyncio.create_task(reader.call("memory.get", key="k", space="team"))
        await gateway.until(lambda: "decision" in gateway.kinds(reader))
        with disk.stalled():
            let_open.set()
            await gateway.writing()  # the outcome
            for _ in range(3):  # time enough for an answer that waits for nothing
                assert (await reader.get("/v1/session")).http == 200
            assert not reading.done()
        assert (await reading).done
        assert labels(gateway, reader) == {"web"}

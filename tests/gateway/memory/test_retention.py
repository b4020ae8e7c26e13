"""What is left of memory: across a restart all of it, after the end of its session nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from audit.sealed import Vault
from gateway.home import Home
from gateway.identity.minting import Order
from gateway.memory.tools import ABSENT
from gateway.session.opening import LIFETIME_S, HandedOn
from gateway.session.session import Session
from tests.gateway.memory.remains import files_with, key_files, memory_keys
from tests.gateway.memory.test_memory import POLICY, keys, put, told
from tests.harness.agent import Agent
from tests.harness.gateway import Running, running
from tests.harness.upstream import desk

CANARY = "canary-7f3a91c05e"


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Running]:
    async with desk() as upstream, running(folder, POLICY, {"desk": upstream}) as gateway:
        yield gateway


async def saved(gateway: Running) -> None:
    """Wait until the view holds what the log does."""
    services = gateway.gateway.services
    keeper = services.log._subscribers[0].__self__  # type: ignore[attr-defined]  # a method of it
    await gateway.until(lambda: keeper._saved == services.state.applied)


async def remembering(gateway: Running, session: Agent | None = None) -> Agent:
    """An agent that has put, searched and read the canary."""
    clerk = session or await gateway.agent()
    await put(clerk, CANARY, f"the number is {CANARY}")
    assert keys(await clerk.call("memory.search", text=CANARY)) == [CANARY]
    assert (await clerk.call("memory.get", key=CANARY)).done
    return clerk


def wiped(gateway: Running) -> list[dict[str, Any]]:
    return gateway.entries("memory.wiped")


# -- restart ---------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [(), ("state.db", "state.db-wal", "state.db-shm")])
async def test_memory_is_there_after_a_restart_with_and_without_the_view(
    tmp_path: Path, lost: tuple[str, ...]
) -> None:
    async with opened(tmp_path) as gateway:
        clerk = await gateway.agent()
        assert (await clerk.call("desk.look", at="x")).done
        await put(clerk, "a", "first")
        await put(clerk, "a", "second")
        await put(clerk, "b", "gone")
        assert told(await clerk.call("memory.delete", key="b"))
        before = told(await clerk.call("memory.get", key="a"))
    for name in lost:
        (tmp_path / "home" / name).unlink(missing_ok=True)
    async with opened(tmp_path) as gateway:
        again = await gateway.agent(clerk.name, session=clerk.session)
        assert told(await again.call("memory.get", key="a")) == before
        assert before["labels"] == ["web"]
        assert (await again.call("memory.get", key="b")).text == ABSENT
        assert keys(await again.call("memory.search", text="first")) == []
        await put(again, "a", "third")
        assert told(await again.call("memory.delete", key="a"))
        assert (await again.call("memory.get", key="a")).text == ABSENT


# -- the end of a session --------------------------------------------------------------------


async def test_of_an_ended_session_neither_a_word_nor_its_key_is_left(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with opened(tmp_path) as gateway:
        clerk = await remembering(gateway)
        await saved(gateway)
        session_keys = memory_keys(home)
        assert len(session_keys) == 2
        assert files_with(home, CANARY.encode()) == []  # not even while it is remembered
        assert await clerk.end() == 204
        assert memory_keys(home) == []
        (entry,) = wiped(gateway)
        assert entry["place"]["owner"] == clerk.session
        assert (entry["items"], entry["keys"]) == (1, 1)
        await saved(gateway)
        for secret in (CANARY.encode(), *session_keys):
            assert files_with(home, secret) == []
    for secret in (CANARY.encode(), *session_keys):
        assert files_with(home, secret) == []


async def test_what_is_looked_for_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "journal").write_bytes(b"\0" * 9000 + CANARY.encode() + b"\0")
    (tmp_path / "page").write_bytes(CANARY.encode().hex().encode())
    assert files_with(tmp_path, CANARY.encode()) == ["journal", "page"]


async def test_what_an_operator_ends_is_forgotten_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        clerk = await remembering(gateway)
        await gateway.operate("POST", f"/api/sessions/{clerk.session}/end")
        assert memory_keys(tmp_path / "home") == []
        assert len(wiped(gateway)) == 1


async def test_a_session_whose_time_is_over_is_forgotten(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        clerk = await remembering(gateway)
        gateway.clock.pass_s(LIFETIME_S + 1)
        await gateway.until(lambda: bool(wiped(gateway)))
        assert memory_keys(tmp_path / "home") == []
        assert wiped(gateway)[0]["place"]["owner"] == clerk.session


async def test_what_was_handed_on_is_forgotten_with_what_it_came_from(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        services = gateway.gateway.services
        clerk = await remembering(gateway)
        parent = services.state.sessions.get(clerk.session)
        assert parent is not None
        child = await services.openings.handed_on(
            HandedOn(parent, "clerk-39", (clerk.name,), parent.ends, "t", 4)
        )
        token = await _token(gateway, child)
        await remembering(gateway, Agent(gateway.http, gateway.url, token, child.agent, child.id))
        other = await remembering(gateway)
        assert await clerk.end() == 204
        assert {entry["place"]["owner"] for entry in wiped(gateway)} == {clerk.session, child.id}
        assert len(memory_keys(tmp_path / "home")) == 2  # the other's
        assert (await other.call("memory.get", key=CANARY)).done


async def test_what_a_crash_came_between_is_forgotten_at_the_next_start(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with opened(tmp_path) as gateway:
        clerk = await remembering(gateway)
        state = gateway.gateway.services.state
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Vault, "erase", _fails)
            assert await clerk.end() == 204  # it has ended, whatever the disk says
            assert wiped(gateway) == []
            # From here on nothing is done any more, as after a kill.
            state.memory.places = lambda: ()  # type: ignore[method-assign]  # a fault
        session_keys = memory_keys(home)
        assert len(session_keys) == 2
    async with opened(tmp_path) as gateway:
        assert memory_keys(home) == []
        assert [entry["place"]["owner"] for entry in wiped(gateway)] == [clerk.session]
        for secret in session_keys:
            assert files_with(home, secret) == []
    async with opened(tmp_path) as gateway:
        assert len(wiped(gateway)) == 1


async def test_a_key_that_a_crash_left_without_an_entry_is_destroyed(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        await remembering(gateway)
    found = Home.at(tmp_path / "home")
    vault = Vault.open(found.session_keys, found.vault_key())
    vault.seal("session:session/nobody", "01a1f88c-5449-7add-9220-bf15c624b1c8", b"x")
    assert len(memory_keys(found.path)) == 4
    async with opened(tmp_path):
        assert len(memory_keys(found.path)) == 2


# -- deleting --------------------------------------------------------------------------------


async def test_the_key_of_a_place_goes_with_the_last_that_it_holds(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        clerk = await gateway.agent()
        await put(clerk, "a", "v", space="notes")
        await put(clerk, "b", "v", space="notes")
        assert told(await clerk.call("memory.delete", key="a", space="notes"))
        thinned = gateway.gateway.services.state.memory.thinned
        await gateway.until(lambda: not thinned)
        assert told(await clerk.call("memory.get", key="b", space="notes"))["value"] == "v"
        assert told(await clerk.call("memory.delete", key="b", space="notes"))
        await gateway.until(lambda: key_files(tmp_path / "home") == [])
        await put(clerk, "a", "again", space="notes")
        assert told(await clerk.call("memory.get", key="a", space="notes"))["value"] == "again"


async def _token(gateway: Running, session: Session) -> str:
    services = gateway.gateway.services
    order = Order(
        agent=session.agent,
        user=None,
        session=session,
        scopes=("*",),
        lifetime_s=900,
        by="agent:clerk",
        source="127.0.0.1:1",
    )
    return (await services.mint.mint(order, gateway.clock() // 1_000_000)).token


def _fails(*_: object, **__: object) -> int:
    raise OSError("the disk fails")

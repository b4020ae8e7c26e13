"""The stream: news and nothing else, for whoever may look, until they may no more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from gateway.operator import bell
from tests.harness.agent import Agent
from tests.harness.console import Person, console, person
from tests.harness.gateway import Running

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def heard(
    who: Person, query: str = "", **headers: str
) -> AsyncIterator[tuple[httpx.Response, AsyncIterator[str]]]:
    async with who.http.stream("GET", f"{who.url}/events{query}", headers=headers) as response:
        yield response, response.aiter_lines()


async def until(lines: AsyncIterator[str], beginning: str) -> str:
    async with asyncio.timeout(20):
        async for line in lines:
            if line.startswith(beginning):
                return line
    raise AssertionError("the stream ended")


async def test_a_page_hears_that_something_happened_and_not_what(
    gateway: Running, vera: Person, clerk: Agent
) -> None:
    async with heard(vera, f"?after={gateway.size}") as (response, lines):
        assert response.headers["content-type"].startswith("text/event-stream")
        await until(lines, ":")  # it has found nothing new yet
        await clerk.call("desk.look", at="a secret place")
        assert await until(lines, "id: ") == f"id: {gateway.size}"
        assert await until(lines, "event: ") == "event: news"
        assert (await until(lines, "data: ")).removeprefix("data: ").isdecimal()


async def test_a_stream_goes_on_where_it_broke_off(
    gateway: Running, vera: Person, clerk: Agent
) -> None:
    before = gateway.size
    await clerk.call("desk.look", at="x")
    async with heard(vera, **{"last-event-id": str(before)}) as (_, lines):
        assert await until(lines, "event: ") == "event: news"


@pytest.mark.parametrize("known", ["999999999999", "-1", "x", "1" * 400, "\u00b2".encode().hex()])
async def test_a_stream_that_knows_something_else_is_told_that_there_is_news(
    vera: Person, known: str
) -> None:
    async with heard(vera, **{"last-event-id": known}) as (_, lines):
        assert await until(lines, "event: ") == "event: news"


async def test_what_is_of_another_topic_is_no_news(
    gateway: Running, vera: Person, clerk: Agent
) -> None:
    query = f"?topics=approvals&after={gateway.size}"
    async with heard(vera, query) as (_, lines):
        await until(lines, ":")
        await clerk.call("desk.look", at="x")
        await until(lines, "id: ")  # it has gone on ...
        await clerk.call("desk.publish", text="x")
        seen = await until(lines, "event: ")  # ... and says so when it concerns the page
        assert seen == "event: news"


async def test_a_stream_ends_with_the_session(gateway: Running, clerk: Agent, omar: Person) -> None:
    async with heard(omar, f"?after={gateway.size}") as (_, lines):
        await until(lines, ":")
        gateway.gateway.services.ways_in.browsers.end_of("omar")
        await clerk.call("desk.look", at="x")
        async with asyncio.timeout(20):
            rest = [line async for line in lines]
        assert "event: news" not in rest


async def test_a_stream_keeps_nobody_logged_in(
    gateway: Running, vera: Person, clerk: Agent
) -> None:
    def seen() -> list[int]:
        return [each.seen for each in gateway.gateway.services.ways_in.browsers._sessions.values()]

    before = seen()
    gateway.clock.pass_s(60)
    async with heard(vera, f"?after={gateway.size}") as (_, lines):
        await until(lines, ":")
        await clerk.call("desk.look", at="x")
        await until(lines, "event: ")
    assert seen() == before


async def test_nobody_hears_without_a_session(gateway: Running) -> None:
    answered = await gateway.http.get(f"{gateway.operators_url}/events")
    assert answered.status_code == 401
    assert answered.headers["hx-redirect"] == "/login"


async def test_there_is_no_other_topic(vera: Person) -> None:
    assert (await vera.get("/events?topics=everything")).status_code == 400


async def test_so_many_pages_are_live_and_no_more(
    gateway: Running, vera: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bell, "MOST_STREAMS", 0)
    answered = await vera.get("/events")
    assert answered.status_code == 429


async def test_a_gateway_that_ends_ends_every_stream(tmp_path: Path) -> None:
    async with AsyncExitStack() as gone:
        async with console(tmp_path) as gateway:
            vera = await gone.enter_async_context(person(gateway, "vera"))
            _, lines = await gone.enter_async_context(heard(vera, f"?after={gateway.size}"))
            await until(lines, ":")
        async with asyncio.timeout(20):
            assert "event: news" not in [line async for line in lines]

"""T49: showing a question reaches nobody: not its tool, and nothing that it names."""

import asyncio
from collections.abc import AsyncIterator
from html.parser import HTMLParser

import pytest
import pytest_asyncio

from cli.help import texts
from console.app import shown
from tests.harness.agent import Agent
from tests.harness.console import Person, person
from tests.harness.gateway import Running
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Loaded(HTMLParser):
    """Every address that a page leads to, or loads by itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        places = {"src", "href", "action", "srcset", "poster", "data", "formaction", "ping"}
        self.found += [value or "" for name, value in attrs if name in places]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def omar(shared: tuple[Running, Desk]) -> AsyncIterator[Person]:
    gateway = shared[0]
    with shown(gateway.gateway, texts()):
        async with person(gateway, "omar") as found:
            yield found


@pytest_asyncio.fixture(loop_scope="module")
async def stranger() -> AsyncIterator[tuple[str, list[object]]]:
    """An address that a question can name, and who came there."""
    came: list[object] = []

    async def welcome(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer.get_extra_info("peername"))
        writer.close()

    server = await asyncio.start_server(welcome, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", came


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{}/pixel.png", id="an-address"),
        pytest.param("<img src='{}/pixel.png'>", id="an-image"),
        pytest.param("![x]({}/pixel.png)", id="markdown"),
        pytest.param("<link rel=prefetch href={}/x><iframe src={}/y>", id="a-frame"),
        pytest.param("<meta http-equiv=refresh content='0;url={}'>", id="a-refresh"),
    ],
)
async def test_t49_a_question_that_names_an_address_is_shown_without_going_there(
    upstream: Desk,
    clerk: Agent,
    omar: Person,
    stranger: tuple[str, list[object]],
    text: str,
) -> None:
    url, came = stranger
    asked = await clerk.call("desk.publish", text=text.replace("{}", url))
    heard = len(upstream.heard)
    for path in (f"/approvals/{asked.approval}", "/approvals", "/audit"):
        page = await omar.get(path)
        assert page.status_code == 200
        assert [each for each in Loaded(page.text).found if not each.startswith(("/", "#"))] == []
        assert "img-src 'self'" in page.headers["content-security-policy"]
    assert len(upstream.heard) == heard
    assert came == []

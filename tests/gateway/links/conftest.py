"""What tests of links share: scripted servers, links to them, and both event loops."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from uuid import uuid4

import pytest
import uvloop

from gateway.catalogue.servers import Equipment, ServerSpec, build_link
from gateway.known_secrets import KnownSecrets
from gateway.links.connections import ConnectionFiles, Connections
from gateway.links.credentials import Credentials
from gateway.links.fetch import Fetcher
from gateway.links.masking import Masks
from gateway.links.mcp import McpLink
from gateway.links.oauth_client import Means
from gateway.links.sandbox import Sandbox
from gateway.links.short_lived import ShortLived
from gateway.links.user_tokens import Connected, page_of
from tests.gateway.links.http_upstream import Upstream

BOTH_LOOPS = ("test_http_client.py", "test_mcp_stdio.py", "test_tls.py")
"""Tests of what asyncio calls; the product runs on uvloop, whose transports differ."""

Reach = Callable[..., Awaitable[McpLink]]


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    loops = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return loops if item.path.name in BOTH_LOOPS else {"asyncio": asyncio.new_event_loop}


class Clock:
    """Seconds, moved by hand."""

    now = 1000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


@pytest.fixture
def equipment(tmp_path: Path) -> Equipment:
    known = KnownSecrets()
    return Equipment(
        means=make_means(tmp_path, known, {"TOKEN": "secret-of-token"}),
        subject=lambda caller, audience: f"{caller.agent} for {caller.user} to {audience}",
        connected=make_connected(tmp_path),
        masks=Masks(known),
        sandbox=Sandbox(None, tmp_path / "home", allow_unsandboxed=True),
        path="/usr/local/bin:/usr/bin:/bin",
        own=lambda: (),
        tls=ssl.create_default_context(),
    )


def make_connected(folder: Path) -> Connected:
    """Connections of nobody."""
    files = ConnectionFiles(folder / "connections", bytes(32))
    return Connected(Connections(), files, page_of("https://gw.example"))


def make_means(folder: Path, known: KnownSecrets, environ: Mapping[str, str]) -> Means:
    """What asking for credentials takes, on the machine's clock."""

    def now_s() -> int:
        return int(time.time())

    return Means(
        credentials=Credentials(environ, folder, known),
        fetcher=Fetcher(lambda: (), ssl.create_default_context()),
        short_lived=ShortLived(known, now_s),
        now_s=now_s,
        new_id=lambda: uuid4().hex,
    )


@pytest.fixture
async def reach(equipment: Equipment) -> AsyncIterator[Reach]:
    """Starts a link and waits until it is up; closed when the test ends."""
    links: list[McpLink] = []

    async def reach(spec: ServerSpec) -> McpLink:
        link = build_link("s", spec, equipment)
        link._backoff = (0.01,)
        links.append(link)
        await up(link)
        return link

    yield reach
    for link in links:
        await link.close()


async def up(link: McpLink) -> None:
    """Start a link, or wait for the next time it says that it was reached."""
    reached = asyncio.Event()
    link.on_change = lambda _name: reached.set()
    await link.start()
    async with asyncio.timeout(20):
        await reached.wait()

"""One browser for each worker, one gateway with its pages for each module."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from orchestration.service import Flows
from tests.harness.agent import Agent
from tests.harness.chromium import Window, chromium, window
from tests.harness.console import console
from tests.harness.gateway import Running
from tests.harness.one_desk import gateway, upstream
from tests.harness.policy import DESK
from tests.harness.upstream import Desk, desk

__all__ = ["gateway", "upstream"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[Running, Desk]]:
    policy = getattr(request.module, "POLICY", DESK)
    flows = getattr(request.module, "FLOWS", ())
    runs = Flows(flows) if flows else None
    folder = tmp_path_factory.mktemp("gateway")
    async with (
        desk() as upstream,
        console(
            folder, policy, {"desk": upstream}, site="localhost", orchestration=runs
        ) as gateway,
    ):
        yield gateway, upstream


@pytest_asyncio.fixture(loop_scope="session")
async def clerk(gateway: Running, upstream: Desk) -> Agent:
    """An agent of its own for each test."""
    return await gateway.agent()


@pytest_asyncio.fixture(loop_scope="session")
async def vera(browser: Browser, gateway: Running) -> AsyncIterator[Window]:
    """Somebody who may look."""
    async with window(browser, gateway, "vera") as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def omar(browser: Browser, gateway: Running) -> AsyncIterator[Window]:
    """Somebody who may decide."""
    async with window(browser, gateway, "omar") as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def adam(browser: Browser, gateway: Running) -> AsyncIterator[Window]:
    """An administrator."""
    async with window(browser, gateway, "adam") as found:
        yield found

"""What the tests of threats share: one gateway per module before a desk that notes every call.

Each test has an agent of its own, and finds the desk as if nobody had been there.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.harness import office as offices
from tests.harness.client import registered
from tests.harness.gateway import Running, running
from tests.harness.one_desk import clerk, gateway, upstream
from tests.harness.policy import DESK, crowded
from tests.harness.upstream import Desk, desk

__all__ = ["clerk", "gateway", "upstream"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[Running, Desk]]:
    """The gateway of this module: with its `POLICY`, its `CLIENTS` registered, at its `CLOCK`."""
    policy = crowded(getattr(request.module, "POLICY", DESK))
    tools = getattr(request.module, "TOOLS", ())
    folder = tmp_path_factory.mktemp("gateway")
    settings = registered(folder / "clients", getattr(request.module, "CLIENTS", ()))
    clock = getattr(request.module, "CLOCK", None)
    async with (
        desk(*tools) as upstream,
        running(folder, policy, {"desk": upstream}, settings=settings, clock=clock) as gateway,
    ):
        yield gateway, upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[Running, offices.Office]]:
    """A gateway before an office, for modules about where values go."""
    folder = tmp_path_factory.mktemp("office")
    settings = registered(folder / "clients", getattr(request.module, "CLIENTS", ()))
    settings |= getattr(request.module, "SETTINGS", {})
    policy = crowded(getattr(request.module, "POLICY", offices.POLICY))
    async with offices.open_office(folder, policy, settings=settings) as both:
        yield both


@pytest.fixture
def office(opened: tuple[Running, offices.Office]) -> offices.Office:
    opened[1].forget()
    return opened[1]

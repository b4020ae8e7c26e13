"""One gateway with its pages for each module, and people of every role before it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.harness.console import Person, console, person
from tests.harness.gateway import Running
from tests.harness.one_desk import clerk, gateway, upstream
from tests.harness.policy import DESK, crowded
from tests.harness.upstream import Desk, desk

__all__ = ["clerk", "gateway", "upstream"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[Running, Desk]]:
    policy = crowded(getattr(request.module, "POLICY", DESK))
    folder = tmp_path_factory.mktemp("gateway")
    async with desk() as upstream, console(folder, policy, {"desk": upstream}) as gateway:
        yield gateway, upstream


@pytest_asyncio.fixture(loop_scope="module")
async def vera(gateway: Running) -> AsyncIterator[Person]:
    """Somebody who may look."""
    async with person(gateway, "vera") as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def omar(gateway: Running) -> AsyncIterator[Person]:
    """Somebody who may decide."""
    async with person(gateway, "omar") as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def adam(gateway: Running) -> AsyncIterator[Person]:
    """An administrator."""
    async with person(gateway, "adam") as found:
        yield found

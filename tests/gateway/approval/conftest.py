"""One gateway for each module that asks for it, governed by the module's POLICY."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.harness.gateway import Running, running
from tests.harness.one_desk import clerk, gateway, upstream
from tests.harness.policy import crowded
from tests.harness.upstream import Desk, desk

__all__ = ["clerk", "gateway", "upstream"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[Running, Desk]]:
    folder = tmp_path_factory.mktemp("gateway")
    policy = crowded(request.module.POLICY)
    async with desk() as upstream, running(folder, policy, {"desk": upstream}) as gateway:
        for name in getattr(request.module, "APPROVERS", ()):
            await gateway.invite(name, "approver")
        yield gateway, upstream

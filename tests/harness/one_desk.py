"""What a test takes of the one gateway of its module, and of the desk behind it.

For conftests whose fixture `shared` opens both; there the names are imported.
"""

import pytest
import pytest_asyncio

from tests.harness.agent import Agent
from tests.harness.gateway import Running
from tests.harness.upstream import Desk


@pytest.fixture
def gateway(shared: tuple[Running, Desk]) -> Running:
    return shared[0]


@pytest.fixture
def upstream(shared: tuple[Running, Desk]) -> Desk:
    """The desk, as if nobody had been there."""
    shared[1].forget()
    return shared[1]


@pytest_asyncio.fixture(loop_scope="module")
async def clerk(gateway: Running, upstream: Desk) -> Agent:
    """An agent of its own for each test."""
    return await gateway.agent()

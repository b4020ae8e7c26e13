"""People before the gateway of a module's own house, in which its flows run."""

import pytest

from tests.harness.gateway import Running
from tests.orchestration.house import House


@pytest.fixture
def gateway(home: House) -> Running:
    return home.gateway

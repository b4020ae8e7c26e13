"""A house for every test that wants one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.rooms import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House.open(tmp_path)
    yield house
    house.close()

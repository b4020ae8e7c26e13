"""One served deployment for the tests that only use it; who changes it makes their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.deployment import Deployment, Served


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    deployment = Deployment.write(tmp_path_factory.mktemp("deployment")).with_operator()
    with deployment.served() as found:
        deployment.accept()
        yield found


@pytest.fixture
def desk(served: Served) -> Deployment:
    return served.deployment


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    """Files alone: nothing runs, and nobody holds a key."""
    return Deployment.write(tmp_path)

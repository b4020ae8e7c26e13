"""What holds for every test: long ones wait for `--long`, and properties have no deadline."""

import pytest
from hypothesis import settings

# A deadline measures the machine, not the code; hangs are ended by `faulthandler_timeout`.
settings.register_profile("passavant", deadline=None)
settings.load_profile("passavant")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run tests marked `long` too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="takes long: runs with --long")
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(skip)

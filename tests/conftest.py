"""What holds for every test: long ones wait for `--long`, those that kill a process at every
boundary for `--crash`, and properties have no deadline.
"""

import gc
from pathlib import Path

import pytest
from hypothesis import settings

import audit.log
from tests.harness.measuring import Measuring
from tests.harness.reached import LONGEST_S

# A deadline measures the machine, not the code; hangs are ended by `faulthandler_timeout`.
settings.register_profile("passavant", deadline=None)
settings.load_profile("passavant")

# A disk that others keep busy is no reason to refuse: tests of slow disks say what is too slow.
audit.log.LONGEST_WAIT_S = LONGEST_S

gc.disable()  # until all tests are found: what is loaded for that stays

TESTS = Path(__file__).parent

measuring = Measuring(TESTS)

WAITING = {"long": "takes long", "crash": "kills a process at a boundary"}
"""Marks of tests that run only when they are asked for, and why."""

SLOW = ("browser", "benchmarks", "cli", "orchestration", "threats")
"""Folders of files that take long: one of them begun last would keep everybody waiting."""


def pytest_addoption(parser: pytest.Parser) -> None:
    for mark in WAITING:
        parser.addoption(f"--{mark}", action="store_true", help=f"run tests marked `{mark}` too")


def pytest_configure(config: pytest.Config) -> None:
    """Whoever only hands out files to others runs no test."""
    if not hasattr(config, "workerinput") and config.getoption("numprocesses"):
        measuring.stop()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for mark, why in WAITING.items():
        if config.getoption(f"--{mark}"):
            continue
        skip = pytest.mark.skip(reason=f"{why}: runs with --{mark}")
        for item in items:
            if item.get_closest_marker(mark):
                item.add_marker(skip)
    if hasattr(config, "workerinput"):  # one of several processes: files are given out in order
        items.sort(key=lambda item: item.path.relative_to(TESTS).parts[0] not in SLOW)


def pytest_collection_finish() -> None:
    """Look for garbage among what comes from here on alone, and not after every 700 objects: else
    that takes a third of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    """Measure what this test is to be measured for."""
    measuring.turn_to(item.path)

"""Trials: the test files beside the policy files of this deployment, played as they are now."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from gateway.activation import compile_contents, read_stable
from gateway.errors import ActivationRefused
from gateway.operator.services import Services
from policies.cases import run
from policies.errors import PolicyInvalid
from policies.loader import load_tests
from policies.report import TestReport

MOST_FILES = 50
SUFFIX = ".test.yaml"


@dataclass(frozen=True, slots=True)
class Trial:
    """One test file.

    policies  the files it is about, as it names them
    report    None: it could not be played
    wrong     why not
    """

    file: str
    policies: tuple[str, ...]
    report: TestReport | None
    wrong: tuple[str, ...] = ()


async def tried(services: Services) -> tuple[Trial, ...]:
    """Play every file `*.test.yaml` in a folder of policy files, by name."""
    folders = {path.parent for path in services.activation.paths}
    found = sorted(file for folder in folders for file in folder.glob(f"*{SUFFIX}"))
    return await asyncio.to_thread(
        lambda: tuple(_trial(services, file) for file in found[:MOST_FILES])
    )


def _trial(services: Services, file: Path) -> Trial:
    names: tuple[str, ...] = ()
    try:
        tests = load_tests(file)
        names = tests.content.policies
        contents = read_stable([file.parent / name for name in names])
        snapshot = compile_contents(contents, services.worlds.current.catalogue)
        report = run(tests, snapshot, now=services.recorder.now())
    except PolicyInvalid as error:
        return Trial(str(file), names, None, tuple(map(str, error.findings)))
    except ActivationRefused as error:
        return Trial(str(file), names, None, (str(error),))
    return Trial(str(file), names, report)

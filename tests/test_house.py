"""What holds for the checkout as a whole."""

import os
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ["audit", "policies", "gateway", "orchestration", "console", "cli"]
_PIN = re.compile(r"^(?P<name>[a-z0-9.-]+)==(?P<version>[^ ]+)(?: ; [^\\]+)? \\$", re.MULTILINE)


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-test.lock"])
def test_a_lock_holds_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert not re.search(r"://|^-|@ ", text, re.MULTILINE)
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(blocks) > 50
    assert [block for block in blocks if "--hash=sha256:" not in block] == []


def test_the_checks_run_on_the_versions_that_are_shipped() -> None:
    shipped, checked = (
        {pin["name"]: pin["version"] for pin in _PIN.finditer((ROOT / lock).read_text())}
        for lock in ("requirements.lock", "requirements-test.lock")
    )
    assert shipped.items() <= checked.items()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-test.lock"])
def test_casbin_comes_from_the_distribution_that_is_maintained(lock: str) -> None:
    names = {pin["name"] for pin in _PIN.finditer((ROOT / lock).read_text())}
    assert "pycasbin" in names
    assert "casbin" not in names  # the two overwrite each other, docs/decisions/0001


def test_each_package_is_shipped_with_its_types() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == PACKAGES
    assert [name for name in PACKAGES if not (ROOT / name / "py.typed").exists()] == []


def test_tests_mirror_the_packages_without_being_packages() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


@pytest.mark.parametrize(
    "program", ["scripts/demo", "scripts/test", "scripts/lock", "scripts/screenshots", ".ci/run"]
)
def test_a_program_can_be_run(program: str) -> None:
    assert os.access(ROOT / program, os.X_OK)
    assert (ROOT / program).read_text().startswith("#!/usr/bin/env bash\n")

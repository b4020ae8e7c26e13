"""When scripts/environment.sh installs, and when it need not.

Python is a program that only notes what it is asked, so nothing is downloaded.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "environment.sh"
NEW = ["venv", "pip requirements.lock", "pip ."]
NEW_FOR_TESTS = ["venv", "pip requirements-test.lock", "pip ."]

_PYTHON = f"""\
#!/usr/bin/env bash
case "$1 $2" in
-c*) exec {sys.executable} "$@" ;;
"-m venv")
    echo venv >>"$NOTES"
    environment=${{!#}}
    rm -rf "$environment"
    mkdir -p "$environment/bin" "$environment/lib/python3.14/site-packages"
    cp "$0" "$environment/bin/python"
    ;;
"-m pip")
    [[ ! -e $NOTES.offline ]] || exit 1
    asked=${{!#}}
    [[ $asked == *.lock ]] && asked=${{asked##*/}} || asked=.
    sleep "${{PIP_TAKES:-0}}"
    echo "pip $asked" >>"$NOTES"
    mkdir -p "${{0%/bin/python}}/lib/python3.14/site-packages/$asked-1.dist-info"
    ;;
esac
"""


@dataclass(frozen=True)
class Checkout:
    """A copy of the script in a folder of its own, with locks and a path of its own."""

    root: Path
    notes: Path
    path: str

    def start(self, level: str, *, pip_takes: float = 0) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                "bash",
                "-c",
                f"set -euo pipefail; source scripts/environment.sh; ensure_environment {level}",
            ],
            cwd=self.root,
            env={"PATH": self.path, "NOTES": str(self.notes), "PIP_TAKES": str(pip_takes)},
            stderr=subprocess.PIPE,
            text=True,
        )

    def ensure(self, level: str) -> list[str]:
        """Run once, successfully; answers with what Python was asked to do."""
        before = len(self.asked())
        with self.start(level) as process:
            _, complaint = process.communicate()
        assert process.returncode == 0, complaint
        return self.asked()[before:]

    def asked(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root, programs = tmp_path / "check out", tmp_path / "bin"
    (root / "scripts").mkdir(parents=True)
    shutil.copy(SCRIPT, root / "scripts")
    for name in ("requirements.lock", "requirements-test.lock", "pyproject.toml"):
        (root / name).write_text(name)
    programs.mkdir()
    _write_program(programs / "python3.14", _PYTHON)
    return Checkout(root, tmp_path / "notes", f"{programs}{os.pathsep}{os.environ['PATH']}")


def test_the_first_run_installs_and_the_second_does_not(checkout: Checkout) -> None:
    assert checkout.ensure("runtime") == NEW
    assert checkout.ensure("runtime") == []


def test_an_environment_for_tests_is_enough_for_the_demo(checkout: Checkout) -> None:
    assert checkout.ensure("test") == NEW_FOR_TESTS
    assert checkout.ensure("runtime") == []


def test_tests_add_to_an_environment_for_the_demo(checkout: Checkout) -> None:
    checkout.ensure("runtime")
    assert checkout.ensure("test") == ["pip requirements-test.lock", "pip ."]
    assert checkout.ensure("test") == []


@pytest.mark.parametrize("file", ["requirements.lock", "requirements-test.lock", "pyproject.toml"])
def test_a_changed_file_brings_the_environment_up_to_date(checkout: Checkout, file: str) -> None:
    checkout.ensure("test")
    (checkout.root / file).write_text("changed")
    assert checkout.ensure("test") == ["pip requirements-test.lock", "pip ."]


def test_a_package_that_went_missing_is_installed_again(checkout: Checkout) -> None:
    checkout.ensure("runtime")
    packages = checkout.root / ".venv" / "lib" / "python3.14" / "site-packages"
    shutil.rmtree(packages / "requirements.lock-1.dist-info")
    assert checkout.ensure("runtime") == ["pip requirements.lock", "pip ."]


@pytest.mark.parametrize("damage", ["passavant.stamp", "bin/python"])
def test_an_environment_that_is_not_whole_is_made_anew(checkout: Checkout, damage: str) -> None:
    checkout.ensure("runtime")
    (checkout.root / ".venv" / damage).unlink()
    assert checkout.ensure("runtime") == NEW


def test_an_install_that_failed_is_no_environment(checkout: Checkout) -> None:
    offline = checkout.notes.with_name("notes.offline")
    offline.touch()
    with checkout.start("runtime") as process:
        process.communicate()
    assert process.returncode != 0
    offline.unlink()
    assert checkout.ensure("runtime") == NEW


def test_two_at_once_install_once(checkout: Checkout) -> None:
    with (
        checkout.start("runtime", pip_takes=0.3) as one,
        checkout.start("runtime", pip_takes=0.3) as other,
    ):
        one.communicate()
        other.communicate()
    assert (one.returncode, other.returncode) == (0, 0)
    assert checkout.asked() == NEW


def test_a_moved_checkout_is_installed_anew(checkout: Checkout, tmp_path: Path) -> None:
    checkout.ensure("runtime")
    moved = checkout.root.rename(tmp_path / "elsewhere")
    assert Checkout(moved, checkout.notes, checkout.path).ensure("runtime") == NEW


def test_without_a_python_it_says_what_it_needs(checkout: Checkout, tmp_path: Path) -> None:
    for name in ("python3.14", "python3.13", "python3.12", "python3.11", "python3"):
        _write_program(tmp_path / "bin" / name, "#!/bin/sh\nexit 1\n")
    with checkout.start("runtime") as process:
        _, complaint = process.communicate()
    assert process.returncode != 0
    assert "needs Python 3.11 or newer" in complaint


def _write_program(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)

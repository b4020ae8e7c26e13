import os
import subprocess
import sys

import pytest

from gateway.links.sandbox import LAUNCH

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")


def launched(*command: str, parent: int | None = None) -> subprocess.CompletedProcess[str]:
    argv = [*LAUNCH, str(os.getpid() if parent is None else parent), *command]
    return subprocess.run(argv, check=False, capture_output=True, text=True, env={"A": "1"})


def test_it_becomes_the_command_with_its_environment_and_arguments() -> None:
    ran = launched("/bin/sh", "-c", 'echo "$A" "$0"', "; id")
    assert (ran.stdout, ran.stderr, ran.returncode) == ("1 ; id\n", "", 0)


def test_the_status_is_that_of_the_command() -> None:
    assert launched("/bin/sh", "-c", "exit 7").returncode == 7


def test_a_program_that_does_not_exist_is_said_in_one_line() -> None:
    ran = launched("/nonexistent/server", "--token=hunter2")
    assert ran.returncode == 1
    assert ran.stderr == "cannot start /nonexistent/server: No such file or directory\n"


@linux_only
def test_it_starts_nothing_for_a_parent_that_has_ended() -> None:
    ran = launched("/bin/echo", "started", parent=os.getpid() + 1)
    assert (ran.stdout, ran.returncode) == ("", 0)


@linux_only
def test_the_command_gains_no_rights_and_leaves_no_core() -> None:
    status = launched("/bin/cat", "/proc/self/status", "/proc/self/limits").stdout
    assert "NoNewPrivs:\t1" in status
    core = next(line for line in status.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]

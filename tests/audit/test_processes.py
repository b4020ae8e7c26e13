"""The log in processes of their own: killed, limited, and with failing system calls."""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from audit.entry import Receipt
from audit.log import Log
from tests.audit import appender
from tests.audit.stored_logs import SIGNER

ROOT = Path(appender.__file__).parents[2]


@contextmanager
def appending(
    folder: Path, callers: int, *, before: tuple[str, ...] = ()
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]]:
    """A process that appends, what it says, and its ear."""
    command = [*before, sys.executable, appender.__file__, str(folder), str(callers)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield process, process.stdout, process.stdin
        finally:
            process.kill()
            process.stdin.close()
            process.stdout.read()  # ends when all of its children have ended too


def read_receipts(said: bytes) -> list[Receipt]:
    """All complete lines but refusals."""
    lines = said.decode().split("\n")[:-1]
    return [Receipt.parse(line) for line in lines if not line.startswith("refused")]


def check(folder: Path, receipts: list[Receipt]) -> None:
    """Every receipt is kept, by a log that opens again and whose entries have no gap."""
    log = Log.open(folder, signer=SIGNER, segment_bytes=1 << 20)
    leaves = [entry.leaf for entry in log.entries()]
    lost = [receipt for receipt in receipts if leaves[receipt.index] != receipt.leaf]
    log.close_now()
    assert lost == []


def kill_and_check(folder: Path, rounds: int) -> None:
    receipts: list[Receipt] = []
    rng = random.Random(rounds)  # noqa: S311 - repeatable, not secret
    for number in range(rounds):
        log = folder / str(number // 5)  # five lives each
        receipts = receipts if number % 5 else []
        with appending(log, callers=32) as (process, said, _):
            heard = b"".join(said.readline() for _ in range(rng.randrange(1, 3000)))
            process.send_signal(signal.SIGKILL)
            heard += said.read()
        receipts += read_receipts(heard)
        check(log, receipts)


def test_no_receipt_outlives_its_entry_when_the_process_is_killed(tmp_path: Path) -> None:
    kill_and_check(tmp_path, rounds=10)


@pytest.mark.long
def test_no_receipt_outlives_its_entry_in_two_hundred_kills(tmp_path: Path) -> None:
    kill_and_check(tmp_path, rounds=200)


def test_a_process_at_its_file_limit_refuses_and_recovers_when_it_is_lifted(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "log"
    with appending(folder, callers=8) as (_, said, ear):
        heard = b"".join(said.readline() for _ in range(100))
        ear.write(b"limit 300000\n")
        ear.flush()
        heard += _read_until(said, b"refused audit_unavailable\n")
        heard += b"".join(said.readline() for _ in range(20))
        ear.write(b"limit 0\n")
        ear.flush()
        heard += _read_until(said, b"gw.example")
        heard += b"".join(said.readline() for _ in range(1000))
    receipts = read_receipts(heard)
    assert len(receipts) > 500
    check(folder, receipts)


def _read_until(said: IO[bytes], wanted: bytes) -> bytes:
    heard = b""
    while True:
        line = said.readline()
        assert line, "the process ended"
        heard += line
        if line.startswith(wanted):
            return heard


CALLS = ("pwrite64", "pwritev2", "fsync", "rename", "openat", "fallocate", "flock")


@pytest.mark.long
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("fault", ["error=EIO", "error=ENOSPC", "signal=SIGKILL"])
@pytest.mark.parametrize("call", CALLS)
def test_a_failing_system_call_loses_nothing(tmp_path: Path, call: str, fault: str) -> None:
    """Let the n-th call of a kind in the log's folder fail, for n from 1 on."""
    affected = 0
    for number in (1, 2, 3, 4, 5, 7, 10, 20, 50):
        folder = tmp_path / str(number)
        folder.mkdir()
        inject = f"inject={call}:{fault}:when={number}"
        names = [folder / f"{n:08d}.seg" for n in range(3)]
        paths = [f"--trace-path={path}" for path in (folder, folder / "spare", *names)]
        before = ("strace", "-f", "-qqq", "-o", os.devnull, "-e", inject, *paths)
        with appending(folder, callers=16, before=before) as (_, said, _ear):
            heard = b"".join(said.readline() for _ in range(300))
        receipts = read_receipts(heard)
        affected += len(receipts) < 300
        check(folder, receipts)
    assert affected

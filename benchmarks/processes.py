"""Child processes of a measurement: each kept to one CPU, with what it used read from /proc.

The server under test has a CPU to itself; load and stub share the other. So a figure means one
core, and neither takes from the other. Linux only.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

SERVER_CPU = 1
LOAD_CPU = 0

STOP_S = 30.0
ROOT = Path(__file__).resolve().parents[1]

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Child:
    """A running child."""

    process: "subprocess.Popen[bytes]"

    def cpu_s(self) -> float:
        """Seconds of CPU that it and its descendants have used; to 10 ms."""
        return sum(map(_ticks, self._tree())) / _TICKS

    def rss_mib(self) -> float:
        """Memory of it and its descendants that is resident."""
        return sum(map(_resident, self._tree())) / 2**20

    def pause(self) -> None:
        """Let it do nothing: what it does in the background is not to disturb another's turn."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def _tree(self) -> list[int]:
        found = [self.process.pid]
        for pid in found:  # grows while it is walked
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        return found


@contextmanager
def running(
    command: Sequence[str], *, cpu: int, diagnostics: Path | None = None
) -> Iterator[Child]:
    """Run a command on one CPU until the block ends, then end it as an operator would.

    diagnostics  file for its standard error; None: shown
    """
    with diagnostics.open("ab") if diagnostics else nullcontext() as sink:
        process = subprocess.Popen(
            on_cpu(command, cpu),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=sink,
        )
    child = Child(process)
    try:
        yield child
    finally:
        child.resume()
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def first_line(child: Child) -> str:
    """What a child says first; empty when it ended without a word."""
    assert child.process.stdout is not None
    return child.process.stdout.readline().decode().strip()


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module of this checkout as a program.

    Not by its path: then `benchmarks/audit.py` would pass for the package `audit`.
    """
    return [sys.executable, "-m", name, *arguments]


def on_cpu(command: Sequence[str], cpu: int) -> list[str]:
    """The command, kept to one CPU."""
    return ["taskset", "--cpu-list", str(cpu), *command]


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])  # utime and stime, proc(5)


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE

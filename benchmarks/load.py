"""Load: a closed loop of numbered `tools/call` requests, made and checked by wrk.

Every call has a number of its own, so that no two are alike and each can be found in the log.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.processes import LOAD_CPU, Child, on_cpu
from benchmarks.upstream import MARK

SCRIPT = Path(__file__).with_name("call.lua")
FIRST_NUMBER = 1_000_000_000
"""Numbers have ten digits from the first to the last: all requests are equally long."""


class LoadFailed(Exception):
    """wrk is not there, or did not say what it measured."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something that answers `tools/call`.

    server  the process whose CPU and memory count
    tokens  file with access tokens, one a line; None where nobody asks for one
    """

    name: str
    authority: str
    path: str
    tool: str
    server: Child
    tokens: Path | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """What one cell measured.

    bad  answers that were missing, no success, or not the tool's
    """

    calls: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    rss_mib: float
    bad: int
    complaint: str = ""

    @property
    def rate(self) -> float:
        """Good calls per second."""
        return (self.calls - self.bad) / self.seconds


@dataclass(slots=True)
class Numbers:
    """Hands out ranges of numbers, none of them twice."""

    next: int = field(default=FIRST_NUMBER)
    apart: int = 2_000_000  # more than any cell can use

    def take(self) -> int:
        """The number before the first of a new range."""
        self.next += self.apart
        return self.next


def find_wrk() -> str:
    """The path of wrk. Raises LoadFailed."""
    found = shutil.which("wrk")
    if found is None:
        raise LoadFailed("wrk is needed (on Debian: apt-get install wrk)")
    return found


def measure(target: Target, numbers: Numbers, *, connections: int, seconds: int) -> Sample:
    """Warm up for a second, then measure one cell. Raises LoadFailed."""
    _run(target, numbers.take(), connections=connections, seconds=1)
    before = target.server.cpu_s()
    said, complaint = _run(target, numbers.take(), connections=connections, seconds=seconds)
    used = target.server.cpu_s() - before
    return Sample(
        calls=said["calls"],
        seconds=said["us"] / 1e6,
        p50_ms=said["p50_us"] / 1e3,
        p99_ms=said["p99_us"] / 1e3,
        cpu_us=used * 1e6 / max(1, said["calls"]),
        rss_mib=target.server.rss_mib(),
        bad=said["bad"],
        complaint=complaint,
    )


def _run(
    target: Target, first: int, *, connections: int, seconds: int
) -> tuple[dict[str, int], str]:
    shape = ["--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    tokens = "-" if target.tokens is None else str(target.tokens)
    url = f"http://{target.authority}{target.path}"
    words = [target.authority, target.path, target.tool, MARK, str(first), tokens]
    command = [find_wrk(), *shape, "--script", str(SCRIPT), url, "--", *words]
    done = subprocess.run(on_cpu(command, LOAD_CPU), capture_output=True, text=True, check=False)
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    if done.returncode or "sample" not in lines:
        raise LoadFailed(f"wrk: {done.stderr.strip() or done.stdout.strip()}")
    return json.loads(lines["sample"]), lines.get("complaint", "")

"""Stepping: what a run of five steps takes, beside engines that govern nothing.

Each engine runs in a process of its own, in turns; ratios are taken inside a round. The time in
which the log was synced is measured while the runs are made, and taken off: bare engines have no
log, and how long a sync takes is the disk's. Beside it stands what is left without all waiting for
entries to be durable, which has two changes of thread, a signature and a write around each sync.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.engines import STEPS
from benchmarks.processes import ROOT
from benchmarks.table import add_options, finish, say

AT_ONCE = (1, 16)
LONGEST_S = 120.0
PLAIN = frozenset({"runs_s", "p50_ms", "cpu_ms"})
"""What tells something of many runs at once too: they share each sync of the log."""

VALUES = {
    " less the log's syncs": "less_sync",
    " less waiting for the log": "less_wait",
    "": "p50_ms",
}

Cell = tuple[str, int]
Sample = Mapping[str, float]


def main() -> int:
    """Measure, print, and answer the exit code."""
    parser = argparse.ArgumentParser(prog="orchestration")
    add_options(parser)
    parser.add_argument(
        "--langgraph", type=Path, default=ROOT / "build" / "langgraph", help="where it is installed"
    )
    options = parser.parse_args()
    engines = ["reading", "acting", "bare"]
    if (options.langgraph / "langgraph").is_dir():
        engines.append("langgraph")
    else:
        say(f"no LangGraph in {options.langgraph}: it is left out")
    rounds, seconds = (2, 2.0) if options.quick else (5, 8.0)
    samples: dict[Cell, list[Sample]] = {}
    for number in range(rounds):
        cells = [(engine, at_once) for at_once in AT_ONCE for engine in engines]
        for engine, at_once in cells if number % 2 == 0 else reversed(cells):
            found = _measured(engine, at_once, seconds, options.langgraph)
            samples.setdefault((engine, at_once), []).append(found)
            say(f"round {number + 1}: {engine} at {at_once}: {found['runs_s']:.1f} runs/s")
    _show(samples)
    return finish("orchestration", _rows(samples, engines), options, void=())


def _measured(engine: str, at_once: int, seconds: float, langgraph: Path) -> Sample:
    command = [sys.executable, "-m", "benchmarks.engines", engine]
    command += ["--seconds", str(seconds), "--at-once", str(at_once), "--folder"]
    around = {**os.environ, "PYTHONPATH": str(langgraph)} if engine == "langgraph" else os.environ
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        ran = subprocess.run(
            [*command, folder],
            cwd=ROOT,
            env=around,
            stdout=subprocess.PIPE,
            check=True,
            timeout=LONGEST_S,
        )
    found: Sample = json.loads(ran.stdout.splitlines()[-1])
    return found


def _rows(samples: Mapping[Cell, Sequence[Sample]], engines: Sequence[str]) -> dict[str, float]:
    rows: dict[str, float] = {}
    others = [("bare DBOS", "bare"), ("LangGraph", "langgraph")]
    for name, other in others if "langgraph" in engines else others[:1]:
        for ours in ("reading", "acting"):
            for what, value in VALUES.items():
                ratio = _ratio(samples, (ours, 1), (other, 1), value)
                rows[f"{ours} run{what} by {name}"] = ratio
    rows["CPU of a reading run by bare DBOS"] = _ratio(
        samples, ("reading", 16), ("bare", 16), "cpu_ms"
    )
    for at_once in AT_ONCE:
        every = samples["reading", at_once]
        rows[f"reading steps/s, {at_once} at once"] = STEPS * median(e["runs_s"] for e in every)
    rows["ms per reading step"] = median(e["p50_ms"] for e in samples["reading", 1]) / STEPS
    return rows


def _ratio(samples: Mapping[Cell, Sequence[Sample]], ours: Cell, other: Cell, value: str) -> float:
    """Ours by another's in the same round; the median over the rounds."""
    pairs = zip(samples[ours], samples[other], strict=True)
    return median(one[value] / two[value] for one, two in pairs)


def _show(samples: Mapping[Cell, Sequence[Sample]]) -> None:
    columns = ("runs_s", "p50_ms", "less_sync", "less_wait", "sync_ms", "cpu_ms")
    print(f"{'':12}{'at once':>8}" + "".join(f"{name:>10}" for name in columns))
    for (engine, at_once), every in sorted(samples.items(), key=lambda cell: cell[0][1]):
        cells = [
            f"{median(each[name] for each in every):.2f}" if at_once == 1 or name in PLAIN else "-"
            for name in columns
        ]
        print(f"{engine:12}{at_once:>8}" + "".join(f"{cell:>10}" for cell in cells))

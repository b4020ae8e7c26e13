"""The log: durable appends per second, the cost of verifying, and the time to recover.

Run it as `python benchmarks/audit.py`. Callers wait for each receipt before they append again; the
entries are decisions as the gateway writes them, about 0.8 kB. The disk's sync is timed in the same
run, on a file of the same kind in the same folder: the log cannot be faster than that.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.canonical import Json
from audit.entry import Record
from audit.files import OsFiles, is_volatile
from audit.log import SEGMENT_BYTES, Log
from audit.note import Signer
from audit.tiles import Publisher
from audit.verify import verify_directory
from benchmarks.table import add_options, finish

CALLERS = (1, 16, 64, 256)

_SIGNER = Signer("gw.example/bench", Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))
_FIELDS: Mapping[str, Json] = {
    "actor": {"agent": "clerk", "chain": [], "sub": "ana"},
    "approval": None,
    "args": {"commit": "ab" * 32, "kept": True, "len": 57},
    "decision": {
        "effect": "allow",
        "obligations": [],
        "rules": ["pay-small"],
        "snapshot": "cd" * 32,
        "us": 6,
    },
    "facts": {"labels": [], "provenance": {}, "read": ["args.amount", "args.to"], "totals": {}},
    "req": {"face": "mcp/2026-07-28", "id": "0195d3a0-1234-7abc-8def-001122334455", "trace": None},
    "session": "0195d3a0-1234-7abc-8def-001122334456",
    "tool": {"name": "ledger.pay", "pin": "ef" * 32},
}


@dataclass(frozen=True, slots=True)
class Sample:
    """What one cell gave; latencies in milliseconds."""

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


@contextmanager
def fresh(folder: Path) -> Iterator[Path]:
    """A folder for one measurement."""
    made = Path(tempfile.mkdtemp(dir=folder, prefix="passavant-bench-"))
    try:
        yield made
    finally:
        shutil.rmtree(made)


def sync_ms(folder: Path, *, times: int) -> float:
    """The median of a write of 1 KiB and its sync, in a file like a segment."""
    files = OsFiles()
    with fresh(folder) as made:
        descriptor = files.create(made / "file", times * 1024)
        taken = []
        for number in range(times):
            begun = time.perf_counter()
            files.write(descriptor, b"x" * 1024, number * 1024)
            files.sync(descriptor)
            taken.append(time.perf_counter() - begun)
        files.close(descriptor)
    return median(taken) * 1e3


async def appending(log: Log, callers: int, seconds: float) -> Sample:
    """So many callers, each of whom waits for its receipt."""
    taken: list[float] = []
    end = time.perf_counter() + seconds

    async def call() -> None:
        while (begun := time.perf_counter()) < end:
            await log.append(Record(log.new_id(), "decision", _FIELDS))
            taken.append(time.perf_counter() - begun)

    cpu = time.process_time()
    await asyncio.gather(*[call() for _ in range(callers)])
    cpu = time.process_time() - cpu
    taken.sort()
    return Sample(
        len(taken) / seconds,
        taken[len(taken) // 2] * 1e3,
        taken[len(taken) * 99 // 100] * 1e3,
        cpu / len(taken) * 1e6,
    )


async def append_rounds(
    folder: Path, *, rounds: int, seconds: float
) -> tuple[dict[int, list[Sample]], list[float]]:
    """Every cell once a round, and the disk's sync before each."""
    samples: dict[int, list[Sample]] = {callers: [] for callers in CALLERS}
    syncs: list[float] = []
    for number in range(rounds):
        for callers in CALLERS if number % 2 else reversed(CALLERS):
            syncs.append(sync_ms(folder, times=300))
            with fresh(folder) as made:
                log = Log.open(made / "log", signer=_SIGNER)
                await appending(log, callers, seconds / 10)
                samples[callers].append(await appending(log, callers, seconds))
                await log.close()
    return samples, syncs


async def write_entries(log: Log, count: int) -> None:
    """Append so many entries as fast as the line takes them."""
    for _ in range(count // 1000):
        records = [Record(log.new_id(), "decision", _FIELDS) for _ in range(1000)]
        await asyncio.gather(*[log.append(record) for record in records])


def verifying(folder: Path, count: int) -> float:
    """Entries verified in one second of one core, from the published folder."""
    with fresh(folder) as made:
        log = Log.open(made / "log", signer=_SIGNER)
        uvloop.run(write_entries(log, count))
        Publisher(log, made / "tiles").publish_now()
        log.close_now()
        begun = time.process_time()
        report = verify_directory(made / "tiles", _SIGNER.vkey)
        taken = time.process_time() - begun
    if not report.ok or report.size != count:
        raise SystemExit(f"the log does not verify: {report}")
    return count / taken


def recovering(folder: Path) -> float:
    """Seconds to open a log whose newest segment is nearly full, scaled to a whole one."""
    with fresh(folder) as made:
        log = Log.open(made / "log", signer=_SIGNER)
        uvloop.run(write_entries(log, 60_000))
        log.close_now()
        (segment,) = (made / "log").glob("*.seg")
        share = len(segment.read_bytes().rstrip(b"\0")) / SEGMENT_BYTES
        begun = time.perf_counter()
        log = Log.open(made / "log", signer=_SIGNER)
        taken = time.perf_counter() - begun
        log.close_now()
    return taken / share


def run(folder: Path, *, quick: bool) -> dict[str, float]:
    """Measure everything, print the table, answer the rows."""
    rounds, seconds = (2, 1.0) if quick else (5, 5.0)
    samples, syncs = uvloop.run(append_rounds(folder, rounds=rounds, seconds=seconds))
    print(f"{'callers':>8} {'appends/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'CPU us':>8}")
    rows = {"sync of the disk: p50 ms": median(syncs)}
    for callers, found in samples.items():
        cell = Sample(*(median(values) for values in zip(*map(astuple, found), strict=True)))
        print(
            f"{callers:>8} {cell.per_s:>10,.0f} {cell.p50_ms:>8.2f} {cell.p99_ms:>8.2f}"
            f" {cell.cpu_us:>8.1f}"
        )
        rows[f"appends/s at {callers}"] = cell.per_s
        rows[f"append at {callers}: p50 ms"] = cell.p50_ms
        rows[f"append at {callers}: p99 ms"] = cell.p99_ms
    possible = 0.8 * 64 / (rows["sync of the disk: p50 ms"] / 1e3)
    rows["appends/s at 64 by min(50,000, 0.8 x 64 / sync p50)"] = rows["appends/s at 64"] / min(
        50_000, possible
    )
    rows["entries verified per second of one core"] = verifying(
        folder, 50_000 if quick else 300_000
    )
    rows["recovery of 64 MiB"] = recovering(folder)
    return rows


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="audit.py", description=__doc__.splitlines()[0])
    add_options(parser)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    if is_volatile(options.folder):
        parser.error(f"{options.folder} lies in memory: name another with --folder")
    rows = run(options.folder, quick=options.quick)
    return finish("audit", rows, options, void=())

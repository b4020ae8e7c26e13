"""A log that was really written, killed, continued and published passes an independent reader."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from audit.entry import Receipt, Record
from audit.layout import CHECKPOINT
from audit.log import Log
from audit.note import Verifier
from audit.pin import Pin, read_pins
from audit.proof import Proof
from audit.tiles import Publisher
from audit.verify import Finding, verify_directory
from tests.audit.published_logs import SIGNER, copy_log
from tests.audit.tampering import Original, mutations
from tests.independent import tlog_reader

long = pytest.mark.long
SIZES = [1, 255, 256, 257, 600, pytest.param(65_536, marks=long), pytest.param(66_000, marks=long)]


class Written:
    """A log written in several runs, each of which published what it had."""

    def __init__(self, folder: Path) -> None:
        self.segments, self.tiles = folder / "log", folder / "tiles"
        self.receipts: list[Receipt] = []
        self.checkpoints: list[str] = []
        self.proofs: list[str] = []

    def run(self, parts: Sequence[int]) -> None:
        """Open the log, publish after each of these numbers of entries, close it."""
        log = Log.open(self.segments, signer=SIGNER, segment_bytes=1 << 20)
        publisher = Publisher(log, self.tiles)
        for part in parts:
            self.receipts += asyncio.run(_append(log, part))
            publisher.publish_now()
            self.checkpoints.append((self.tiles / CHECKPOINT).read_text())
            if self.receipts:
                self.proofs.append(log.prove(len(self.receipts) // 2))
        publisher.close()
        log.close_now()

    @property
    def pins(self) -> tuple[Pin, ...]:
        return read_pins("\n".join([*map(str, self.receipts), *self.checkpoints]))


async def _append(log: Log, number: int) -> list[Receipt]:
    receipts = []
    for start in range(0, number, 2000):
        records = [
            Record(log.new_id(), "decision", {"tool": {"name": "ledger.pay"}, "number": n})
            for n in range(start, min(number, start + 2000))
        ]
        receipts += await asyncio.gather(*map(log.append, records))
    return receipts


@pytest.fixture(params=SIZES)
def written(tmp_path: Path, request: pytest.FixtureRequest) -> Written:
    size: int = request.param
    written = Written(tmp_path)
    written.run([size // 3, size // 4])
    written.run([size - size // 3 - size // 4 - size // 5])
    written.run([size // 5])
    assert len(written.receipts) == size
    return written


def test_the_independent_reader_and_our_own_accept_it(written: Written) -> None:
    size = len(written.receipts)
    log = tlog_reader.read_log(written.tiles, SIGNER.vkey, SIGNER.name)
    assert [tlog_reader.leaf_hash(raw) for raw in log.entries] == [
        receipt.leaf for receipt in written.receipts
    ]
    report = verify_directory(written.tiles, SIGNER.vkey, written.pins)
    assert (report.findings, report.size, report.root) == ((), size, log.head.root)
    assert (report.rollback, report.pinned) == ("excluded by pin", size)


def test_its_proofs_hold_for_both_readers(written: Written) -> None:
    log = tlog_reader.read_log(written.tiles, SIGNER.vkey, SIGNER.name)
    for text in written.proofs:
        proof = Proof.parse(text)
        raw = log.entries[proof.index]
        assert tlog_reader.verify_proof(text, raw, SIGNER.vkey, SIGNER.name).size <= log.head.size
        proof.verify(written.receipts[proof.index].leaf, Verifier.parse(SIGNER.vkey))


def test_every_mutation_of_it_is_reported_with_its_place(
    written: Written, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    entries = tlog_reader.read_log(written.tiles, SIGNER.vkey, SIGNER.name).entries
    original = Original(written.tiles, entries, SIGNER)
    for mutation in mutations(original, many=request.config.getoption("--long")):
        copy = copy_log(written.tiles, tmp_path / "copy")
        mutation.apply(copy)
        report = verify_directory(copy, SIGNER.vkey, mutation.pins)
        assert any(_named(finding, mutation.places) for finding in report.findings), mutation.name
        assert not report.ok
        shutil.rmtree(copy)
    assert verify_directory(written.tiles, SIGNER.vkey).ok


def _named(finding: Finding, wanted: tuple[str, ...]) -> bool:
    return any(finding.place.startswith(place) or place in finding.message for place in wanted)


def test_an_old_copy_of_the_folder_is_accepted_without_a_pin_and_refused_with_one(
    tmp_path: Path,
) -> None:
    written = Written(tmp_path)
    written.run([300])
    shutil.copytree(written.tiles, tmp_path / "old")
    written.run([1])
    assert verify_directory(tmp_path / "old", SIGNER.vkey).rollback == "not excluded"
    report = verify_directory(tmp_path / "old", SIGNER.vkey, written.pins)
    assert [finding.place for finding in report.findings] == ["pin 301", "pin 303"]


_KILLED = """
import asyncio, os, sys
from pathlib import Path
from audit.entry import Record
from audit.log import Log
from audit.tiles import Publisher
from tests.audit.published_logs import SIGNER

async def work(log):
    for number in range(100_000):
        receipt = await log.append(Record(log.new_id(), "decision", {"number": number}))
        os.write(1, f"{receipt}\\n".encode())

folder = Path(sys.argv[1])
log = Log.open(folder / "log", signer=SIGNER, segment_bytes=1 << 20)
Publisher(log, folder / "tiles", every_s=0.002).start()
asyncio.run(work(log))
"""


@pytest.mark.parametrize("lines", [1, 40, 300, pytest.param(3000, marks=long)])
def test_a_publisher_killed_at_work_leaves_a_folder_that_verifies_and_is_continued(
    tmp_path: Path, lines: int
) -> None:
    program = [sys.executable, "-c", _KILLED, str(tmp_path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(program, stdout=subprocess.PIPE, cwd=root, text=True) as child:
        assert child.stdout
        kept = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        kept += child.stdout.readlines()
    whole = [line for line in kept if line.endswith("\n")]
    if (tmp_path / "tiles" / CHECKPOINT).exists():
        assert verify_directory(tmp_path / "tiles", SIGNER.vkey).findings == ()
    log = Log.open(tmp_path / "log", signer=SIGNER, segment_bytes=1 << 20)
    Publisher(log, tmp_path / "tiles").close()
    log.close_now()
    report = verify_directory(tmp_path / "tiles", SIGNER.vkey, read_pins("".join(whole)))
    assert (report.findings, report.rollback) == ((), "excluded by pin")
    assert report.pinned == len(whole)

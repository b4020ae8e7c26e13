"""Exported lines: each one names its entry's place and can be proven."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from audit.entry import Receipt, Record
from audit.export import proven_rows, rows
from audit.log import Log
from audit.merkle import hash_leaf
from audit.note import Verifier
from audit.pin import read_pins
from audit.proof import Proof
from audit.tiles import Publisher
from audit.verify import verify_directory
from tests.audit.published_logs import ORIGIN, SIGNER
from tests.independent import tlog_reader


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log.open(tmp_path / "log", signer=SIGNER, segment_bytes=1 << 20)

    async def fill() -> None:
        records = [Record(log.new_id(), "decision", {"text": f"ü {n}"}) for n in range(300)]
        await asyncio.gather(*map(log.append, records))

    asyncio.run(fill())
    yield log
    log.close_now()


def test_a_line_holds_the_entry_byte_for_byte_with_its_place(log: Log) -> None:
    lines = list(rows(log))
    assert len(lines) == log.size
    for index, line in enumerate(lines):
        row = orjson.loads(line)
        raw = log.entry(index).raw
        assert line.startswith(b'{"entry":' + raw + b",")
        assert line.endswith(b"\n")
        assert orjson.dumps(row["entry"], option=orjson.OPT_SORT_KEYS) == raw
        assert (row["origin"], row["index"]) == (ORIGIN, index)
        assert row["leaf"] == hash_leaf(raw).hex()


def test_an_export_goes_on_where_it_stopped(log: Log) -> None:
    whole = list(rows(log))
    assert [*rows(log, 0, 100), *rows(log, 100)] == whole
    assert list(rows(log, log.size)) == []


def test_exported_lines_are_pins_for_the_published_log(log: Log, tmp_path: Path) -> None:
    Publisher(log, tmp_path / "tiles").publish_now()
    parsed = map(orjson.loads, rows(log))
    kept = [str(Receipt(row["origin"], row["index"], bytes.fromhex(row["leaf"]))) for row in parsed]
    report = verify_directory(tmp_path / "tiles", SIGNER.vkey, read_pins("\n".join(kept)))
    assert (report.ok, report.pinned) == (True, log.size)


def test_a_proven_line_convinces_both_readers(log: Log) -> None:
    verifier = Verifier.parse(SIGNER.vkey)
    for line in proven_rows(log, 250):
        row = orjson.loads(line)
        raw = orjson.dumps(row["entry"], option=orjson.OPT_SORT_KEYS)
        proof = Proof.parse(row["proof"])
        assert proof.index == row["index"]
        assert proof.verify(bytes.fromhex(row["leaf"]), verifier).size == log.size
        tlog_reader.verify_proof(row["proof"], raw, SIGNER.vkey, ORIGIN)

"""Power cuts, modelled: any subset of the sectors that were not synced survives."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.note import Signer
from audit.store import Store
from audit.writer import frames_size
from tests.audit.disks import PowerCut, SectorLossFiles

SIGNER = Signer("gw.example/audit", Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))
SEGMENT = 128 * 1024
LIVES = 6


@dataclass(frozen=True)
class Item:
    raw: bytes
    payload: bytes | None = None


@dataclass
class Outcome:
    cuts: int = 0
    acknowledged: int = 0
    torn: int = 0
    segments: int = 0


def batches(rng: random.Random) -> Iterator[list[Item]]:
    while True:
        yield [
            Item(
                rng.randbytes(rng.choice([1, 40, 511, 512, 1024, 5000])),
                rng.randbytes(rng.randrange(2000)) if rng.random() < 0.3 else None,
            )
            for _ in range(rng.randrange(1, 9))
        ]


def live(folder: Path, rng: random.Random, acknowledged: list[bytes], outcome: Outcome) -> None:
    """Open the log, check that nothing is lost, and write until the power goes."""
    files = SectorLossFiles(allowed=rng.randrange(4, 60))
    store = None
    try:
        store = Store.open(files, folder, SIGNER, segment_bytes=SEGMENT, published=None)
        found = [entry.leaf for entry in store.reader.entries(0, store.head.size)]
        assert found[: len(acknowledged)] == acknowledged
        outcome.acknowledged += len(acknowledged)
        outcome.torn += bool(store.recovered and store.recovered.tail)
        acknowledged[:] = found  # what recovery kept belongs to the log from now on
        for batch in batches(rng):
            size = sum(frames_size(item.raw, item.payload) for item in batch)
            acknowledged += store.writer.commit(batch, size)
    except PowerCut:
        outcome.cuts += 1
    finally:
        if store:
            store.abandon()
    files.cut(folder, rng)


def run(folder: Path, rounds: int) -> Outcome:
    outcome = Outcome()
    for seed in range(rounds):
        rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
        log = folder / str(seed)
        acknowledged: list[bytes] = []
        for _ in range(LIVES):
            live(log, rng, acknowledged, outcome)
        outcome.segments += len(list(log.glob("*.seg")))
    return outcome


def test_no_acknowledged_entry_is_lost_in_a_power_cut(tmp_path: Path) -> None:
    outcome = run(tmp_path, rounds=20)
    assert outcome.cuts == 120
    assert outcome.torn >= 5
    assert outcome.segments >= 40


@pytest.mark.long
def test_no_acknowledged_entry_is_lost_in_a_thousand_power_cuts(tmp_path: Path) -> None:
    outcome = run(tmp_path, rounds=200)
    assert outcome.cuts == 1200
    assert outcome.acknowledged > 50_000

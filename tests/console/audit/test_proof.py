"""Proofs on a page: each step is really checked, and one that fails ends it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.entry import Entry, Record
from audit.log import Log
from audit.note import Signer
from audit.proof import Proof
from console.audit.proof import check

SIGNER = Signer("log.example", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = Signer("log.example", Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))


@pytest.fixture
def proven(tmp_path: Path) -> tuple[Entry, Proof]:
    """The fourth of seven entries, with its proof."""
    log = Log.open(tmp_path, signer=SIGNER, segment_bytes=1 << 20)
    try:
        for number in range(7):
            log.append_now(Record(log.new_id(), "test", {"number": number}))
        return log.entry(3), Proof.parse(log.prove(3))
    finally:
        log.close_now()


def test_an_entry_is_proven_step_by_step(proven: tuple[Entry, Proof]) -> None:
    entry, proof = proven
    steps = check(entry, proof, SIGNER.vkey)
    assert all(step.ok for step in steps)
    assert sum(step.what.startswith("Step ") for step in steps) == len(proof.path) == 3
    assert steps[0].value == entry.leaf.hex()
    assert "signed with the log's key" in steps[-1].what


def swapped(path: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return (path[1], path[0], *path[2:])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param(lambda e, p: (replace(e, raw=e.raw + b" "), p), "its leaf", id="bytes"),
        pytest.param(lambda e, p: (replace(e, leaf=bytes(32)), p), "its leaf", id="leaf"),
        pytest.param(lambda e, p: (replace(e, index=4), p), "is of this entry", id="another-entry"),
        pytest.param(
            lambda e, p: (e, replace(p, path=swapped(p.path))), "the root", id="siblings-swapped"
        ),
        pytest.param(
            lambda e, p: (e, replace(p, path=p.path[:-1])), "ends below the root", id="too-short"
        ),
        pytest.param(
            lambda e, p: (e, replace(p, path=(*p.path, bytes(32)))), "longer than", id="too-long"
        ),
        pytest.param(
            lambda e, p: (e, replace(p, note=p.note.replace("\n7\n", "\n8\n"))),
            "does not verify",
            id="size-changed",
        ),
        pytest.param(lambda e, p: (e, replace(p, note="")), "", id="no-checkpoint"),
    ],
)
def test_the_first_step_that_fails_ends_it(
    proven: tuple[Entry, Proof],
    changed: Callable[[Entry, Proof], tuple[Entry, Proof]],
    said: str,
) -> None:
    steps = check(*changed(*proven), SIGNER.vkey)
    assert [step.ok for step in steps[:-1]] == [True] * (len(steps) - 1)
    assert not steps[-1].ok
    assert said in steps[-1].what


@pytest.mark.parametrize("vkey", [OTHER.vkey, "nonsense", ""], ids=["another", "nonsense", "none"])
def test_with_another_key_nothing_is_proven(proven: tuple[Entry, Proof], vkey: str) -> None:
    assert not check(*proven, vkey)[-1].ok

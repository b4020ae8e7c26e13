"""Proofs to take away: written, read back, and refused when anything in them is bent."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.checkpoint import Checkpoint
from audit.errors import AuditError, BadSignature, MalformedProof, NotIncluded
from audit.merkle import hash_leaf, inclusion_path, root_of
from audit.note import Signer, Verifier
from audit.proof import Proof
from tests.independent import tlog_reader

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
SIGNER = Signer("log.example/a", KEY)
VERIFIER = Verifier.parse(SIGNER.vkey)
ENTRIES = [b"entry %d" % number for number in range(11)]
LEAVES = [hash_leaf(entry) for entry in ENTRIES]
NOTE = SIGNER.sign(str(Checkpoint(SIGNER.name, len(LEAVES), root_of(LEAVES))))


def _proof(index: int, *, note: str = NOTE, extra: bytes | None = None) -> Proof:
    path = inclusion_path(
        index, len(LEAVES), lambda level, at: root_of(LEAVES[at << level : (at + 1) << level])
    )
    return Proof(index, tuple(path), note, extra)


@pytest.mark.parametrize("index", range(len(ENTRIES)))
@pytest.mark.parametrize("extra", [None, b"", b"opaque"], ids=["plain", "empty", "extra"])
def test_a_proof_is_read_back_and_verified_by_both_readers(index: int, extra: bytes | None) -> None:
    text = str(_proof(index, extra=extra))
    read = Proof.parse(text)
    assert read == _proof(index, extra=extra)
    assert read.verify(LEAVES[index], VERIFIER).size == len(ENTRIES)
    head = tlog_reader.verify_proof(text, ENTRIES[index], SIGNER.vkey, SIGNER.name)
    assert head.size == len(ENTRIES)


def test_the_text_has_the_form_of_the_specification() -> None:
    """c2sp.org/tlog-proof, section Format."""
    proof = Proof(5, (b"\x01" * 32, b"\x02" * 32), "checkpoint data\n", b"extra information")
    first, second = (b64encode(bytes([byte]) * 32).decode() for byte in (1, 2))
    assert str(proof) == (
        "c2sp.org/tlog-proof@v1\n"
        "extra ZXh0cmEgaW5mb3JtYXRpb24=\n"
        "index 5\n"
        f"{first}\n{second}\n"
        "\n"
        "checkpoint data\n"
    )


def test_the_only_entry_needs_no_hashes() -> None:
    assert str(Proof(0, (), "checkpoint\n")) == ("c2sp.org/tlog-proof@v1\nindex 0\n\ncheckpoint\n")


HASH = b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("", "expected c2sp", id="empty"),
        pytest.param("wrong-header\nindex 0\n\ncheckpoint\n", "expected c2sp", id="header"),
        pytest.param("c2sp.org/tlog-proof@v2\nindex 0\n\ncheckpoint\n", "expected c2sp", id="v2"),
        pytest.param("c2sp.org/tlog-proof@v1\nindex 0\n", "a blank line", id="no-checkpoint"),
        pytest.param("c2sp.org/tlog-proof@v1\n\ncheckpoint\n", "`index`", id="no-index"),
        pytest.param(
            "c2sp.org/tlog-proof@v1\nextra !!\nindex 0\n\nc\n", "not base64", id="extra-no-base64"
        ),
        pytest.param(
            "c2sp.org/tlog-proof@v1\nindex 0\nextra AA==\n\nc\n", "not base64", id="extra-last"
        ),
        pytest.param("c2sp.org/tlog-proof@v1\nindex -5\n\nc\n", "plain decimal", id="negative"),
        pytest.param("c2sp.org/tlog-proof@v1\nindex 05\n\nc\n", "plain decimal", id="zero-first"),
        pytest.param("c2sp.org/tlog-proof@v1\nindex five\n\nc\n", "plain decimal", id="word"),
        pytest.param("c2sp.org/tlog-proof@v1\nindex  5\n\nc\n", "plain decimal", id="two-spaces"),
        pytest.param(
            f"c2sp.org/tlog-proof@v1\nindex {'9' * 5000}\n\nc\n", "plain decimal", id="huge"
        ),
        pytest.param("c2sp.org/tlog-proof@v1\nindex 0\n!!\n\nc\n", "not base64", id="no-base64"),
        pytest.param(
            f"c2sp.org/tlog-proof@v1\nindex 0\n{HASH[:-4]}\n\nc\n", "32 bytes", id="short-hash"
        ),
        pytest.param(
            f"c2sp.org/tlog-proof@v1\nindex 0\nAAAA{HASH}\n\nc\n", "32 bytes", id="long-hash"
        ),
        pytest.param(
            f"c2sp.org/tlog-proof@v1\nindex 0\n{HASH[:-2]}B=\n\nc\n", "spelling", id="unused-bits"
        ),
        pytest.param(
            "c2sp.org/tlog-proof@v1\nindex 0\n" + f"{HASH}\n" * 64 + "\nc\n", "63", id="64-hashes"
        ),
        pytest.param("x" * 1_100_001, "longer than", id="too-long"),
    ],
)
def test_a_malformed_proof_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(MalformedProof, match=complaint):
        Proof.parse(text)


def test_a_proof_holds_for_no_other_entry_and_no_other_index() -> None:
    for index in range(len(LEAVES)):
        for claimed in range(len(LEAVES)):
            if claimed != index:
                with pytest.raises(NotIncluded):
                    _proof(index).verify(LEAVES[claimed], VERIFIER)
                bent = Proof(claimed, _proof(index).path, NOTE)
                with pytest.raises(NotIncluded):
                    bent.verify(LEAVES[index], VERIFIER)


def test_the_key_of_one_log_does_not_speak_for_another() -> None:
    note = SIGNER.sign(str(Checkpoint("other.example", len(LEAVES), root_of(LEAVES))))
    with pytest.raises(BadSignature, match="cannot sign for"):
        _proof(3, note=note).verify(LEAVES[3], VERIFIER)


def test_any_character_changed_in_a_proof_is_noticed() -> None:
    text = str(_proof(7))
    for at in range(len(text)):
        bent = text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1 :]
        with pytest.raises(AuditError):
            Proof.parse(bent).verify(LEAVES[7], VERIFIER)

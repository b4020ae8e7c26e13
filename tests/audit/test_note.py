"""Signed notes: what Go signs is opened, what Go refuses is refused."""

import json
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import BadSignature, MalformedKey, MalformedNote
from audit.note import Signer, Verifier, unverified_text

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "notes.json").read_text()
)
GO = VECTORS["go"]
VKEY: str = GO["vkey"]
TEXT: str = GO["text"]
SIGNATURE: str = GO["signature"]
OTHER: str = GO["other_signature"]

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
SIGNER = Signer("log.example/a", KEY)


def test_the_note_of_go_is_written_byte_for_byte() -> None:
    seed = b64decode(GO["skey"].split("+", 4)[4])[1:]
    signer = Signer("PeterNeumann", Ed25519PrivateKey.from_private_bytes(seed))
    assert signer.vkey == VKEY
    assert signer.sign(TEXT) == f"{TEXT}\n{SIGNATURE}"


@pytest.mark.parametrize(
    "signatures",
    [
        pytest.param(SIGNATURE, id="one"),
        pytest.param(SIGNATURE + OTHER, id="unknown-after"),
        pytest.param(OTHER + SIGNATURE, id="unknown-before"),
        pytest.param(SIGNATURE * 100, id="a-hundred"),
    ],
)
def test_a_note_is_opened_by_its_key_whoever_signed_too(signatures: str) -> None:
    assert Verifier.parse(VKEY).open(f"{TEXT}\n{signatures}") == TEXT
    assert Verifier.parse(VKEY).open(f"{TEXT}\n{signatures}".encode()) == TEXT


@pytest.mark.parametrize("head", VECTORS["checkpoints"]["heads"], ids=lambda h: str(h["size"]))
def test_the_heads_of_the_checksum_database_are_opened(head: dict[str, Any]) -> None:
    text = Verifier.parse(VECTORS["checkpoints"]["vkey"]).open(head["note"])
    assert text == f"{VECTORS['checkpoints']['origin']}\n{head['size']}\n{head['root']}\n"


def test_a_text_may_hold_blank_lines_and_what_looks_like_signatures() -> None:
    text = f"first\n\n{OTHER}\nlast\n"
    assert Verifier.parse(SIGNER.vkey).open(SIGNER.sign(text)) == text


@given(st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"])))
def test_what_is_signed_is_opened_again(text: str) -> None:
    note = SIGNER.sign(text + "\n")
    assert Verifier.parse(SIGNER.vkey).open(note) == text + "\n"
    assert unverified_text(note) == text + "\n"


@pytest.mark.parametrize(
    "note",
    [
        pytest.param(TEXT, id="no-signature"),
        pytest.param(TEXT + "\n", id="blank-line-only"),
        pytest.param(f"{TEXT}\n{SIGNATURE[:-1]}", id="no-last-newline"),
        pytest.param(f"\x01{TEXT}\n{SIGNATURE}", id="control-character"),
        pytest.param(f"{TEXT}\r\n{SIGNATURE}", id="carriage-return"),
        pytest.param(f"\ud800{TEXT}\n{SIGNATURE}", id="lone-surrogate"),
        pytest.param(b"\xff" + f"{TEXT}\n{SIGNATURE}".encode(), id="no-utf-8"),
        pytest.param(f"{TEXT}\n{SIGNATURE.replace('PeterNeumann', 'Bad Name')}", id="bad-name"),
        pytest.param(f"{TEXT}\n{SIGNATURE.replace('PeterNeumann', 'a+b')}", id="plus-in-name"),
        pytest.param(f"{TEXT}\n{SIGNATURE.replace('PeterNeumann', '')}", id="no-name"),
        pytest.param(f"{TEXT}\n{SIGNATURE}Unexpected line.\n", id="unexpected-line"),
        pytest.param(f"{TEXT}\n{SIGNATURE}\n", id="blank-line-after"),
        pytest.param(f"{TEXT}\n{SIGNATURE.replace('—', '-')}", id="hyphen"),
        pytest.param(f"{TEXT}\n{SIGNATURE.replace('=', '')}", id="no-padding"),
        pytest.param(f"{TEXT}\n{SIGNATURE.replace('/', '_')}", id="url-alphabet"),
        pytest.param(f"{TEXT}\n— PeterNeumann x08gow==\n", id="key-id-only"),
        pytest.param(f"{TEXT}\n— PeterNeumann \n", id="empty-signature"),
        pytest.param(f"{TEXT}\n{SIGNATURE * 101}", id="too-many-signatures"),
        pytest.param("x" * 1_000_001, id="too-long"),
        pytest.param("", id="empty"),
    ],
)
def test_a_malformed_note_is_refused(note: str | bytes) -> None:
    with pytest.raises(MalformedNote):
        Verifier.parse(VKEY).open(note)


def _signature(name: str, raw: bytes) -> str:
    return f"— {name} {b64encode(raw).decode()}\n"


RAW = b64decode(SIGNATURE.rsplit(maxsplit=1)[-1])


@pytest.mark.parametrize(
    ("text", "signatures"),
    [
        pytest.param(TEXT, OTHER, id="other-key"),
        pytest.param(TEXT.upper(), SIGNATURE, id="other-text"),
        pytest.param(f"{TEXT}\n", SIGNATURE, id="longer-text"),
        pytest.param(TEXT, SIGNATURE[:60] + "ABCD" + SIGNATURE[60:], id="longer-signature"),
        pytest.param(TEXT, _signature("PeterNeumann", RAW[:-1]), id="shorter-signature"),
        pytest.param(TEXT, _signature("PeterNeumann", RAW[:4] + bytes(64)), id="zeros"),
        pytest.param(TEXT, _signature("PeterNeumann", bytes(4) + RAW[4:]), id="other-key-id"),
        pytest.param(TEXT, _signature("Peter", RAW), id="other-name"),
        pytest.param(
            TEXT, SIGNATURE + _signature("PeterNeumann", RAW[:4] + bytes(64)), id="one-of-two-bad"
        ),
    ],
)
def test_a_note_that_the_key_did_not_sign_is_refused(text: str, signatures: str) -> None:
    with pytest.raises(BadSignature):
        Verifier.parse(VKEY).open(f"{text}\n{signatures}")


def test_every_part_of_a_verifier_key_is_refused() -> None:
    for start in range(len(VKEY)):
        for end in range(start + 1, len(VKEY) + 1):
            if (start, end) != (0, len(VKEY)):
                with pytest.raises(MalformedKey):
                    Verifier.parse(VKEY[start:end])


@pytest.mark.parametrize("at", range(len(VKEY)))
def test_a_verifier_key_with_one_character_changed_is_refused(at: int) -> None:
    with pytest.raises(MalformedKey):
        Verifier.parse(VKEY[:at] + chr(ord(VKEY[at]) + 1) + VKEY[at + 1 :])


@pytest.mark.parametrize("vkey", GO["bad_vkeys"].values(), ids=GO["bad_vkeys"].keys())
def test_a_key_of_another_form_is_refused_under_its_own_id(vkey: str) -> None:
    with pytest.raises(MalformedKey):
        Verifier.parse(vkey)


def test_a_key_id_is_written_in_lower_case_only() -> None:
    name, key_id, key = VKEY.split("+", 2)
    with pytest.raises(MalformedKey):
        Verifier.parse(f"{name}+{key_id.upper()}+{key}")


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u00a0b", "a\x7fb", "\u2028"])
def test_a_key_is_not_given_a_name_that_breaks_the_format(name: str) -> None:
    with pytest.raises(MalformedKey):
        Signer(name, KEY)


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "surrogate \ud800\n", "\x00\n"])
def test_nothing_is_signed_that_could_not_be_opened(text: str) -> None:
    with pytest.raises(MalformedNote):
        SIGNER.sign(text)

"""Pin files: receipts and checkpoints, in any order, and nothing else."""

import pytest

from audit.entry import Receipt
from audit.errors import MalformedPin
from audit.pin import PinnedCheckpoint, read_pins

LEAF = "ab" * 32
RECEIPT = f"log.example/a;41;{LEAF}"
NOTE = "log.example/a\n42\nroot\n\n— log.example/a c2ln\n"
COSIGNED = NOTE + "— witness.example c2ln\n"


@pytest.mark.parametrize(
    ("text", "pins"),
    [
        pytest.param("", (), id="empty"),
        pytest.param("# only a comment\n\n", (), id="comment"),
        pytest.param(RECEIPT, (Receipt("log.example/a", 41, bytes.fromhex(LEAF)),), id="receipt"),
        pytest.param(NOTE, (PinnedCheckpoint(NOTE),), id="checkpoint"),
        pytest.param(NOTE[:-1], (PinnedCheckpoint(NOTE),), id="checkpoint-without-last-newline"),
        pytest.param(COSIGNED, (PinnedCheckpoint(COSIGNED),), id="cosigned"),
        pytest.param(
            NOTE + COSIGNED, (PinnedCheckpoint(NOTE), PinnedCheckpoint(COSIGNED)), id="two"
        ),
        pytest.param(
            f"# kept by the auditor\n{RECEIPT}\n\n{NOTE}\n# later\n{RECEIPT}\n",
            (
                Receipt("log.example/a", 41, bytes.fromhex(LEAF)),
                PinnedCheckpoint(NOTE),
                Receipt("log.example/a", 41, bytes.fromhex(LEAF)),
            ),
            id="mixed",
        ),
    ],
)
def test_pins_are_read(text: str, pins: tuple[object, ...]) -> None:
    assert read_pins(text) == pins


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("what is this", 1, id="word"),
        pytest.param(f"{RECEIPT}\nlog.example/a\n42\nroot\n", 2, id="unsigned-checkpoint"),
        pytest.param("log.example/a\n42\nroot\n\nno signature\n", 1, id="no-signature-line"),
        pytest.param(f"\n{RECEIPT[:-1]}\n", 2, id="short-hash"),
        pytest.param(f"{RECEIPT}0\n", 1, id="long-hash"),
        pytest.param(f"{RECEIPT.upper()}\n", 1, id="upper-case"),
        pytest.param(f"# one\n{RECEIPT.replace('41', '041')}\n", 2, id="leading-zero"),
        pytest.param(f"{RECEIPT.replace('41', '-1')}\n", 1, id="negative"),
        pytest.param(f"{RECEIPT} \n", 1, id="space-after"),
        pytest.param(f"{RECEIPT}\r\n", 1, id="carriage-return"),
        pytest.param(f";41;{LEAF}\n", 1, id="no-origin"),
    ],
)
def test_what_is_no_pin_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(MalformedPin, match=f"line {line}: "):
        read_pins(text)

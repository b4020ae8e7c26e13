"""Checkpoints: one spelling for each statement."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.checkpoint import Checkpoint
from audit.errors import MalformedCheckpoint

ROOT = b64encode(bytes(range(32))).decode()


def test_the_example_of_the_specification_is_read() -> None:
    """c2sp.org/tlog-checkpoint, introduction."""
    read = Checkpoint.parse(
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )
    assert (read.origin, read.size) == ("example.com/behind-the-sofa", 20852163)
    assert read.root.hex().startswith("0ac5186a91863e8e1d90c8")


def test_extension_lines_are_ignored() -> None:
    plain = Checkpoint.parse(f"log.example\n7\n{ROOT}\n")
    assert Checkpoint.parse(f"log.example\n7\n{ROOT}\nmore\nand more\n") == plain


@given(
    origin=st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1),
    size=st.integers(0, 2**63),
    root=st.binary(min_size=32, max_size=32),
)
def test_parsing_restores_what_was_written(origin: str, size: int, root: bytes) -> None:
    written = Checkpoint(origin, size, root)
    assert Checkpoint.parse(str(written)) == written


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("", "expected origin", id="empty"),
        pytest.param("log.example\n7\n", "expected origin", id="no-root"),
        pytest.param(f"log.example\n7\n{ROOT}", "expected origin", id="no-last-newline"),
        pytest.param(f"\n7\n{ROOT}\n", "expected origin", id="no-origin"),
        pytest.param(
            f"log.example\n7\n{ROOT}\n\n", "extension line is empty", id="empty-extension"
        ),
        pytest.param(f"log.example\n\n{ROOT}\n", "is empty", id="no-size"),
        pytest.param(f"log.example\n07\n{ROOT}\n", "plain decimal", id="leading-zero"),
        pytest.param(f"log.example\n+7\n{ROOT}\n", "plain decimal", id="plus"),
        pytest.param(f"log.example\n-7\n{ROOT}\n", "plain decimal", id="minus"),
        pytest.param(f"log.example\n7 \n{ROOT}\n", "plain decimal", id="space"),
        pytest.param(f"log.example\n٧\n{ROOT}\n", "plain decimal", id="arabic-digit"),
        pytest.param(f"log.example\n7.0\n{ROOT}\n", "plain decimal", id="fraction"),
        pytest.param(f"log.example\n{2**63 + 1}\n{ROOT}\n", "at most 19", id="beyond-63-bits"),
        pytest.param(f"log.example\n{'9' * 5000}\n{ROOT}\n", "at most 19", id="huge-size"),
        pytest.param(f"log.example\n7\n{ROOT[:-1]}\n", "32 bytes", id="no-padding"),
        pytest.param(f"log.example\n7\n{ROOT[:-4]}\n", "32 bytes", id="short-root"),
        pytest.param(f"log.example\n7\nAAAA{ROOT}\n", "32 bytes", id="long-root"),
        pytest.param(f"log.example\n7\n{ROOT[:-2]}9=\n", "one spelling", id="unused-bits"),
        pytest.param(f"log.example\n7\n{'_' * 43}=\n", "32 bytes", id="url-alphabet"),
        pytest.param(f"log.example\r\n7\r\n{ROOT}\r\n", "plain decimal", id="carriage-returns"),
    ],
)
def test_an_unreadable_checkpoint_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(MalformedCheckpoint, match=complaint):
        Checkpoint.parse(text)

"""Proofs to take away: that an entry is in the log, in one text (C2SP tlog-proof@v1).

The text holds the entry's index, the sibling hashes up to the root and a signed checkpoint. Whoever
has it, the entry and the log's verifier key needs nothing else, and no network.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from typing import Self

from audit.checkpoint import Checkpoint
from audit.errors import BadSignature, MalformedProof
from audit.merkle import HASH_BYTES, verify_inclusion
from audit.note import Verifier

_HEADER = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})", re.ASCII)
_MOST_HASHES = 63
_MOST_CHARACTERS = 1_100_000  # a note of the greatest length and what stands before it


@dataclass(frozen=True, slots=True)
class Proof:
    """An inclusion proof with the checkpoint it leads to.

    note   the signed checkpoint as it came, with all its signatures
    extra  opaque bytes that nothing authenticates
    """

    index: int
    path: tuple[bytes, ...]
    note: str
    extra: bytes | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text; nothing is verified yet. Raises MalformedProof."""
        if len(text) > _MOST_CHARACTERS:
            raise MalformedProof(f"longer than {_MOST_CHARACTERS} characters")
        head, blank, note = text.partition("\n\n")
        header, *lines = head.split("\n")
        if header != _HEADER or not blank:
            raise MalformedProof(f"expected {_HEADER}, a blank line and a checkpoint")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = _decode(lines.pop(0).removeprefix("extra "))
        index = _INDEX.fullmatch(lines[0]) if lines else None
        if not index:
            raise MalformedProof("expected `index` and a plain decimal number")
        return cls(int(index[1]), _read_path(lines[1:]), note, extra)

    def __str__(self) -> str:
        extra = [] if self.extra is None else [f"extra {b64encode(self.extra).decode()}"]
        hashes = [b64encode(step).decode() for step in self.path]
        return "\n".join([_HEADER, *extra, f"index {self.index}", *hashes, "", self.note])

    def verify(self, leaf: bytes, verifier: Verifier) -> Checkpoint:
        """Check signature and path for an entry with the hash `leaf`; return the checkpoint.

        Raises MalformedNote, MalformedCheckpoint, BadSignature (also for another log's checkpoint
        under the same key) or NotIncluded.
        """
        checkpoint = Checkpoint.parse(verifier.open(self.note))
        if checkpoint.origin != verifier.name:
            raise BadSignature(f"{verifier.name} cannot sign for the log {checkpoint.origin}")
        verify_inclusion(leaf, self.index, checkpoint.size, self.path, checkpoint.root)
        return checkpoint


def _read_path(lines: list[str]) -> tuple[bytes, ...]:
    if len(lines) > _MOST_HASHES:
        raise MalformedProof(f"more than {_MOST_HASHES} hashes")
    path = tuple(_decode(line) for line in lines)
    if any(len(step) != HASH_BYTES for step in path):
        raise MalformedProof("a hash is not 32 bytes long")
    return path


def _decode(encoded: str) -> bytes:
    try:
        raw = b64decode(encoded, validate=True)
    except (NotBase64, ValueError) as error:
        raise MalformedProof("a line is not base64") from error
    if b64encode(raw).decode() != encoded:
        raise MalformedProof("a line has more than one spelling: unused bits are set")
    return raw

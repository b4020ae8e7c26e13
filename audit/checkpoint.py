"""Checkpoints: one signed statement of how long the audit log is and what it holds.

The unsigned text is three lines: origin, size in leaves, root hash in base64
(C2SP tlog-checkpoint). Signatures are added and checked in `audit.note`.
"""

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Self

from audit.errors import MalformedCheckpoint
from audit.merkle import HASH_BYTES

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_ROOT = re.compile(r"[A-Za-z0-9+/]{43}=", re.ASCII)
_LARGEST = 2**63


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of one log at one moment."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        assert self.origin, "an origin has a name"
        assert "\n" not in self.origin, "an origin is one line"
        assert 0 <= self.size <= _LARGEST, "a size fits 63 bits"
        assert len(self.root) == HASH_BYTES, "a root is a SHA-256 hash"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the unsigned text; extension lines after the third are ignored.

        Raises MalformedCheckpoint when a line is missing or unreadable.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not lines[0]:
            raise MalformedCheckpoint("expected origin, size and root, each ended by a newline")
        if not all(lines[:-1]):
            raise MalformedCheckpoint("an extension line is empty")
        origin, size, root = lines[:3]
        return cls(origin, _read_size(size), _read_root(root))

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


def _read_size(line: str) -> int:
    if not _SIZE.fullmatch(line) or int(line) > _LARGEST:
        raise MalformedCheckpoint("size is not a plain decimal number of at most 19 digits")
    return int(line)


def _read_root(line: str) -> bytes:
    if not _ROOT.fullmatch(line):
        raise MalformedCheckpoint("root is not the base64 of 32 bytes")
    root = b64decode(line, validate=True)
    if b64encode(root).decode() != line:
        raise MalformedCheckpoint("root has more than one spelling: unused bits are set")
    return root

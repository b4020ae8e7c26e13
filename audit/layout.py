"""Where a published log keeps what: the paths of its files and the form of entry bundles.

A published log is a folder: `checkpoint`, hash tiles `tile/<L>/<N>[.p/<W>]` and entry bundles
`tile/entries/<N>[.p/<W>]` (C2SP tlog-tiles). A tile is 256 items wide or, at the right edge of a
tree, partial. Level 0 holds leaf hashes; each higher level one hash for each full tile below.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from audit.errors import MalformedBundle
from audit.merkle import HASH_BYTES

WIDTH = 256
HEIGHT = 8  # of the subtree in a tile: 2**8 = 256
MOST_ENTRY_BYTES = 65_535  # the length of an entry is written in two bytes

CHECKPOINT = "checkpoint"
ANNOUNCED = "checkpoint.next"
"""The signed checkpoint that is being published: its tiles may be there in part.

An addition of ours to tlog-tiles. It is durable before the first of its tiles, so that a reader
finds a signature over whatever the folder holds, also after a crash.
"""
STAGED = ".staged"
"""The file that is being written; no part of the published log."""

_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)
_TOP_LEVEL = 7  # sizes stay below 2**63, and 8 levels of 256 cover 2**64


@dataclass(frozen=True, slots=True)
class Tile:
    """One file: `width` items of its level, the first of which is number `index * 256`.

    level  0 to 7 for hashes; None for an entry bundle, which lies beside the tile of level 0
    """

    level: int | None
    index: int
    width: int = WIDTH

    @classmethod
    def parse(cls, path: str) -> Self | None:
        """Read a path below the folder; None when it names neither a tile nor a bundle."""
        match = _PATH.fullmatch(path)
        if not match:
            return None
        level = None if match["level"] == "entries" else int(match["level"])
        index = int(match["index"].replace("x", "").replace("/", ""))
        tile = cls(level, index, int(match["width"] or WIDTH))
        # A path has one spelling; this refuses x000/001, .p/256 and levels beyond the highest.
        return tile if (level or 0) <= _TOP_LEVEL and tile.path == path else None

    @property
    def path(self) -> str:
        """The path below the folder: `tile/0/x001/x234/067.p/8`."""
        level = "entries" if self.level is None else str(self.level)
        partial = f".p/{self.width}" if self.width < WIDTH else ""
        return f"tile/{level}/{_digits(self.index)}{partial}"

    @property
    def full(self) -> "Tile":
        """The full tile at the same place."""
        return Tile(self.level, self.index)

    @property
    def reaches(self) -> int:
        """The size a tree must have at least for this file to exist."""
        return (self.index * WIDTH + self.width) << (HEIGHT * (self.level or 0))


def edge(size: int) -> Iterator[Tile]:
    """The partial files of a log of `size` entries: the bundle and the tile of each level."""
    levels: list[int | None] = [None, *range(_TOP_LEVEL + 1)]
    for level in levels:
        items = size >> (HEIGHT * (level or 0))
        if items % WIDTH:
            yield Tile(level, items // WIDTH, items % WIDTH)


def join_bundle(entries: Iterable[bytes]) -> bytes:
    """Write entries as a bundle: each with its length in two bytes, big-endian, before it."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def split_bundle(bundle: bytes) -> list[bytes]:
    """Read the entries of a bundle. Raises MalformedBundle when it ends within one."""
    entries, start, length = [], 0, len(bundle)
    while start + 2 <= length:
        end = start + 2 + (bundle[start] << 8 | bundle[start + 1])
        entries.append(bundle[start + 2 : end])
        start = end
    if start != length:
        raise MalformedBundle(f"ends within item {len(entries) - (start > length)}")
    return entries


def split_hashes(tile: bytes) -> list[bytes]:
    """Read the hashes of a tile whose length has been checked."""
    return [tile[start : start + HASH_BYTES] for start in range(0, len(tile), HASH_BYTES)]


def _digits(index: int) -> str:
    groups = f"{index % 1000:03d}"
    while index := index // 1000:
        groups = f"x{index % 1000:03d}/{groups}"
    return groups

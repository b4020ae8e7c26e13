"""The tree of a published log, computed anew from its entries and compared tile by tile.

A stored tile is compared with the level below it as it is stored, not as it should be: so one
changed byte is reported once, where it lies, and not again on every level above. Nothing is lost:
if no level differs from the one below, the root follows from the entries.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TypeAlias

from audit.errors import Unreadable
from audit.layout import HEIGHT, WIDTH, Tile, split_hashes
from audit.merkle import Frontier, hash_leaf, root_of
from audit.published import PublishedFolder
from audit.sequence import EntryCheck, EntryOrder

Complain: TypeAlias = Callable[[str, str], None]
Hashes: TypeAlias = list[bytes | None]
"""Hashes of one level; None where what lies below is missing (and has been reported)."""


class Recomputation:
    """Reads each entry and each tile under a size once, from left to right.

    leaves, sizes  what to remember on the way: the hashes of these entries, and the roots of the
                   trees of these sizes; all within the size
    checks         what looks at the entries beside their order

    After `run`: `leaf_at`, `root_at` and `root`, with None for what could not be computed.
    Memory does not grow with the log.
    """

    def __init__(
        self,
        published: PublishedFolder,
        size: int,
        complain: Complain,
        *,
        leaves: Iterable[int] = (),
        sizes: Iterable[int] = (),
        checks: Iterable[EntryCheck] = (),
    ) -> None:
        self._published, self._size, self._complain = published, size, complain
        self._order = EntryOrder()
        self._checks: tuple[EntryCheck, ...] = (self._order, *checks)
        self._levels: list[Hashes] = []  # the items of each level's last, incomplete tile
        self._leaves, self._sizes = _by_tile(leaves), _by_tile(sizes)
        self.leaf_at: dict[int, bytes | None] = {}
        self.root_at: dict[int, bytes | None] = {}
        self.root: bytes | None = None

    def run(self) -> None:
        """Walk the whole log."""
        for index in range(self._size // WIDTH):
            self._push(0, index, self._tile(index, WIDTH))
        rest = self._size % WIDTH
        if rest:
            self._level(0)[:] = self._tile(self._size // WIDTH, rest)
        for level, items in enumerate(self._levels[1:], 1):
            if items:
                tile = Tile(level, self._size >> (HEIGHT * (level + 1)), len(items))
                items[:] = self._compared(tile, items)
        self.root = self._root_with(self._level(0))
        self.root_at[self._size] = self.root

    def _tile(self, index: int, width: int) -> Hashes:
        """Hash one bundle, compare its hash tile, note what was asked for."""
        leaves = self._hashed(Tile(None, index, width))
        stored = self._compared(Tile(0, index, width), leaves)
        for asked in self._leaves[index]:
            self.leaf_at[asked] = leaves[asked % WIDTH]
        for size in self._sizes[index]:
            self.root_at[size] = self._root_with(stored[: size % WIDTH])
        return stored

    def _hashed(self, bundle: Tile) -> Hashes:
        try:
            entries = self._published.entries(bundle)
        except Unreadable as error:
            self._complain(error.path, error.reason)
            entries = None
        else:
            if entries is None:
                self._complain(bundle.path, "is missing")
        if entries is None:
            self._order.lose_track()
            return [None] * bundle.width
        for check in self._checks:
            for number, complaint in check.check(bundle.index * WIDTH, entries):
                self._complain(f"{bundle.path}, entry {number}", complaint)
        return [hash_leaf(entry) for entry in entries]

    def _push(self, level: int, index: int, items: Hashes) -> None:
        """Carry the root of a full tile into the level above, and that one's when it is full."""
        above = self._level(level + 1)
        above.append(_subtree_root(items))
        if len(above) == WIDTH:
            full = self._compared(Tile(level + 1, index // WIDTH), above)
            above.clear()
            self._push(level + 1, index // WIDTH, full)

    def _compared(self, tile: Tile, computed: Hashes) -> Hashes:
        """Compare a stored tile with what lies below it; return the stored hashes if there are."""
        try:
            stored = self._published.hashes(tile)
        except Unreadable as error:
            self._complain(error.path, error.reason)
            return list(computed)
        if stored is None:
            self._complain(tile.path, "is missing")
            return list(computed)
        hashes = split_hashes(stored)
        if hashes != computed:
            for number, (found, expected) in enumerate(zip(hashes, computed, strict=True)):
                if expected not in (None, found):
                    self._complain(*_difference(tile, number))
        return list(hashes)

    def _level(self, level: int) -> Hashes:
        while len(self._levels) <= level:
            self._levels.append([])
        return self._levels[level]

    def _root_with(self, leaves: Hashes) -> bytes | None:
        """Compute the root of the full tiles so far and `leaves` to their right."""
        nodes: list[bytes] = []
        size = 0
        for level, items in [(0, leaves), *enumerate(self._levels[1:], 1)][::-1]:
            frontier = Frontier()
            known = [item for item in items if item is not None]
            if len(known) < len(items):
                return None
            frontier.extend(known)
            nodes += frontier.nodes
            size += frontier.size << (HEIGHT * level)
        return Frontier(size, nodes).root()


def _by_tile(numbers: Iterable[int]) -> defaultdict[int, list[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    for number in numbers:
        found[number // WIDTH].append(number)
    return found


def _difference(tile: Tile, number: int) -> tuple[str, str]:
    item = tile.index * WIDTH + number
    if tile.level:
        below = Tile(tile.level - 1, item)
        return f"{tile.path}, hash {number}", f"is not the root of {below.path}"
    bundle = Tile(None, tile.index, tile.width)
    return f"{bundle.path}, entry {item}", f"does not have the hash {number} of {tile.path}"


def _subtree_root(items: Hashes) -> bytes | None:
    """Hash the 256 items of a full tile into one."""
    hashes = [item for item in items if item is not None]
    return root_of(hashes) if len(hashes) == WIDTH else None

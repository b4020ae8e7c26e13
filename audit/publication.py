"""The published log as it grows: which files follow from which entries, and in which order.

The order makes it safe to die at any point: the signed checkpoint is announced, bundles and tiles
become durable, the checkpoint takes its place, and only then partial tiles go whose full tile it
covers. What is there already is compared and never replaced: a difference is an alarm.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

from audit.checkpoint import Checkpoint
from audit.durable import DurableFolder
from audit.entry import Entry
from audit.errors import (
    LogRolledBack,
    MalformedCheckpoint,
    MalformedNote,
    TileConflict,
    Unreadable,
)
from audit.layout import (
    ANNOUNCED,
    CHECKPOINT,
    HEIGHT,
    WIDTH,
    Tile,
    edge,
    join_bundle,
    split_hashes,
)
from audit.merkle import Frontier, root_of
from audit.note import unverified_text
from audit.published import PublishedFolder


class Source(Protocol):
    """What is asked of a log, from the publisher's own thread."""

    def signed_checkpoint(self) -> bytes:
        """The signed checkpoint over all committed entries."""

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """The committed entries from `start` up to, without, `stop`."""


class Publication:
    """A folder with the published log, opened by the one process that writes it."""

    def __init__(self, log: Source, folder: Path) -> None:
        """Continue what is in the folder, or begin.

        Raises OSError, TileConflict when the folder holds something else than the log gives, or
        LogRolledBack when it holds more.
        """
        self._log, self._store = log, DurableFolder(folder)
        self.checkpoint = _published(PublishedFolder(folder))
        self._tree = self._resumed(PublishedFolder(folder))
        found = map(Tile.parse, PublishedFolder(folder).paths())
        self._store.remove(_replaced(found, self._size))

    def publish(self) -> Checkpoint:
        """Publish the log as it stands, and return what is published then.

        Raises as the constructor does; after a failure the folder is to be opened anew.
        """
        note, signed = self._signed()
        before = self.checkpoint
        if before and signed.size == before.size:
            if signed.root != before.root:
                raise TileConflict(CHECKPOINT)
            return before
        self._grow(note, signed)
        self.checkpoint = signed
        return signed

    def renew(self) -> None:
        """Put the checkpoint there once more when the log has not grown, as a sign of life."""
        note, signed = self._signed()
        if signed == self.checkpoint:
            self._store.replace(CHECKPOINT, note)

    def _signed(self) -> tuple[bytes, Checkpoint]:
        note = self._log.signed_checkpoint()
        signed = Checkpoint.parse(unverified_text(note))
        if signed.size < self._size:
            raise LogRolledBack(
                f"{self._size} entries are published, but the log has {signed.size}",
                found=signed.size,
                expected=self._size,
            )
        return note, signed

    @property
    def _size(self) -> int:
        return self.checkpoint.size if self.checkpoint else 0

    def _resumed(self, published: PublishedFolder) -> "_Tree":
        """Take the right edge from the folder, or build and compare everything anew."""
        if self.checkpoint is None:
            return _Tree()
        self._signed()
        return _load(published, self.checkpoint) or self._extended(_Tree(), self.checkpoint)

    def _grow(self, note: bytes, signed: Checkpoint) -> None:
        self._store.replace(ANNOUNCED, note)
        tree = self._extended(self._tree.copy(), signed)
        self._store.sync()
        self._store.rename(ANNOUNCED, CHECKPOINT)
        self._store.remove(_replaced(edge(self._size), signed.size))
        self._tree = tree

    def _extended(self, tree: "_Tree", signed: Checkpoint) -> "_Tree":
        """Put all files from the end of `tree` up to the size of `signed`."""
        entries = self._log.entries(tree.tiles * WIDTH, signed.size)
        while len(leaves := self._put(tree.tiles, list(islice(entries, WIDTH)))) == WIDTH:
            self._put_tiles(tree.add(leaves))
        self._put_tiles(tree.partial())
        if tree.root(leaves) != signed.root:
            raise TileConflict(CHECKPOINT)
        return tree

    def _put(self, index: int, entries: Sequence[Entry]) -> list[bytes]:
        """Put the bundle and the tile of these entries, if there are any; return their leaves."""
        leaves = [entry.leaf for entry in entries]
        if entries:
            bundle, tile = Tile(None, index, len(entries)), Tile(0, index, len(entries))
            self._store.add(bundle.path, join_bundle(entry.raw for entry in entries))
            self._store.add(tile.path, b"".join(leaves))
        return leaves

    def _put_tiles(self, tiles: Iterable[tuple[Tile, Sequence[bytes]]]) -> None:
        for tile, hashes in tiles:
            self._store.add(tile.path, b"".join(hashes))


class _Tree:
    """The full tiles of level 0, as far as is needed to go on: the edge of each level above."""

    def __init__(self, tiles: int = 0, levels: Iterable[list[bytes]] = ()) -> None:
        self.tiles = tiles
        self._levels = list(levels)  # from level 1 upwards

    def copy(self) -> "_Tree":
        return _Tree(self.tiles, [hashes[:] for hashes in self._levels])

    def add(self, leaves: Sequence[bytes]) -> Iterator[tuple[Tile, list[bytes]]]:
        """Take the leaves of one more full tile, and yield the tiles above that become full."""
        self.tiles += 1
        items, full, level = self.tiles, root_of(leaves), 1
        while True:
            if len(self._levels) < level:
                self._levels.append([])
            hashes = self._levels[level - 1]
            hashes.append(full)
            if len(hashes) < WIDTH:
                return
            items //= WIDTH
            yield Tile(level, items - 1), hashes[:]
            full, level = root_of(hashes), level + 1
            hashes.clear()

    def partial(self) -> Iterator[tuple[Tile, list[bytes]]]:
        """Yield the partial tiles above level 0."""
        for level, hashes in enumerate(self._levels, 1):
            if hashes:
                yield Tile(level, self.tiles >> (HEIGHT * level), len(hashes)), hashes

    def root(self, rest: Sequence[bytes]) -> bytes:
        """Compute the root with the leaves that fill no tile."""
        nodes: list[bytes] = []
        count = 0
        for hashes in [*reversed(self._levels), rest]:
            part = Frontier()
            part.extend(hashes)
            nodes += part.nodes
            count = count * WIDTH + part.size
        return Frontier(count, nodes).root()


def _published(folder: PublishedFolder) -> Checkpoint | None:
    """Read the checkpoint in the folder; whose it is shows when the log leads to the same root."""
    try:
        note = folder.note(CHECKPOINT)
        return None if note is None else Checkpoint.parse(unverified_text(note))
    except (Unreadable, MalformedNote, MalformedCheckpoint) as error:
        raise TileConflict(CHECKPOINT) from error


def _load(folder: PublishedFolder, published: Checkpoint) -> _Tree | None:
    """Read the right edge; None when a tile is missing or does not lead to the root."""
    levels: list[list[bytes]] = []
    items = published.size
    while items:
        width = items % WIDTH
        tile = Tile(len(levels), items // WIDTH, width)
        try:
            raw = folder.hashes(tile) if width else b""
        except Unreadable:
            return None
        if raw is None:
            return None
        levels.append(split_hashes(raw))
        items //= WIDTH
    rest, *above = levels or [[]]
    tree = _Tree(published.size // WIDTH, above)
    return tree if tree.root(rest) == published.root else None


def _replaced(tiles: Iterable[Tile | None], size: int) -> set[str]:
    """The folders of those partial files in whose place a full file has been published."""
    partial = [tile for tile in tiles if tile and tile.width < WIDTH]
    return {f"{tile.full.path}.p" for tile in partial if tile.full.reaches <= size}

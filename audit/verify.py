"""Offline verification of a published log: nothing but its folder, a key and what one has pinned.

Every hash is computed anew from the entries upwards and compared with the stored tiles, level by
level, and at last with the signed root, so that a change is reported where it lies. Nothing here
is shared with what writes a log but the formats: note, checkpoint, layout, tree.

The key alone excludes every change below the checkpoint. That the folder as a whole is not an
older state, or another history under the same key, only a pin can exclude.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from audit.checkpoint import Checkpoint
from audit.entry import Receipt
from audit.errors import AuditError, Unreadable
from audit.layout import ANNOUNCED, CHECKPOINT, HEIGHT, STAGED, WIDTH, Tile
from audit.merkle import EMPTY_ROOT
from audit.note import Verifier
from audit.pin import Pin, PinnedCheckpoint
from audit.published import PublishedFolder
from audit.recompute import Recomputation
from audit.sequence import EntryCheck

Rollback: TypeAlias = Literal["excluded by pin", "not excluded"]

MOST_FINDINGS = 1000


class Finding(NamedTuple):
    """Something wrong: where (a path, an entry, a pin), and what."""

    place: str
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """What verification found.

    ok        nothing is wrong
    size      entries under the checkpoint; None, as is `root`, when no checkpoint can be trusted
    findings  at most MOST_FINDINGS, from the first entry on
    rollback  "excluded by pin" when all is well and a pin speaks of this log
    pinned    the number of first entries that the pins hold fast: no older state has them all
    """

    ok: bool
    origin: str
    size: int | None
    root: bytes | None
    findings: tuple[Finding, ...]
    rollback: Rollback
    pinned: int


def verify_directory(
    folder: Path, vkey: str, pins: Sequence[Pin] = (), checks: Sequence[EntryCheck] = ()
) -> Report:
    """Verify the published log in `folder` against the verifier key `vkey` and `pins`.

    checks  new ones, that look at what the entries mean to whoever wrote them

    The key must come from elsewhere than the folder. The folder may be that of a log at work.
    Raises MalformedKey; whatever is wrong with the folder is a finding.
    """
    return _Verification(PublishedFolder(folder), Verifier.parse(vkey), checks).run(pins)


class _Verification:
    def __init__(
        self, published: PublishedFolder, verifier: Verifier, checks: Sequence[EntryCheck]
    ) -> None:
        self._published, self._verifier, self._checks = published, verifier, checks
        self._findings: list[Finding] = []
        self._bad = False

    def run(self, pins: Sequence[Pin]) -> Report:
        signed = self._read_checkpoint(CHECKPOINT)
        if signed is None:
            if not self._bad:
                self._complain(CHECKPOINT, "is missing")
            return self._report(None, pinned=0)
        entries, checkpoints = self._usable(pins, signed)
        tree = Recomputation(
            self._published,
            signed.size,
            self._complain,
            leaves=[pin.index for _, pin in entries],
            sizes=[pin.size for _, pin in checkpoints],
            checks=self._checks,
        )
        tree.run()
        self._check_root(signed, tree.root)
        self._check_pins(entries, checkpoints, tree)
        self._check_files(signed)
        reached = [pin.index + 1 for _, pin in entries] + [pin.size for _, pin in checkpoints]
        return self._report(signed, pinned=max(reached, default=0))

    def _report(self, signed: Checkpoint | None, *, pinned: int) -> Report:
        held = pinned if not self._bad else 0
        return Report(
            ok=not self._bad,
            origin=self._verifier.name,
            size=signed.size if signed else None,
            root=signed.root if signed else None,
            findings=tuple(self._findings),
            rollback="excluded by pin" if held else "not excluded",
            pinned=held,
        )

    def _complain(self, place: str, message: str) -> None:
        self._bad = True
        if len(self._findings) < MOST_FINDINGS:
            self._findings.append(Finding(place, message))

    def _read_checkpoint(self, path: str) -> Checkpoint | None:
        try:
            note = self._published.note(path)
            return None if note is None else self._open(note)
        except Unreadable as error:
            self._complain(path, error.reason)
        except AuditError as error:
            self._complain(path, str(error))
        return None

    def _open(self, note: bytes | str) -> Checkpoint:
        """Check the signature of a checkpoint, and that it speaks of the log of this key."""
        checkpoint = Checkpoint.parse(self._verifier.open(note))
        if checkpoint.origin != self._verifier.name:
            raise AuditError(f"speaks of {checkpoint.origin}, not of {self._verifier.name}")
        return checkpoint

    def _usable(
        self, pins: Iterable[Pin], signed: Checkpoint
    ) -> tuple[list[tuple[str, Receipt]], list[tuple[str, Checkpoint]]]:
        """Sort out pins that the log can be compared with, and complain about the others."""
        entries: list[tuple[str, Receipt]] = []
        checkpoints: list[tuple[str, Checkpoint]] = []
        for number, pin in enumerate(pins, 1):
            place = f"pin {number}"
            if isinstance(pin, PinnedCheckpoint):
                checkpoints += self._usable_checkpoint(place, pin, signed)
            elif pin.origin != signed.origin:
                self._complain(place, f"speaks of {pin.origin}, not of {signed.origin}")
            elif pin.index >= signed.size:
                self._complain(
                    place,
                    f"entry {pin.index} was acknowledged, but the log has {signed.size} entries:"
                    " it was rolled back or cut",
                )
            else:
                entries.append((place, pin))
        return entries, checkpoints

    def _usable_checkpoint(
        self, place: str, pin: PinnedCheckpoint, signed: Checkpoint
    ) -> Iterator[tuple[str, Checkpoint]]:
        try:
            earlier = self._open(pin.note)
        except AuditError as error:
            self._complain(place, str(error))
            return
        if earlier.size <= signed.size:
            yield place, earlier
            return
        self._complain(
            place,
            f"a checkpoint of {earlier.size} entries was signed, but the log has {signed.size}:"
            " it was rolled back or cut",
        )

    def _check_root(self, signed: Checkpoint, root: bytes | None) -> None:
        if root is None:
            self._complain(CHECKPOINT, "its root cannot be compared: what lies below is missing")
        elif root != signed.root:
            self._complain(
                CHECKPOINT,
                f"the entries give the root {root.hex()}, signed is {signed.root.hex()}",
            )

    def _check_pins(
        self,
        entries: list[tuple[str, Receipt]],
        checkpoints: list[tuple[str, Checkpoint]],
        tree: Recomputation,
    ) -> None:
        for place, pin in entries:
            if tree.leaf_at[pin.index] != pin.leaf:
                self._complain(place, f"entry {pin.index} is not the one that was acknowledged")
        for place, earlier in checkpoints:
            root = tree.root_at[earlier.size] if earlier.size else EMPTY_ROOT
            if root != earlier.root:
                self._complain(place, f"the first {earlier.size} entries are not those signed then")

    def _check_files(self, signed: Checkpoint) -> None:
        """Complain about files that no signature explains, and about differing partial ones."""
        beyond: list[Tile] = []
        try:
            for path in self._published.paths():
                tile = Tile.parse(path)
                if tile and tile.reaches > signed.size:
                    beyond.append(tile)
                if tile:
                    self._check_leftover(tile, signed.size)
                elif path not in (CHECKPOINT, ANNOUNCED, STAGED):
                    self._complain(path, "is no file of a published log")
        except Unreadable as error:
            self._complain(error.path, error.reason)
        # After the listing: the log may have grown meanwhile, and signs before it publishes.
        explained = self._latest(signed)
        for tile in beyond:
            if tile.reaches > explained:
                self._complain(tile.path, f"lies beyond the {explained} entries that are signed")

    def _check_leftover(self, tile: Tile, size: int) -> None:
        """Compare a partial tile of another size with the beginning of the one that is in force."""
        items = size >> (HEIGHT * (tile.level or 0))
        width = min(WIDTH, items - tile.index * WIDTH)
        if width < 1 or width == tile.width:
            return
        standing = Tile(tile.level, tile.index, width)
        read = self._published.entries if tile.level is None else self._published.hashes
        try:
            found, expected = read(tile), read(standing)
        except Unreadable as error:
            if error.path != standing.path:  # that one has been reported
                self._complain(error.path, error.reason)
            return
        common = min(len(found or ()), len(expected or ()))
        if found and expected and found[:common] != expected[:common]:
            self._complain(tile.path, f"differs from {standing.path}")

    def _latest(self, signed: Checkpoint) -> int:
        """Return the largest size that the log has signed by now in this folder."""
        later = []
        for path in (ANNOUNCED, CHECKPOINT):  # in this order: the one becomes the other
            found = self._read_checkpoint(path)
            if found and found.size == signed.size and found.root != signed.root:
                self._complain(path, f"two different roots are signed for {signed.size} entries")
            later.append(found)
        return max(found.size if found else 0 for found in [signed, *later])

"""The writer: puts batches into segments, each with one write, one sync and one signed commit."""

from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from time import monotonic, perf_counter_ns
from typing import Protocol

from audit.checkpoint import Checkpoint
from audit.errors import AuditUnavailable
from audit.files import Files
from audit.note import Signer
from audit.recovery import Head, State
from audit.segments import (
    COMMIT,
    ENTRY,
    FRAME_BYTES,
    HEADER_BYTES,
    PAYLOAD,
    RESERVE_BYTES,
    SEAL,
    Header,
    frame,
    name_of,
    place_of,
)
from audit.spare import Spare
from audit.tree import write_blocks
from audit.watermark import Watermark

_NOTE_GROWTH = 20  # the digits that the size in a note can still gain


class NoRoom(AuditUnavailable):
    """The segment is full up to its reserve, and no new one can be made."""


class Item(Protocol):
    """What is written: an entry's bytes and the sealed payload that belongs to it."""

    @property
    def raw(self) -> bytes:
        """The bytes of the entry."""

    @property
    def payload(self) -> bytes | None:
        """What is stored beside it."""


class Writer:
    """Appends to the newest segment; used by one thread at a time.

    After an OSError nothing is known about what was written: the writer must not be used again.
    """

    def __init__(
        self,
        files: Files,
        folder: Path,
        signer: Signer,
        state: State,
        watermark: Watermark,
        *,
        segment_bytes: int,
    ) -> None:
        """Continue the newest segment, or begin a new one. Raises OSError."""
        self._files = files
        self._folder = folder
        self._signer = signer
        self._watermark = watermark
        self._size = segment_bytes
        self.head = state.head
        self.tree = state.tree
        self.last_batch = 0
        self.last_sync_us = 0
        self.last_commit_s = monotonic()
        self._commit_room = FRAME_BYTES + len(state.head.note) + _NOTE_GROWTH
        self.largest = segment_bytes - HEADER_BYTES - RESERVE_BYTES - self._commit_room
        """The bytes of frames that fit into an empty segment."""
        self._descriptor = -1
        self._offset = 0
        self._spare = Spare(files, folder, segment_bytes)
        try:
            self._open_segment(state.active)
            watermark.move(self.head.size, self.head.root)
            watermark.sync()  # no closed mark may survive the next batch
        except BaseException:
            self.abandon()
            raise

    @property
    def spare_missing(self) -> bool:
        """Whether the next segment could not be made."""
        return self._spare.missing

    @property
    def spare_ready(self) -> bool:
        """Whether the next segment can be begun at once."""
        return self._spare.ready

    def retry_spare(self) -> None:
        """Try again to make the next segment."""
        self._spare.retry()

    def commit(self, items: Sequence[Item], size: int, *, reserved: bool = False) -> list[bytes]:
        """Write a batch and return the leaf hashes when it is durable.

        size      the bytes of its frames, see `frames_size`; at most `largest`
        reserved  may use the end of the segment that is kept for such records

        Raises NoRoom, with nothing written, or OSError.
        """
        self._make_room(size + self._commit_room, reserved=reserved)
        leaves, frames = self._frames(items)
        root = self.tree.frontier.root()
        checkpoint = Checkpoint(self._signer.name, self.tree.size, root)
        note = self._signer.sign(str(checkpoint)).encode()
        self._append(frames, COMMIT, note)
        self.head = Head(checkpoint.size, root, note)
        self.last_batch = len(items)
        self._watermark.move(checkpoint.size, root)
        return leaves

    def close(self) -> None:
        """Leave the mark of a clean stop. Raises OSError."""
        try:
            self._watermark.move(self.head.size, self.head.root, closed=True)
            self._watermark.sync()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close all files as they are."""
        for close in (
            self._spare.close,
            self._watermark.close,
            lambda: self._files.close(self._descriptor),
        ):
            with suppress(OSError):  # a close that fails leaves nothing to be done
                close()

    def _frames(self, items: Sequence[Item]) -> tuple[list[bytes], list[bytes]]:
        leaves, places, frames = [], [], []
        place = place_of(self._ordinal, self._offset)
        for item in items:
            raw, payload = item.raw, item.payload
            leaves.append(sha256(b"\x00" + raw).digest())
            places.append(place)
            frames.append(frame(place, ENTRY, raw))
            place += FRAME_BYTES + len(raw)
            if payload is not None:
                frames.append(frame(place, PAYLOAD, payload))
                place += FRAME_BYTES + len(payload)
        self.tree.extend(leaves, places)
        return leaves, frames

    def _append(self, frames: list[bytes], kind: int, payload: bytes) -> None:
        """Write frames and a last one, and sync them."""
        end = self._offset + sum(map(len, frames))
        frames.append(frame(place_of(self._ordinal, end), kind, payload))
        data = b"".join(frames)
        begun = perf_counter_ns()
        self._files.write_durably(self._descriptor, data, self._offset)
        self.last_sync_us = (perf_counter_ns() - begun) // 1000
        self.last_commit_s = monotonic()
        self._offset += len(data)

    def _make_room(self, needed: int, *, reserved: bool) -> None:
        if self._offset + needed <= self._size - RESERVE_BYTES:
            return
        try:
            spare = self._spare.take()
        except OSError as error:
            # The seal needs as much room as a commit.
            if reserved and self._offset + needed + self._commit_room <= self._size:
                return
            raise NoRoom("the disk has no room for another segment") from error
        self._append([], SEAL, self.head.note)
        self._begin(*spare)

    def _open_segment(self, active: int | None) -> None:
        if active is None:
            self._begin(*self._spare.take())
        else:
            path = self._folder / name_of(self._ordinal)
            self._descriptor, self._offset = self._files.open(path), active

    def _begin(self, descriptor: int, path: Path) -> None:
        """Turn the spare into the next segment."""
        tree, signer = self.tree, self._signer
        ordinal, first = len(tree.firsts), self.head.size
        header = Header(
            signer.name, signer.key_id, ordinal, first, tree.frontier.nodes, self.head.note
        )
        self._files.write_durably(descriptor, bytes(header), 0)
        self._files.rename(path, self._folder / name_of(ordinal))
        self._files.sync_folder(self._folder)
        self._spare.taken()
        before, self._descriptor, self._offset = self._descriptor, descriptor, HEADER_BYTES
        if before >= 0:
            self._files.close(before)
        if ordinal:
            self._finish(ordinal - 1)
        tree.firsts.append(first)

    def _finish(self, ordinal: int) -> None:
        """Care for a segment that nothing is added to: all of this can be done without."""
        with suppress(OSError):
            self._files.protect(self._folder / name_of(ordinal))
            write_blocks(self._files, self._folder, self.tree, ordinal)

    @property
    def _ordinal(self) -> int:
        return len(self.tree.firsts) - 1


def frames_size(raw: bytes, payload: bytes | None) -> int:
    """The bytes that an entry and its payload take in a segment."""
    beside = 0 if payload is None else FRAME_BYTES + len(payload)
    return FRAME_BYTES + len(raw) + beside

"""Recovery: from the files on disk to the state of the log, or a refusal.

The state is that of the last good commit. Only one batch is ever under way, so at most one signed
commit can lie behind it when the machine stopped in the middle: that is a torn tail, which nobody
was told about. It stays where it is, and the log goes on in a new segment. Two or more, or
anything that contradicts a header, a signature or the watermark, is damage: the log refuses.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from audit.checkpoint import Checkpoint
from audit.errors import (
    BadSignature,
    LogDamaged,
    LogRolledBack,
    MalformedCheckpoint,
    MalformedNote,
)
from audit.files import Files, write_all
from audit.merkle import Frontier, hash_leaf
from audit.note import Verifier
from audit.reader import Reader
from audit.segments import (
    COMMIT,
    ENTRY,
    HEADER_BYTES,
    MOST_BATCH_BYTES,
    SEAL,
    Header,
    claim,
    name_of,
    ordinal_of,
    place_of,
    read_frames,
    read_header,
)
from audit.tree import Tree, read_blocks, write_blocks

_SIGNATURE_MARK = "\n\n— ".encode()


@dataclass(frozen=True, slots=True)
class Head:
    """The log at a commit; `note` is the signed checkpoint."""

    size: int
    root: bytes
    note: bytes


@dataclass(frozen=True, slots=True)
class Tail:
    """What lay behind the last good commit: `length` bytes from `place` on, and their SHA-256."""

    place: str
    length: int
    digest: str


@dataclass(frozen=True, slots=True)
class State:
    """A log that may be written to.

    active  the offset at which the newest segment goes on; None when a new one must begin
    tail    a torn tail, left where it is
    """

    head: Head
    tree: Tree
    active: int | None
    tail: Tail | None


@dataclass(frozen=True, slots=True)
class _Scan:
    """How far a segment is good: its last batch lies from `begin` to `end`.

    `bad` is where the first frame lies that is not; between, whole entries of a batch may lie.
    """

    note: bytes
    begin: int
    end: int
    bad: int
    sealed: bool = False


def recover(files: Files, folder: Path, verifier: Verifier) -> State | None:
    """Read the log as a start finds it; None when there is none yet.

    The last batch is written and synced once more: after a failed sync, or the death of the
    process before one, its pages may be in the cache alone.

    Raises LogDamaged or OSError.
    """
    headers = _read_headers(files, folder, verifier)
    if not headers:
        return None
    newest = headers[-1]
    tree = _grow(files, folder, headers)
    name = name_of(newest.ordinal)
    descriptor = files.open(folder / name)
    try:
        files.forget(descriptor)
        scan = _scan(files, descriptor, newest, tree)
        head = _head(scan.note, tree, verifier, place=name)
        tail = _torn_tail(files, descriptor, name, scan, head, verifier)
        if not scan.sealed:
            last_batch = files.read(descriptor, scan.end - scan.begin, scan.begin)
            write_all(files, descriptor, last_batch, scan.begin)
            files.sync(descriptor)
    finally:
        files.close(descriptor)
    return State(head, tree, None if scan.sealed or tail else scan.end, tail)


def recover_to(files: Files, folder: Path, verifier: Verifier, head: Head) -> State:
    """Read the log up to `head`, which was durable before writing failed.

    What lies behind is abandoned: nobody was told about it. Raises LogDamaged or OSError.
    """
    headers = _read_headers(files, folder, verifier)
    if not headers:
        raise LogDamaged("the segments are gone", place=str(folder.name))
    newest = headers[-1]
    tree = _grow(files, folder, headers)
    descriptor = files.open(folder / name_of(newest.ordinal))
    try:
        files.forget(descriptor)
        _scan(files, descriptor, newest, tree, stop=head.size)
    finally:
        files.close(descriptor)
    if (tree.size, tree.frontier.root()) != (head.size, head.root):
        raise LogDamaged("acknowledged entries cannot be read", place=name_of(newest.ordinal))
    return State(head, tree, None, None)


def check_contains(reader: Reader, head: Head, size: int, root: bytes, *, source: str) -> None:
    """Check that the log still begins with the `size` entries that `source` knows.

    Raises LogRolledBack when it is shorter, or began otherwise.
    """
    if size > head.size:
        raise LogRolledBack(
            f"{head.size} entries, but {source} knows {size}", found=head.size, expected=size
        )
    found = head.root if size == head.size else reader.frontier(size, head.size).root()
    if found != root:
        raise LogRolledBack(
            f"the first {size} entries are not those that {source} knows",
            found=head.size,
            expected=size,
        )


def _read_headers(files: Files, folder: Path, verifier: Verifier) -> list[Header]:
    """Read all headers, each with a good signature over the log before it."""
    ordinals = [found for name in files.names(folder) if (found := ordinal_of(name)) is not None]
    headers: list[Header] = []
    for expected, ordinal in enumerate(ordinals):
        name = name_of(expected)
        if ordinal != expected:
            raise LogDamaged("the segment is missing", place=name)
        header = read_header(files, folder, ordinal)
        _check_header(header, verifier, place=name)
        if header.first < (headers[-1].first if headers else 0):
            raise LogDamaged("begins before the segment before it", place=name)
        headers.append(header)
    if headers and headers[0].first:
        raise LogDamaged("does not begin with entry 0", place=name_of(0))
    return headers


def _check_header(header: Header, verifier: Verifier, *, place: str) -> None:
    if (header.origin, header.key_id) != (verifier.name, verifier.key_id):
        raise LogDamaged(f"belongs to {header.origin!r} or another key", place=place)
    try:
        root = Frontier(header.first, header.frontier).root()
    except ValueError as error:
        raise LogDamaged("the header contradicts itself", place=place) from error
    _check_note(header.note, Checkpoint(header.origin, header.first, root), verifier, place=place)


def _check_note(note: bytes, expected: Checkpoint, verifier: Verifier, *, place: str) -> None:
    try:
        signed = Checkpoint.parse(verifier.open(note))
    except (BadSignature, MalformedNote, MalformedCheckpoint) as error:
        raise LogDamaged(f"the signed checkpoint: {error}", place=place) from error
    if signed != expected:
        raise LogDamaged("the signed checkpoint contradicts the entries", place=place)


def _grow(files: Files, folder: Path, headers: Sequence[Header]) -> Tree:
    """The tree before the newest segment, from what is kept beside finished segments."""
    tree = _try_blocks(files, folder, headers)
    if tree is not None:
        return tree
    tree = Tree()
    for header, following in pairwise(headers):
        tree.firsts.append(header.first)
        descriptor = files.open(folder / name_of(header.ordinal))
        try:
            _scan(files, descriptor, header, tree, stop=following.first)
        finally:
            files.close(descriptor)
        if (tree.size, tree.frontier.nodes) != (following.first, following.frontier):
            raise LogDamaged(
                "the entries do not lead to the next segment", place=name_of(header.ordinal)
            )
        with suppress(OSError):  # derived: the next start reads the segment again
            write_blocks(files, folder, tree, header.ordinal)
    tree.firsts.append(headers[-1].first)
    return tree


def _try_blocks(files: Files, folder: Path, headers: Sequence[Header]) -> Tree | None:
    tree = Tree()
    for header, following in pairwise(headers):
        tree.firsts.append(header.first)
        packed = read_blocks(files, folder, header.ordinal)
        if packed is None or not tree.load(packed, following.first, following.frontier):
            return None
    tree.firsts.append(headers[-1].first)
    return tree if tree.agrees() else None


def _scan(
    files: Files, descriptor: int, header: Header, tree: Tree, *, stop: int | None = None
) -> _Scan:
    """Add a segment's batches to the tree, up to `stop` entries or the first frame that is bad."""
    place = name_of(header.ordinal)
    scan = _Scan(header.note, HEADER_BYTES, HEADER_BYTES, HEADER_BYTES)
    if tree.size == stop:
        return scan
    batch: list[tuple[bytes, int]] = []
    offset = HEADER_BYTES
    for frame in read_frames(files, descriptor, header.ordinal):
        if frame.type == ENTRY:
            batch.append((hash_leaf(frame.payload), place_of(header.ordinal, offset)))
        elif frame.type == COMMIT:
            _add(batch, tree)
            _check_commit(frame.payload, header.origin, tree, place=f"{place} at byte {offset}")
            scan = _Scan(frame.payload, scan.end, frame.end, frame.end)
            if tree.size == stop:
                return scan
        elif frame.type == SEAL:
            if batch or frame.payload != scan.note:
                raise LogDamaged("seals something else", place=f"{place} at byte {offset}")
            return replace(scan, end=frame.end, bad=frame.end, sealed=True)
        offset = frame.end
    return replace(scan, bad=offset)


def _add(batch: list[tuple[bytes, int]], tree: Tree) -> None:
    tree.extend([leaf for leaf, _ in batch], [place for _, place in batch])
    batch.clear()


def _check_commit(note: bytes, origin: str, tree: Tree, *, place: str) -> None:
    """The text alone: whoever could change it together with the entries cannot sign the last."""
    text = str(Checkpoint(origin, tree.size, tree.frontier.root())).encode()
    if not note.startswith(text + b"\n"):
        raise LogDamaged("a commit contradicts the entries before it", place=place)


def _head(note: bytes, tree: Tree, verifier: Verifier, *, place: str) -> Head:
    root = tree.frontier.root()
    _check_note(note, Checkpoint(verifier.name, tree.size, root), verifier, place=place)
    return Head(tree.size, root, note)


def _torn_tail(
    files: Files, descriptor: int, name: str, scan: _Scan, head: Head, verifier: Verifier
) -> Tail | None:
    rest = files.read(descriptor, files.size(descriptor) - scan.end, scan.end).rstrip(b"\0")
    if not rest:
        return None
    place = f"{name} at byte {scan.end}"
    commits = {size for size in _signed_sizes(rest, verifier) if size > head.size}
    if len(commits) > 1:
        raise LogDamaged(f"{len(commits)} signed commits lie behind the damage", place=place)
    ends_batch, end = claim(rest[scan.bad - scan.end :])
    if ends_batch and len(rest) > scan.bad - scan.end + end:
        raise LogDamaged("a commit is altered, and bytes lie behind it", place=place)
    if scan.sealed:
        raise LogDamaged("bytes lie behind the seal", place=place)
    if len(rest) > MOST_BATCH_BYTES:
        raise LogDamaged("more bytes than a batch lie behind the last commit", place=place)
    return Tail(place, len(rest), sha256(rest).hexdigest())


def _signed_sizes(raw: bytes, verifier: Verifier) -> set[int]:
    """The sizes in all signed checkpoints of this log, wherever they lie in `raw`."""
    sizes = set()
    begin = f"{verifier.name}\n".encode()
    at = raw.find(begin)
    while at >= 0:
        mark = raw.find(_SIGNATURE_MARK, at)
        end = raw.find(b"\n", mark + len(_SIGNATURE_MARK)) if mark >= 0 else -1
        with suppress(BadSignature, MalformedNote, MalformedCheckpoint):
            if end >= 0:
                sizes.add(Checkpoint.parse(verifier.open(raw[at : end + 1])).size)
        at = raw.find(begin, at + 1)
    return sizes

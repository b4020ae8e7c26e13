"""Logs on disk to be damaged, copied and opened again."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.files import Files, OsFiles
from audit.note import Signer
from audit.store import Store
from audit.writer import frames_size

ORIGIN = "gw.example/audit"
SIGNER = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))
SEGMENT = 128 * 1024


@dataclass(frozen=True)
class Item:
    """An entry of any bytes, as the writer takes it."""

    raw: bytes
    payload: bytes | None = None


def open_store(
    folder: Path,
    *,
    signer: Signer = SIGNER,
    files: Files | None = None,
    published: bytes | None = None,
) -> Store:
    """Open a log below the level of records."""
    return Store.open(
        files or OsFiles(), folder, signer, segment_bytes=SEGMENT, published=published
    )


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    """A store that ends as a process ends that is killed: nothing is closed properly."""
    store = open_store(folder)
    try:
        yield store
    finally:
        store.abandon()


def commit(store: Store, *raw: bytes) -> list[bytes]:
    """Write one batch and return its leaves."""
    items = [Item(each) for each in raw]
    return store.writer.commit(items, sum(frames_size(item.raw, None) for item in items))


def leaves(store: Store) -> list[bytes]:
    """All durable leaves, read back."""
    return [entry.leaf for entry in store.reader.entries(0, store.head.size)]


def used(segment: Path) -> int:
    """How many bytes of a segment hold something."""
    return len(segment.read_bytes().rstrip(b"\0"))


def flip(path: Path, offset: int, mask: int = 1) -> None:
    """Change one byte in place."""
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ mask]))


def copy(folder: Path, to: Path) -> Path:
    """A copy that replaces what was there."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to)
    return to

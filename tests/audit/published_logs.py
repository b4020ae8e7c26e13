"""Published logs for tests, written plainly and in one go, so that any content can be signed."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.checkpoint import Checkpoint
from audit.layout import CHECKPOINT, WIDTH, Tile, join_bundle
from audit.merkle import hash_leaf, root_of
from audit.note import Signer

ORIGIN = "log.example/a"
SIGNER = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"k" * 32))
THIEF = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"t" * 32))


def make_entry(seq: int, *, boot: int = 0, ts: int | None = None, note: str = "") -> bytes:
    """One canonical entry; its random parts follow from its place."""
    body = {
        "boot": f"{boot:016x}",
        "id": hashlib.sha256(b"%d.%d" % (boot, seq)).hexdigest()[:32],
        "kind": "decision",
        "note": note,
        "seq": seq,
        "ts": (boot << 32) + seq if ts is None else ts,
        "v": 1,
    }
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def make_entries(size: int, *, per_boot: int = 100) -> list[bytes]:
    """Entries of several boots."""
    return [make_entry(n % per_boot, boot=n // per_boot) for n in range(size)]


def write_files(folder: Path, entries: Sequence[bytes]) -> bytes:
    """Write bundles and tiles in the place of those that are there; return the root."""
    shutil.rmtree(folder / "tile", ignore_errors=True)
    for start in range(0, len(entries), WIDTH):
        part = entries[start : start + WIDTH]
        put(folder, Tile(None, start // WIDTH, len(part)).path, join_bundle(part))
    level, hashes = 0, [hash_leaf(entry) for entry in entries]
    root = root_of(hashes)
    while hashes:
        for start in range(0, len(hashes), WIDTH):
            some = hashes[start : start + WIDTH]
            put(folder, Tile(level, start // WIDTH, len(some)).path, b"".join(some))
        whole = len(hashes) // WIDTH * WIDTH
        hashes = [root_of(hashes[start : start + WIDTH]) for start in range(0, whole, WIDTH)]
        level += 1
    return root


def write_log(folder: Path, entries: Sequence[bytes], signer: Signer = SIGNER) -> Path:
    """Write a whole published log."""
    root = write_files(folder, entries)
    put(folder, CHECKPOINT, signed(len(entries), root, signer).encode())
    return folder


def signed(size: int, root: bytes, signer: Signer = SIGNER) -> str:
    """A signed checkpoint."""
    return signer.sign(str(Checkpoint(signer.name, size, root)))


def put(folder: Path, path: str, data: bytes) -> None:
    """Write a file anew, never into one that is linked elsewhere."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.write_bytes(data)


def copy_log(folder: Path, to: Path) -> Path:
    """A copy whose files are links: good for `put` and for removing, not for writing into."""
    shutil.copytree(folder, to, copy_function=os.link)
    return to

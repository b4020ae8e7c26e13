"""A second reader of published logs, written from the specifications alone.

Sources: c2sp.org/signed-note, /tlog-checkpoint, /tlog-tiles, /tlog-proof; RFC 6962, section 2.1.
It imports nothing of `audit` and follows the recursive definitions where `audit` walks bits and
levels: two programs that agree are hardly wrong in the same way.
"""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Rejected(Exception):
    """The log, note or proof is not acceptable; the message says where and why."""


@dataclass(frozen=True)
class Head:
    """What a checkpoint states."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True)
class PublishedLog:
    """A log that has been read and verified completely."""

    head: Head
    entries: list[bytes]


def read_log(folder: Path, vkey: str, origin: str) -> PublishedLog:
    """Read the log under `folder` from its first entry to its last and verify all of it."""
    head = parse_checkpoint(open_note((folder / "checkpoint").read_bytes(), vkey))
    if head.origin != origin:
        raise Rejected(f"checkpoint: origin {head.origin!r}")
    entries = [entry for n in range(-(-head.size // 256)) for entry in _bundle(folder, head, n)]
    hashes = [leaf_hash(entry) for entry in entries]
    if tree_hash(hashes) != head.root:
        raise Rejected("checkpoint: the entries give another root")
    level, below = 0, hashes
    while below:
        for n in range(-(-len(below) // 256)):
            expected = below[n * 256 : (n + 1) * 256]
            path = tile_path(str(level), n, len(expected))
            if _resource(folder, str(level), n, len(expected))[: 32 * len(expected)] != b"".join(
                expected
            ):
                raise Rejected(f"{path}: differs from what lies below")
        # "at level 1 and above, each hash is the Merkle Tree Hash of a full tile below"
        below = [tree_hash(below[n : n + 256]) for n in range(0, len(below) - 255, 256)]
        level += 1
    return PublishedLog(head, entries)


def tile_path(level: str, n: int, width: int = 256) -> str:
    """Write `tile/<L>/<N>[.p/<W>]`; a bundle has the level `entries`."""
    groups = []
    digits = str(n).rjust(3 * -(-len(str(n)) // 3), "0")
    for start in range(0, len(digits), 3):
        last = start + 3 == len(digits)
        groups.append(digits[start : start + 3] if last else "x" + digits[start : start + 3])
    return f"tile/{level}/{'/'.join(groups)}" + (f".p/{width}" if width < 256 else "")


def open_note(note: bytes, vkey: str) -> str:
    """Return the text of a note signed by the Ed25519 key `vkey`."""
    name, key_id, public = parse_vkey(vkey)
    try:
        whole = note.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Rejected("note: not UTF-8") from error
    if any(ord(character) < 0x20 and character != "\n" for character in whole):
        raise Rejected("note: control character")
    cut = whole.rfind("\n\n")
    if cut < 0 or not whole.endswith("\n"):
        raise Rejected("note: no signatures")
    text, verified = whole[: cut + 1], False
    for line in whole[cut + 2 : -1].split("\n"):
        fields = line.split(" ")
        if len(fields) != 3 or fields[0] != "\u2014" or not fields[1] or "+" in fields[1]:
            raise Rejected("note: malformed signature line")
        raw = _base64(fields[2])
        if (fields[1], raw[:4]) != (name, key_id):
            continue
        try:
            public.verify(raw[4:], text.encode())
        except InvalidSignature as error:
            raise Rejected("note: the signature does not verify") from error
        verified = True
    if not verified:
        raise Rejected("note: not signed by this key")
    return text


def parse_vkey(vkey: str) -> tuple[str, bytes, Ed25519PublicKey]:
    """Read `<name>+<hex key id>+<base64(0x01 || public key)>`."""
    name, _, rest = vkey.partition("+")
    hex_id, _, encoded = rest.partition("+")
    typed = _base64(encoded)
    key_id = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
    if not name or len(typed) != 33 or typed[0] != 1 or hex_id != key_id.hex():
        raise Rejected("vkey: not an Ed25519 verifier key")
    return name, key_id, Ed25519PublicKey.from_public_bytes(typed[1:])


def parse_checkpoint(text: str) -> Head:
    """Read origin, size and root."""
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() != "" or "" in lines:
        raise Rejected("checkpoint: fewer than three non-empty lines")
    if not (lines[1].isascii() and lines[1].isdigit()) or str(int(lines[1])) != lines[1]:
        raise Rejected("checkpoint: size")
    root = _base64(lines[2])
    if len(root) != 32:
        raise Rejected("checkpoint: root")
    return Head(lines[0], int(lines[1]), root)


def verify_proof(text: str, entry: bytes, vkey: str, origin: str) -> Head:
    """Verify a c2sp.org/tlog-proof@v1 for `entry`."""
    before, _, note = text.partition("\n\n")
    lines = before.split("\n")
    if lines.pop(0) != "c2sp.org/tlog-proof@v1":
        raise Rejected("proof: header")
    if lines and lines[0].startswith("extra "):
        _base64(lines.pop(0)[6:])
    if not lines or not lines[0].startswith("index ") or str(int(lines[0][6:])) != lines[0][6:]:
        raise Rejected("proof: index")
    index, path = int(lines[0][6:]), [_base64(line) for line in lines[1:]]
    head = parse_checkpoint(open_note(note.encode(), vkey))
    if head.origin != origin:
        raise Rejected(f"proof: origin {head.origin!r}")
    if root_by_path(leaf_hash(entry), index, head.size, path) != head.root:
        raise Rejected("proof: leads to another root")
    return head


def leaf_hash(entry: bytes) -> bytes:
    """MTH({d(0)}) = SHA-256(0x00 || d(0))."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_hash(leaves: list[bytes]) -> bytes:
    """MTH over leaf hashes, as RFC 6962 defines it."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = _split(len(leaves))
    return node_hash(tree_hash(leaves[:k]), tree_hash(leaves[k:]))


def root_by_path(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that an audit path leads to: PATH(m, D[n]) read backwards."""
    if not 0 <= index < size or any(len(step) != 32 for step in path):
        raise Rejected("proof: index or hash")
    if size == 1:
        if path:
            raise Rejected("proof: too long")
        return leaf
    if not path:
        raise Rejected("proof: too short")
    k = _split(size)
    if index < k:
        return node_hash(root_by_path(leaf, index, k, path[:-1]), path[-1])
    return node_hash(path[-1], root_by_path(leaf, index - k, size - k, path[:-1]))


def roots_by_consistency(
    old: int, new: int, path: list[bytes], old_root: bytes
) -> tuple[bytes, bytes]:
    """Both roots that a consistency proof leads to: PROOF(m, D[n]) read backwards."""
    if not 0 < old <= new:
        raise Rejected("proof: sizes")
    rest = list(path)
    roots = _subproof(old, new, rest, old_root, whole=True)
    if rest:
        raise Rejected("proof: too long")
    return roots


def _subproof(
    m: int, n: int, rest: list[bytes], old_root: bytes, *, whole: bool
) -> tuple[bytes, bytes]:
    if m == n:
        node = old_root if whole else _next(rest)
        return node, node
    k = _split(n)
    if m <= k:
        right = _next(rest)
        old, new = _subproof(m, k, rest, old_root, whole=whole)
        return old, node_hash(new, right)
    left = _next(rest)
    old, new = _subproof(m - k, n - k, rest, old_root, whole=False)
    return node_hash(left, old), node_hash(left, new)


def _next(rest: list[bytes]) -> bytes:
    if not rest:
        raise Rejected("proof: too short")
    return rest.pop()


def _split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def _bundle(folder: Path, head: Head, n: int) -> list[bytes]:
    width = min(256, head.size - n * 256)
    raw, entries, at = _resource(folder, "entries", n, width), [], 0
    while at < len(raw):
        end = at + 2 + int.from_bytes(raw[at : at + 2], "big")
        if len(raw) < max(end, at + 2):
            raise Rejected(f"{tile_path('entries', n, width)}: ends within an entry")
        entries.append(raw[at + 2 : end])
        at = end
    if len(entries) < width:
        raise Rejected(f"{tile_path('entries', n, width)}: {len(entries)} entries")
    return entries[:width]


def _resource(folder: Path, level: str, n: int, width: int) -> bytes:
    """A partial tile, or the full one when the partial one has been deleted."""
    for path in (tile_path(level, n, width), tile_path(level, n)):
        if (folder / path).is_file():
            return (folder / path).read_bytes()
    raise Rejected(f"{tile_path(level, n, width)}: missing")


def _base64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Rejected("not base64") from error
    if base64.b64encode(raw).decode() != text:
        raise Rejected("not the base64 of RFC 4648, section 4")
    return raw

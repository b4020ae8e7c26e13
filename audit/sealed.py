r"""Erasable payloads: arguments and results that can be destroyed without touching the log.

The log holds a keyed commitment in the leaf and ciphertext beside it. Both keys of an entry come
from its subject's key by HKDF-Expand with SHA-512 (RFC 5869, section 2.3) over the entry's id:

    k_e || k_c = HKDF-Expand(subject key, "passavant-seal-v1\n" || entry id, 64)
    commit     = HMAC-SHA256(k_c, plaintext)
    payload    = 0x01 || tag (16) || key check (8) || AES-256-GCM(k_e, commit[:12], plaintext)

The nonce follows from the plaintext, so a second payload sealed for one entry cannot repeat it.
A subject has one key a month (of the entry's id, UTC), random, in a file of its own wrapped by a
key-encryption key. To erase is to destroy these files: ciphertext and commitments become noise,
leaves and proofs stay as they are. To disclose one entry is to hand out its plaintext and k_c.
"""

import hmac
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256, sha512
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.errors import SealBroken, SubjectErased
from audit.files import sync_folder
from audit.value import value_type

KEY_BYTES = 32

_VERSION = b"\x01"
_TAG_BYTES = 16
_CHECK_BYTES = 8
_NONCE_BYTES = 12
_HEAD_BYTES = len(_VERSION) + _TAG_BYTES + _CHECK_BYTES
_INFO = b"passavant-seal-v1\n"
_MOST_CACHED = 10_000
_SHA256_BLOCK, _SHA512_BLOCK = 64, 128
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


@value_type
class Sealed:
    """A sealed payload.

    commit   hex of the keyed commitment; belongs into the entry's fields
    length   bytes of the plaintext; belongs there too
    payload  what is stored beside the entry
    """

    commit: str
    length: int
    payload: bytes


class _SubjectKey:
    """One key; what HMAC-SHA512 does with a key alone is done once.

    head  version, tag and key check: how every payload under it begins
    """

    __slots__ = ("_inner", "_outer", "head")

    def __init__(self, key: bytes, head: bytes) -> None:
        padded = key.ljust(_SHA512_BLOCK, b"\0")
        self._inner = sha512(padded.translate(_INNER))
        self._outer = sha512(padded.translate(_OUTER))
        self.head = head

    def entry_keys(self, entry_id: str) -> tuple[bytes, bytes]:
        """k_e and k_c of one entry."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(_INFO + entry_id.encode() + b"\x01")
        outer.update(inner.digest())
        expanded = outer.digest()
        return expanded[:KEY_BYTES], expanded[KEY_BYTES:]


class Vault:
    """The subjects' keys: files of their own (0600), outside the log and outside its backups."""

    def __init__(self, folder: Path, kek: bytes) -> None:
        self._folder = folder
        self._wrap = AESGCM(kek)
        self._name_key = hmac.digest(kek, b"passavant-subject-names-v1", "sha256")
        self._cache: dict[tuple[str, str], _SubjectKey] = {}

    @classmethod
    def open(cls, folder: Path, kek: bytes) -> Self:
        """Open the folder of keys, making it (0700) when it is not there.

        kek  the key-encryption key, 32 bytes; kept elsewhere
        """
        if len(kek) != KEY_BYTES:
            raise ValueError(f"a key-encryption key has {KEY_BYTES} bytes")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(folder, kek)

    def seal(self, subject: str, entry_id: str, plaintext: bytes) -> Sealed:
        """Seal `plaintext` for one entry; the subject's first seal of a month writes a key file.

        Raises OSError when that file cannot be made durable.
        """
        subject_key = self._key_for(subject, _month(entry_id))
        k_e, k_c = subject_key.entry_keys(entry_id)
        commit = _hmac(k_c, plaintext)
        cipher = AESGCM(k_e).encrypt(commit[:_NONCE_BYTES], plaintext, None)
        return Sealed(commit.hex(), len(plaintext), subject_key.head + cipher)

    def open_payload(self, entry_id: str, sealed: Sealed) -> bytes:
        """Return the plaintext, checked against the commitment in the leaf.

        Raises SubjectErased or SealBroken.
        """
        k_e, k_c = self._keys_of(entry_id, sealed)
        nonce = bytes.fromhex(sealed.commit)[:_NONCE_BYTES]
        try:
            plaintext = AESGCM(k_e).decrypt(nonce, sealed.payload[_HEAD_BYTES:], None)
        except InvalidTag:
            raise SealBroken(f"the payload of entry {entry_id} is altered") from None
        if not verify_commitment(k_c, plaintext, sealed.commit):
            raise SealBroken(f"the payload of entry {entry_id} is not what was committed to")
        return plaintext

    def disclose(self, entry_id: str, sealed: Sealed) -> bytes:
        """Return k_c, with which a stranger can check the plaintext of this one entry.

        Raises SubjectErased or SealBroken.
        """
        return self._keys_of(entry_id, sealed)[1]

    def erase(self, subject: str, *, but: Iterable[str] = ()) -> int:
        """Destroy the keys of a subject: overwrite, sync, unlink. Returns how many there were.

        but  ids of entries that are to stay readable: what they are sealed with is kept

        Raises OSError; what is erased already stays erased.
        """
        tag = self._tag(subject)
        kept = {self._file(tag, _month(entry_id)) for entry_id in but}
        for name in tuple(self._cache):
            if name[0] == subject:
                self._cache.pop(name, None)
        return self._destroy(set(self._folder.glob(f"{tag.hex()}-*")) - kept)

    def erase_all(self, *, but: Iterable[tuple[str, str]]) -> int:
        """Destroy every key with which none of these (subject, entry id) is sealed.

        What a crash left half written goes too. Returns and raises as `erase`.
        """
        kept = {self._file(self._tag(subject), _month(entry_id)) for subject, entry_id in but}
        self._cache.clear()
        return self._destroy(set(self._folder.iterdir()) - kept)

    def _destroy(self, files: Iterable[Path]) -> int:
        doomed = sorted(files)
        for file in doomed:
            _overwrite(file)
            file.unlink()
        if doomed:
            sync_folder(self._folder)
        return len(doomed)

    def _keys_of(self, entry_id: str, sealed: Sealed) -> tuple[bytes, bytes]:
        head = sealed.payload[:_HEAD_BYTES]
        if len(head) < _HEAD_BYTES or not head.startswith(_VERSION):
            raise SealBroken(f"the payload of entry {entry_id} is not one of this version")
        tag = head[len(_VERSION) :][:_TAG_BYTES]
        subject_key = self._load(self._file(tag, _month(entry_id)), tag)
        if subject_key is None or subject_key.head != head:
            raise SubjectErased(f"the key for entry {entry_id} does not exist any more")
        return subject_key.entry_keys(entry_id)

    def _key_for(self, subject: str, month: str) -> _SubjectKey:
        found = self._cache.get((subject, month))
        if found is not None:
            return found
        tag = self._tag(subject)
        file = self._file(tag, month)
        found = self._load(file, tag) or self._create(file, tag)
        if len(self._cache) >= _MOST_CACHED:
            self._cache.clear()
        self._cache[subject, month] = found
        return found

    def _load(self, file: Path, tag: bytes) -> _SubjectKey | None:
        try:
            wrapped = file.read_bytes()
        except FileNotFoundError:
            return None
        nonce, cipher = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
        try:
            key = self._wrap.decrypt(nonce, cipher, file.name.encode())
        except (InvalidTag, ValueError):
            raise SealBroken(f"{file.name} is not wrapped by this key-encryption key") from None
        return _SubjectKey(key, _head(tag, key))

    def _create(self, file: Path, tag: bytes) -> _SubjectKey:
        key, nonce = os.urandom(KEY_BYTES), os.urandom(_NONCE_BYTES)
        _write_durably(file, nonce + self._wrap.encrypt(nonce, key, file.name.encode()))
        return _SubjectKey(key, _head(tag, key))

    def _tag(self, subject: str) -> bytes:
        """A keyed pseudonym: the folder tells nobody who the subjects are."""
        return hmac.digest(self._name_key, subject.encode(), "sha256")[:_TAG_BYTES]

    def _file(self, tag: bytes, month: str) -> Path:
        return self._folder / f"{tag.hex()}-{month}.key"


def verify_commitment(k_c: bytes, plaintext: bytes, commit: str) -> bool:
    """Check, with a disclosed k_c, that `plaintext` is what the leaf commits to."""
    return hmac.compare_digest(hmac.digest(k_c, plaintext, "sha256").hex(), commit)


def _hmac(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104) under a key of 32 bytes.

    `hmac.digest` lets go of the interpreter lock for each message, however short: several times a
    governed call another thread could take it and keep it.
    """
    padded = key.ljust(_SHA256_BLOCK, b"\0")
    inner = sha256(padded.translate(_INNER) + message).digest()
    return sha256(padded.translate(_OUTER) + inner).digest()


def _head(tag: bytes, key: bytes) -> bytes:
    check = hmac.digest(key, b"passavant-key-check-v1", "sha256")[:_CHECK_BYTES]
    return _VERSION + tag + check


def _month(entry_id: str) -> str:
    """The month in which a UUIDv7 was made, to a minute: its first 48 bits are milliseconds."""
    return _month_of(entry_id[:8])


@lru_cache(maxsize=256)
def _month_of(minute: str) -> str:
    made = datetime.fromtimestamp((int(minute, 16) << 16) / 1000, UTC)
    return f"{made:%Y%m}"


def _write_durably(file: Path, content: bytes) -> None:
    """Create a file that is either whole after a power cut, or not there."""
    part = file.with_suffix(".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.rename(file)
    sync_folder(file.parent)


def _overwrite(file: Path) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, os.urandom(os.fstat(descriptor).st_size))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

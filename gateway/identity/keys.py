"""Signing keys of tokens: Ed25519, each with an id, each in a private file of its own.

The newest key signs; the older ones verify until they are retired, so that tokens outlive a
rotation. Gateways may share a folder of keys: each takes over what another one has made of it. A
file is named `<made>-<id>.pem`: when it was made in seconds, and the key's RFC 7638 thumbprint,
which is recomputed on reading, so that a renamed or exchanged file is noticed.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from audit import canonical
from gateway.identity import private_files
from gateway.identity.errors import KeyFileRefused

_NAME = re.compile(r"([0-9]{10})-([A-Za-z0-9_-]{43})\.pem")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key with its id; `made` in seconds since 1970."""

    id: str
    made: int
    private: Ed25519PrivateKey
    public: Ed25519PublicKey

    @classmethod
    def of(cls, private: Ed25519PrivateKey, made: int) -> Self:
        """Name a key by its thumbprint (RFC 7638; members as in RFC 8037, appendix A.3)."""
        public = private.public_key()
        digest = sha256(canonical.write({"crv": "Ed25519", "kty": "OKP", "x": _x(public)})).digest()
        return cls(_base64url(digest), made, private, public)


class KeySet:
    """The keys of one gateway; opened from its folder and kept in memory.

    shared  whether other gateways have the same folder: what they sign with is looked for there
    """

    def __init__(self, folder: Path, keys: tuple[SigningKey, ...], *, shared: bool = False) -> None:
        self._folder = folder
        self._keys = keys  # oldest first, never empty
        self.shared = shared

    @classmethod
    def open(
        cls,
        folder: Path,
        now_s: int,
        *,
        shared: bool = False,
        generate: Callable[[], Ed25519PrivateKey] = Ed25519PrivateKey.generate,
    ) -> Self:
        """Read every key of `folder`; make the folder and a first key when there is none.

        Raises KeyFileRefused for a file that others may read, or that is not a key of that name.
        """
        private_files.folder(folder)
        paths = _files(folder)
        keys = cls(folder, tuple(map(_load, paths)), shared=shared)
        if not paths:
            keys.rotate(now_s, generate=generate)
        return keys

    @property
    def active(self) -> SigningKey:
        """The key that signs."""
        return self._keys[-1]

    def all(self) -> tuple[SigningKey, ...]:
        """Every key that verifies, newest first."""
        return self._keys[::-1]

    def public(self, key_id: str) -> Ed25519PublicKey | None:
        """The key of that id, if it is one of ours."""
        found = self._find(key_id)
        if found is None and self.shared:
            # Another gateway may have signed with it before it was heard of here.
            with suppress(KeyFileRefused, OSError):
                self.refresh()
            found = self._find(key_id)
        return found

    def jwks(self) -> canonical.Json:
        """Every public key, newest first, as a JWK Set (RFC 7517, RFC 8037)."""
        return {"keys": [_jwk(key) for key in reversed(self._keys)]}

    def refresh(self) -> None:
        """Take over what other gateways have made of the folder.

        Raises KeyFileRefused and OSError; then the keys stay as they were.
        """
        known = {_path(self._folder, key): key for key in self._keys}
        found = tuple(known.get(path) or _load(path) for path in _files(self._folder))
        if not found:
            raise KeyFileRefused("holds no key any more", path=self._folder)
        self._keys = found

    def make(
        self, now_s: int, *, generate: Callable[[], Ed25519PrivateKey] = Ed25519PrivateKey.generate
    ) -> SigningKey:
        """Make a key that nobody knows and nothing uses yet."""
        return SigningKey.of(generate(), now_s)

    def adopt(self, key: SigningKey) -> SigningKey:
        """Keep a new key and let it sign from now on; the others still verify."""
        # Order is by time: two rotations within a second, or a clock set back, keep it.
        made = max([key.made, *(each.made + 1 for each in self._keys)])
        key = replace(key, made=made)
        pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        private_files.create(_path(self._folder, key), pem)
        self._keys = (*self._keys, key)
        return key

    def rotate(
        self, now_s: int, *, generate: Callable[[], Ed25519PrivateKey] = Ed25519PrivateKey.generate
    ) -> SigningKey:
        """Make a key and let it sign from now on."""
        return self.adopt(self.make(now_s, generate=generate))

    def replaced(self, before_s: int) -> tuple[SigningKey, ...]:
        """The keys that were replaced before `before_s`, oldest first."""
        return tuple(
            key
            for key, successor in zip(self._keys, self._keys[1:], strict=False)
            if successor.made < before_s
        )

    def retire(self, before_s: int) -> tuple[SigningKey, ...]:
        """Forget and delete the keys that were replaced before `before_s`; return them.

        Tokens that were verified with them are remembered until the epoch is raised.

        before_s  no token signed earlier may still be valid or renewable: now, less twice the
                  longest life of a token and the skew
        """
        retired = self.replaced(before_s)
        self._keys = self._keys[len(retired) :]
        for key in retired:
            with suppress(FileNotFoundError):  # another gateway was first
                private_files.remove(_path(self._folder, key))
        return retired

    def _find(self, key_id: str) -> Ed25519PublicKey | None:
        return next((key.public for key in self._keys if key.id == key_id), None)


def _files(folder: Path) -> list[Path]:
    """The files of keys, oldest first: drafts begin with a dot."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _load(path: Path) -> SigningKey:
    name = _NAME.fullmatch(path.name)
    if name is None:
        raise KeyFileRefused("not named <made>-<id>.pem", path=path)
    try:
        private = load_pem_private_key(private_files.read(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileRefused("not an unencrypted private key in PEM", path=path) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileRefused("not an Ed25519 key", path=path)
    key = SigningKey.of(private, int(name[1]))
    if key.id != name[2]:
        raise KeyFileRefused("not the key that its name says", path=path)
    return key


def _path(folder: Path, key: SigningKey) -> Path:
    return folder / f"{key.made:010d}-{key.id}.pem"


def _jwk(key: SigningKey) -> canonical.Json:
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": _x(key.public),
        "kid": key.id,
        "use": "sig",
        "alg": "EdDSA",
    }


def _x(public: Ed25519PublicKey) -> str:
    return _base64url(public.public_bytes_raw())


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()

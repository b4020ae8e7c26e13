"""The home: the one folder that a gateway keeps, and what lies where in it.

    keys/log.pem         signs the log            keys/vault.key   wraps the subjects' keys
    keys/tokens/         sign access tokens       keys/subjects/   seal what agents and people said
    keys/state.key       keys digests             keys/operators.json
    log/                 segments: the truth      tiles/           the published log
    state.db             the view of the log      catalogue.lock.json

Folders are 0700 and files 0600; anything looser is refused, never repaired.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gateway.identity import private_files
from gateway.identity.errors import KeyFileRefused


@dataclass(frozen=True, slots=True)
class Home:
    """Paths below one home folder."""

    path: Path

    @classmethod
    def at(cls, path: Path) -> "Home":
        """Use, and make where missing, a home folder. Raises KeyFileRefused."""
        for folder in (path, path / "keys", path / "tiles"):
            private_files.folder(folder)
        return cls(path.resolve())

    @property
    def token_keys(self) -> Path:
        """Folder of the keys that sign access tokens."""
        return self.path / "keys" / "tokens"

    @property
    def subject_keys(self) -> Path:
        """Folder of the keys that seal, one per subject and month."""
        return self.path / "keys" / "subjects"

    @property
    def operators(self) -> Path:
        """The hashed keys of operators."""
        return self.path / "keys" / "operators.json"

    @property
    def log(self) -> Path:
        """Folder of the log's segments."""
        return self.path / "log"

    @property
    def tiles(self) -> Path:
        """Folder of the published log."""
        return self.path / "tiles"

    @property
    def state(self) -> Path:
        """The view of the log."""
        return self.path / "state.db"

    @property
    def search_index(self) -> Path:
        """The derived index of the log."""
        return self.path / "index.db"

    @property
    def lock(self) -> Path:
        """The catalogue lock."""
        return self.path / "catalogue.lock.json"

    def log_key(self) -> Ed25519PrivateKey:
        """The key that signs the log; made at the first start."""
        path = self.path / "keys" / "log.pem"
        if not path.exists():
            key = Ed25519PrivateKey.generate()
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            private_files.create(path, pem)
        loaded = load_pem_private_key(private_files.read(path), password=None)
        if not isinstance(loaded, Ed25519PrivateKey):
            raise KeyFileRefused("not an Ed25519 key", path=path)
        return loaded

    def vault_key(self) -> bytes:
        """32 bytes that wrap the subjects' keys."""
        return self._random("vault.key")

    def digest_key(self) -> bytes:
        """32 bytes that key the digests by which equal arguments are recognised."""
        return self._random("state.key")

    def _random(self, name: str) -> bytes:
        path = self.path / "keys" / name
        if not path.exists():
            private_files.create(path, os.urandom(32))
        key = private_files.read(path)
        if len(key) != 32:
            raise KeyFileRefused("not 32 bytes", path=path)
        return key

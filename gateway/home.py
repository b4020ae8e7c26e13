"""The home: the one folder that a gateway keeps, and what lies where in it.

    keys/log.pem         signs the log            keys/vault.key   wraps the subjects' keys
    keys/tokens/         sign access tokens       keys/subjects/   seal what agents and people said
    keys/state.key       keys digests             keys/operators.json
    keys/sessions/       seal what sessions remember, and end with them: for no backup
    keys/spaces/         seal what is remembered for longer
    keys/refresh.key     tells refresh tokens of ours
    keys/connections/    people's tokens of upstreams, under keys/connections.key
    log/                 segments: the truth      tiles/           the published log
    state.db             the view of the log      catalogue.lock.json
    runs.db              steps of flows, sealed under keys/runs.key

Folders are 0700 and files 0600; anything looser is refused, never repaired.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from audit.errors import Unreadable
from audit.layout import CHECKPOINT
from audit.note import Signer, Verifier
from audit.published import PublishedFolder
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

    @classmethod
    def existing(cls, path: Path) -> "Home":
        """Use a home folder that is there, and make nothing. Raises KeyFileRefused."""
        if not (path / "keys").is_dir():
            raise KeyFileRefused("no home of a gateway", path=path)
        return cls.at(path)

    @property
    def token_keys(self) -> Path:
        """Folder of the keys that sign access tokens."""
        return self.path / "keys" / "tokens"

    @property
    def subject_keys(self) -> Path:
        """Folder of the keys that seal, one per subject and month."""
        return self.path / "keys" / "subjects"

    @property
    def session_keys(self) -> Path:
        """Folder of the keys that seal the memory of sessions, one per session and month."""
        return self.path / "keys" / "sessions"

    @property
    def space_keys(self) -> Path:
        """Folder of the keys that seal memory spaces, one per owner and month."""
        return self.path / "keys" / "spaces"

    @property
    def connections(self) -> Path:
        """Folder of the tokens that people's connections with upstreams are used with."""
        return self.path / "keys" / "connections"

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
    def runs(self) -> Path:
        """What flows have done, step by step."""
        return self.path / "runs.db"

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
        try:
            loaded = load_pem_private_key(private_files.read(path), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyFileRefused("not an unencrypted private key in PEM", path=path) from error
        if not isinstance(loaded, Ed25519PrivateKey):
            raise KeyFileRefused("not an Ed25519 key", path=path)
        return loaded

    def verifier_key(self) -> str:
        """The key (vkey) that verifies the log, under the origin that was published last.

        Raises AuditError when nothing has been published yet, or another key signed it.
        """
        note = PublishedFolder(self.tiles).note(CHECKPOINT)
        if note is None:
            raise Unreadable(CHECKPOINT, "is not there: nothing has been published yet")
        origin = note.split(b"\n", 1)[0].decode("utf-8", "replace")
        signer = Signer(origin, self.log_key())
        Verifier.parse(signer.vkey).open(note)
        return signer.vkey

    def vault_key(self) -> bytes:
        """32 bytes that wrap the subjects' keys."""
        return self._random("vault.key")

    def connection_key(self) -> bytes:
        """32 bytes that encrypt the tokens of connections."""
        return self._random("connections.key")

    def refresh_key(self) -> bytes:
        """32 bytes by which refresh tokens of ours are told from others."""
        return self._random("refresh.key")

    def runs_key(self) -> bytes:
        """32 bytes that seal what flows keep."""
        return self._random("runs.key")

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

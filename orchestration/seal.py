"""Seals: how values of runs lie in the engine's database.

JSON under AES-256-GCM, with a random nonce, in base64, behind the id of its run. Each run has a key
of its own, so that who carries one run can read that run and no other. Which step a value belongs
to stands inside and is compared when it is used (`orchestration.engine`), so that rows cannot be
exchanged.
"""

import base64
import os
from binascii import Error as NotBase64
from collections.abc import Callable
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import NotUnderstood
from gateway.links.jsonrpc import dump, read
from orchestration.errors import SealBroken

NAME = "passavant-seal-v2"
"""Stands beside each row; also what the encryption is bound to, with the run."""

MAX_BYTES = 16 << 20
_NONCE = 12
_MOST_KEYS = 4096

KeyOf = Callable[[str], bytes]
"""The key of a run, 32 bytes. Raises SealBroken where it is not known here."""


def derived(key: bytes) -> KeyOf:
    """The keys of all runs, from the one of their gateway."""

    @lru_cache(_MOST_KEYS)
    def key_of(run: str) -> bytes:
        info = b"passavant run " + run.encode()
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key)

    return key_of


class Seal:
    """Seals and opens values."""

    def __init__(self, key_of: KeyOf) -> None:
        self._key_of = key_of

    def of(self, run: str) -> "Seal":
        """The same for one run, by the key that it has now, also when that is given up later.

        Raises as `KeyOf` does.
        """
        key = self._key_of(run)
        return Seal(lambda _: key)  # the name of the run is bound to what is sealed all the same

    def close(self, run: str, value: object) -> str:
        """The sealed text of a JSON value; tuples become lists.

        Raises TypeError for others, and SealBroken without the run's key.
        """
        nonce = os.urandom(_NONCE)
        words = dump(value)  # type: ignore[arg-type]  # refused by the encoder where it is no JSON
        sealed = AESGCM(self._key_of(run)).encrypt(nonce, words, _bound(run))
        return f"{run}.{base64.b64encode(nonce + sealed).decode()}"

    def open(self, text: str) -> object:
        """The inverse of `close`. Raises SealBroken."""
        run, _, sealed = text.rpartition(".")
        try:
            raw = base64.b64decode(sealed, validate=True)
            cipher = AESGCM(self._key_of(run))
            words = cipher.decrypt(raw[:_NONCE], raw[_NONCE:], _bound(run))
            return read(words, max_bytes=MAX_BYTES)
        except (NotBase64, ValueError, InvalidTag, NotUnderstood) as error:
            raise SealBroken("a stored value cannot be opened") from error


def _bound(run: str) -> bytes:
    return f"{NAME} {run}".encode()

"""Seals: how values of runs lie in the engine's database.

JSON under AES-256-GCM, with a random nonce, in base64. Which run and step a value belongs to stands
inside and is compared when it is used (`orchestration.engine`), so that rows cannot be exchanged.
"""

import base64
import os
from binascii import Error as NotBase64

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import NotUnderstood
from gateway.links.jsonrpc import dump, read
from orchestration.errors import SealBroken

NAME = "passavant-seal-v1"
"""Stands beside each row; also what the encryption is bound to."""

MAX_BYTES = 16 << 20
_NONCE = 12


class Seal:
    """Seals and opens values; `key` has 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def close(self, value: object) -> str:
        """The sealed text of a JSON value; tuples become lists. Raises TypeError for others."""
        nonce = os.urandom(_NONCE)
        words = dump(value)  # type: ignore[arg-type]  # refused by the encoder where it is no JSON
        sealed = self._cipher.encrypt(nonce, words, NAME.encode())
        return base64.b64encode(nonce + sealed).decode()

    def open(self, text: str) -> object:
        """The inverse of `close`. Raises SealBroken."""
        try:
            raw = base64.b64decode(text, validate=True)
            words = self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], NAME.encode())
            return read(words, max_bytes=MAX_BYTES)
        except (NotBase64, ValueError, InvalidTag, NotUnderstood) as error:
            raise SealBroken("a stored value cannot be opened") from error

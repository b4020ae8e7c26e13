"""Signed notes: a text, a blank line, and who signed it (C2SP signed-note, Ed25519 only).

A key is known by its name and four bytes of hash; a verifier key (`vkey`) is written
`<name>+<key id in hex>+<base64 of type byte and public key>`, as in Go's sumdb/note.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.errors import BadSignature, MalformedKey, MalformedNote

_ED25519 = b"\x01"
_KEY_ID_BYTES = 4
_MOST_BYTES = 1_000_000
_MOST_SIGNATURES = 100  # Go's limit; the specification asks for at least 16
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]+")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_VKEY = re.compile(r"(?P<name>[^+]+)\+(?P<id>[0-9a-f]{8})\+(?P<key>[A-Za-z0-9+/]+={0,2})", re.ASCII)


class Signer:
    """A private key with its name."""

    __slots__ = ("_key", "key_id", "name", "vkey")

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        """Raises MalformedKey when `name` is empty or holds spaces, control characters or `+`."""
        public = key.public_key().public_bytes_raw()
        self._key = key
        self.name = _checked_name(name)
        self.key_id = _key_id(name, public)
        self.vkey = f"{name}+{self.key_id.hex()}+{b64encode(_ED25519 + public).decode()}"

    def sign(self, text: str) -> str:
        """Return the whole note: `text`, a blank line, one signature line.

        Raises MalformedNote when `text` does not end in a newline or holds control characters.
        """
        _check_text(text)
        signature = b64encode(self.key_id + self._key.sign(text.encode())).decode()
        return f"{text}\n— {self.name} {signature}\n"


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key that is trusted under a name; it comes from the reader, never from the log."""

    name: str
    key_id: bytes
    _key: Ed25519PublicKey

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """Read a verifier key. Raises MalformedKey."""
        match = _VKEY.fullmatch(vkey)
        if not match:
            raise MalformedKey("expected <name>+<8 hex digits>+<base64>")
        name, key = _checked_name(match["name"]), _decode_key(match["key"])
        if _key_id(name, key).hex() != match["id"]:
            raise MalformedKey(f"the id {match['id']} does not belong to this name and key")
        return cls(name, _key_id(name, key), Ed25519PublicKey.from_public_bytes(key))

    def open(self, note: bytes | str) -> str:
        """Return the text of a note that this key has signed.

        Lines of unknown keys are ignored. Raises MalformedNote, or BadSignature when this key has
        no line or any line of it does not verify.
        """
        text, signatures = _split(note)
        own = [
            raw for name, key_id, raw in signatures if (name, key_id) == (self.name, self.key_id)
        ]
        if not own:
            raise BadSignature(f"the note is not signed by {self.name}+{self.key_id.hex()}")
        try:
            for signature in own:
                self._key.verify(signature, text.encode())
        except InvalidSignature as error:
            raise BadSignature(
                f"the signature of {self.name}+{self.key_id.hex()} does not verify"
            ) from error
        return text


def unverified_text(note: bytes | str) -> str:
    """Return the text of a note without trusting it, such as of one that we have just signed.

    Raises MalformedNote.
    """
    return _split(note)[0]


def _split(note: bytes | str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    whole = _decode(note)
    body, blank, tail = whole.rpartition("\n\n")
    if not blank or not tail.endswith("\n"):
        raise MalformedNote("expected a text, a blank line and signature lines")
    lines = tail[:-1].split("\n")
    if len(lines) > _MOST_SIGNATURES:
        raise MalformedNote(f"more than {_MOST_SIGNATURES} signatures")
    return body + "\n", [_read_signature(line) for line in lines]


def _decode(note: bytes | str) -> str:
    if len(note) > _MOST_BYTES:
        raise MalformedNote(f"longer than {_MOST_BYTES} bytes")
    try:
        # A string is encoded too: lone surrogates have no UTF-8 form and cannot be signed.
        whole = (note.encode() if isinstance(note, str) else note).decode()
    except UnicodeError as error:
        raise MalformedNote("not UTF-8") from error
    if _CONTROL.search(whole):
        raise MalformedNote("holds a control character other than newline")
    return whole


def _read_signature(line: str) -> tuple[str, bytes, bytes]:
    mark, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if mark != "—" or not _NAME.fullmatch(name):
        raise MalformedNote("a signature line is not `— <name> <base64>`")
    try:
        raw = b64decode(encoded, validate=True)
    except (NotBase64, ValueError) as error:
        raise MalformedNote(f"the signature of {name} is not base64") from error
    if len(raw) <= _KEY_ID_BYTES or b64encode(raw).decode() != encoded:
        raise MalformedNote(f"the signature of {name} is too short or spelled twice")
    return name, raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES:]


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise MalformedNote("the text does not end in a newline")
    _decode(text)


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise MalformedKey("a key name is not empty and holds neither spaces, controls nor `+`")
    return name


def _decode_key(encoded: str) -> bytes:
    try:
        raw = b64decode(encoded, validate=True)
    except (NotBase64, ValueError) as error:
        raise MalformedKey("the key is not base64") from error
    if raw[:1] != _ED25519 or len(raw) != 33 or b64encode(raw).decode() != encoded:
        raise MalformedKey("the key is not an Ed25519 key: type byte 1 and 32 bytes")
    return raw[1:]


def _key_id(name: str, public: bytes) -> bytes:
    """SHA-256 over name, newline, type byte and key, cut to four bytes (C2SP signed-note)."""
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:_KEY_ID_BYTES]

"""Signed texts (JWS compact, RFC 7515): read strictly, in one way, before anything is believed.

What others sign for us (client assertions, proofs of possession) and our own tokens come through
here: three parts, each in its one base64url spelling, and strict JSON objects in the first two.
Which key and which header members are good is for the caller to say.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias, get_args

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from audit import canonical
from audit.canonical import Json
from audit.errors import NotStrict
from gateway.identity.errors import AuthError
from gateway.identity.public_keys import PublicKey

SignatureAlgorithm: TypeAlias = Literal["EdDSA", "ES256", "RS256", "PS256"]
"""Of these, our own tokens and registered clients use the first two; RSA is for other issuers."""

VerifyingKey: TypeAlias = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey

_PART = re.compile(rb"[A-Za-z0-9_-]+")
_MAX_DEPTH = 16
_VERIFIERS = {name: jwt.PyJWS(algorithms=[name]) for name in get_args(SignatureAlgorithm)}


@dataclass(frozen=True, slots=True)
class Jws:
    """A text that reads as a JWS; nothing in it is authenticated before `verify`."""

    text: bytes
    header: dict[str, Json]
    claims: dict[str, Json]

    @classmethod
    def read(cls, text: bytes, *, max_bytes: int) -> Self:
        """Read the three parts. Raises AuthError (`invalid`)."""
        header, claims, signature = (decode(part) for part in split(text, max_bytes=max_bytes))
        del signature  # one spelling of it, for the same reason as of the others
        return cls(text, parse(header, max_bytes=max_bytes), parse(claims, max_bytes=max_bytes))

    def verify(self, key: PublicKey) -> None:
        """Check the signature with `key`, by the one algorithm that the key is for.

        Raises AuthError: `algorithm` when the header names another one, else `invalid`.
        """
        self.verify_with(key.key, key.algorithm)

    def verify_with(self, key: VerifyingKey, algorithm: SignatureAlgorithm) -> None:
        """The same with a key that belongs to nobody who is registered here."""
        if self.header.get("alg") != algorithm:
            raise AuthError("algorithm", f"not signed with {algorithm}")
        verify(self.text, key, algorithm)


def split(text: bytes, *, max_bytes: int) -> tuple[bytes, bytes, bytes]:
    """Header, payload and signature as they are spelled. Raises AuthError (`invalid`)."""
    if len(text) > max_bytes:
        raise AuthError("invalid", f"longer than {max_bytes} bytes")
    parts = text.split(b".")
    if len(parts) != 3:
        raise AuthError("invalid", "not three parts")
    return parts[0], parts[1], parts[2]


def decode(part: bytes) -> bytes:
    """The bytes of a part. Raises AuthError (`invalid`) for any but their one spelling."""
    if not _PART.fullmatch(part):
        raise AuthError("invalid", "not base64url without padding")
    try:
        data = urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except NotBase64 as error:
        raise AuthError("invalid", "not base64url") from error
    if urlsafe_b64encode(data).rstrip(b"=") != part:
        raise AuthError("invalid", "not the one base64url spelling")
    return data


def parse(raw: bytes, *, max_bytes: int, max_depth: int = _MAX_DEPTH) -> dict[str, Json]:
    """A part as the JSON object that it is. Raises AuthError (`invalid`)."""
    try:
        value = canonical.read(raw, max_bytes=max_bytes, max_depth=max_depth)
    except NotStrict as error:
        raise AuthError("invalid", "not strict JSON") from error
    if not isinstance(value, dict):
        raise AuthError("invalid", "not a JSON object")
    return value


def verify(text: bytes, key: VerifyingKey, algorithm: SignatureAlgorithm) -> None:
    """Check that `key` signed the text; what its header says must have been looked at before.

    Raises AuthError (`invalid`).
    """
    try:
        _VERIFIERS[algorithm].decode(text, key, algorithms=[algorithm])
    except jwt.InvalidTokenError as error:
        raise AuthError("invalid", "the signature does not verify") from error

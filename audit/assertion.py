"""Assertions: a person's passkey signed 32 bytes, as WebAuthn says (level 3, section 7.2).

Checking one is a pure function of what an entry can hold: the public key of the passkey, what it
answered, and the name and origin it was made for. So it can be checked when it is made, and years
later by whoever has nothing but the log.

An authenticator signs its own data (for whom, and whether the person was there and verified) and
the hash of a text that the browser wrote (what was asked, and by which page).
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, Self, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from audit import canonical
from audit.canonical import Json
from audit.errors import AssertionRefused, NotStrict

Algorithm: TypeAlias = Literal["ES256", "EdDSA", "RS256"]
Ceremony: TypeAlias = Literal["webauthn.create", "webauthn.get"]

CHALLENGE_BYTES = 32
MAX_BYTES = 8192
"""Longest part of an assertion."""

RSA_BITS = range(2048, 4097)

_BASE64 = re.compile(r"[A-Za-z0-9_-]*")
_HEAD = 37  # rpIdHash, flags, signCount: authenticator data without what may follow
_PRESENT, _VERIFIED, _BACKUP_ELIGIBLE, _BACKED_UP = 0x01, 0x04, 0x08, 0x10
_WITH_CREDENTIAL, _WITH_EXTENSIONS = 0x40, 0x80


@dataclass(frozen=True, slots=True)
class PasskeyKey:
    """The public key of a passkey, good for one algorithm and nothing else."""

    algorithm: Algorithm
    key: EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey

    @classmethod
    def of(cls, key: object) -> Self:
        """Take a key. Raises AssertionRefused for one of a kind or a size that is not used."""
        if isinstance(key, Ed25519PublicKey):
            return cls("EdDSA", key)
        if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
            return cls("ES256", key)
        if isinstance(key, RSAPublicKey) and key.key_size in RSA_BITS:
            return cls("RS256", key)
        raise AssertionRefused("a passkey has a key on P-256 or Ed25519, or RSA of 2048 bits")

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a SubjectPublicKeyInfo in base64url, as `str` writes it. Raises AssertionRefused."""
        try:
            return cls.of(load_der_public_key(decode(text)))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise AssertionRefused("not the key of a passkey") from error

    def __str__(self) -> str:
        der = self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return _encode(der)


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a passkey answered.

    client_data         the browser's text: what was asked, and by which page
    authenticator_data  the authenticator's own: for whom, with which flags and count
    signature           over the latter and the hash of the former
    """

    client_data: bytes
    authenticator_data: bytes
    signature: bytes

    @classmethod
    def read(cls, members: Mapping[str, Json]) -> Self:
        """Read the three parts, each in base64url. Raises AssertionRefused."""
        parts = [members.get(name) for name in cls.__slots__]
        if len(members) != len(parts):
            raise AssertionRefused("an assertion has three parts")
        return cls(*map(_part, parts))

    def to_json(self) -> dict[str, Json]:
        """The members that `read` takes, as an entry holds them."""
        return {name: _encode(getattr(self, name)) for name in self.__slots__}


def check(
    assertion: Assertion, *, challenge: bytes, key: PasskeyKey, rp_id: str, origin: str
) -> int:
    """Check that the passkey of `key` signed `challenge` for a page at `origin`.

    challenge  32 bytes: random ones, or the digest of what somebody was shown
    rp_id      the name that the passkey was made for: the host of `origin`
    origin     `https://host` or `https://host:port`, compared letter by letter

    Returns how often the authenticator says that it has signed; whether that has grown since is for
    the caller to see (`has_grown`). Raises AssertionRefused, also when the person was not verified.
    """
    check_client_data(assertion.client_data, "webauthn.get", challenge=challenge, origin=origin)
    count = _check_authenticator_data(assertion.authenticator_data, rp_id)
    signed = assertion.authenticator_data + sha256(assertion.client_data).digest()
    try:
        _VERIFY[key.algorithm](key.key, assertion.signature, signed)
    except InvalidSignature:
        raise AssertionRefused("not signed by this passkey") from None
    return count


def check_client_data(text: bytes, ceremony: Ceremony, *, challenge: bytes, origin: str) -> None:
    """Check what a browser says of a ceremony: what was asked, and by which page.

    Members that are not known here are passed over, as section 5.8.1 demands. Raises
    AssertionRefused.
    """
    if len(challenge) != CHALLENGE_BYTES:
        raise ValueError(f"a challenge has {CHALLENGE_BYTES} bytes")
    try:
        said = canonical.read(text, max_bytes=MAX_BYTES, max_depth=8)
    except NotStrict as error:
        raise AssertionRefused("the client data is no JSON object") from error
    if not isinstance(said, dict):
        raise AssertionRefused("the client data is no JSON object")
    if said.get("type") != ceremony:
        raise AssertionRefused("made in another ceremony")
    if said.get("challenge") != _encode(challenge):
        raise AssertionRefused("made for another challenge")
    if said.get("origin") != origin:
        raise AssertionRefused("made for another origin")
    if said.get("crossOrigin", False) is not False or "topOrigin" in said:
        raise AssertionRefused("made in a frame of another page")


def has_grown(before: int, now: int) -> bool:
    """Whether a count is as it must be after an earlier one; many authenticators do not count.

    One that went back, or stands still, is the sign of a copied authenticator (section 6.1.1).
    """
    return now > before or now == before == 0


def decode(text: str) -> bytes:
    """The bytes of the one spelling in base64url without padding. Raises AssertionRefused."""
    if len(text) > 2 * MAX_BYTES or not _BASE64.fullmatch(text) or len(text) % 4 == 1:
        raise AssertionRefused("not base64url without padding")
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _encode(data) != text:
        raise AssertionRefused("not the one spelling in base64url")
    return data


def _check_authenticator_data(data: bytes, rp_id: str) -> int:
    if len(data) < _HEAD or data[:32] != sha256(rp_id.encode()).digest():
        raise AssertionRefused("made for another name")
    flags = data[32]
    if flags & (_PRESENT | _VERIFIED) != _PRESENT | _VERIFIED:
        raise AssertionRefused("the person was not verified")
    if flags & _BACKED_UP and not flags & _BACKUP_ELIGIBLE:
        raise AssertionRefused("backed up though it cannot be")
    # What extensions answered is signed too, and asked for by nobody here.
    if flags & _WITH_CREDENTIAL or (len(data) > _HEAD) != bool(flags & _WITH_EXTENSIONS):
        raise AssertionRefused("the authenticator data has another length than it says")
    return int.from_bytes(data[33:_HEAD], "big")


def _verify_ecdsa(key: object, signature: bytes, signed: bytes) -> None:
    assert isinstance(key, EllipticCurvePublicKey)
    key.verify(signature, signed, ECDSA(SHA256()))


def _verify_eddsa(key: object, signature: bytes, signed: bytes) -> None:
    assert isinstance(key, Ed25519PublicKey)
    key.verify(signature, signed)


def _verify_rsa(key: object, signature: bytes, signed: bytes) -> None:
    assert isinstance(key, RSAPublicKey)
    key.verify(signature, signed, PKCS1v15(), SHA256())


_VERIFY: Mapping[Algorithm, Callable[[object, bytes, bytes], None]] = {
    "ES256": _verify_ecdsa,
    "EdDSA": _verify_eddsa,
    "RS256": _verify_rsa,
}


def _part(text: Json) -> bytes:
    if not isinstance(text, str) or not text:
        raise AssertionRefused("a part of an assertion is a text in base64url")
    return decode(text)


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()

"""Public keys of others, as JSON Web Keys (RFC 7517): of registered clients, and inside proofs.

Two kinds, each good for one algorithm and nothing else: Ed25519 for EdDSA (RFC 8037) and P-256
for ES256 (RFC 7518). A key that holds a private part, or a member that is not read here, is
refused: a secret that was sent is a secret no more, and `x5u` is an address.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, Self, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit import canonical
from audit.canonical import Json
from audit.errors import NotStrict
from gateway.identity.errors import PublicKeyRefused

Algorithm: TypeAlias = Literal["EdDSA", "ES256"]
ALGORITHMS: tuple[Algorithm, ...] = ("EdDSA", "ES256")

MAX_KEYS = 8
"""Keys of one client: the present one, the next one, and some more."""

MAX_FILE = 64 * 1024
"""Bytes of a file of keys."""

_KINDS: dict[str, tuple[Algorithm, tuple[str, ...]]] = {
    "OKP Ed25519": ("EdDSA", ("x",)),
    "EC P-256": ("ES256", ("x", "y")),
}
_ABOUT = frozenset({"kid", "use", "alg", "key_ops"})
_NUMBER = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")  # 32 bytes, in their one spelling
_KEY_ID = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key.

    thumbprint  of RFC 7638, SHA-256 in base64url: what a token is bound to
    id          `kid`, where it has one
    """

    algorithm: Algorithm
    key: Ed25519PublicKey | EllipticCurvePublicKey
    thumbprint: str
    id: str | None = None

    @classmethod
    def of_jwk(cls, jwk: Json) -> Self:
        """Read one key. Raises PublicKeyRefused."""
        if not isinstance(jwk, dict):
            raise PublicKeyRefused("a key is a JSON object")
        kind = f"{jwk.get('kty')} {jwk.get('crv')}"
        if kind not in _KINDS:
            raise PublicKeyRefused("expected an Ed25519 (OKP) or a P-256 (EC) key")
        algorithm, names = _KINDS[kind]
        needed = {"kty", "crv", *names}
        if not needed <= jwk.keys() <= needed | _ABOUT:
            raise PublicKeyRefused("members are missing, unknown, or private")
        _check_use(jwk, algorithm)
        return cls(
            algorithm,
            _material(algorithm, [_read_number(jwk[name]) for name in names]),
            thumbprint({name: jwk[name] for name in needed}),
            _read_id(jwk.get("kid")),
        )


def read_keys(text: bytes) -> tuple[PublicKey, ...]:
    """The keys of a file: one JWK, or a JWK Set. Raises PublicKeyRefused."""
    try:
        value = canonical.read(text, max_bytes=MAX_FILE, max_depth=8)
    except NotStrict as error:
        raise PublicKeyRefused("not strict JSON") from error
    listed = value.get("keys") if isinstance(value, dict) and "keys" in value else [value]
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_KEYS:
        raise PublicKeyRefused(f"expected one key, or a set of 1 to {MAX_KEYS}")
    keys = tuple(PublicKey.of_jwk(jwk) for jwk in listed)
    named = [key.id for key in keys if key.id is not None]
    if len(set(named)) < len(named):
        raise PublicKeyRefused("two keys have one id")
    return keys


def thumbprint(members: Json) -> str:
    """The RFC 7638 thumbprint of a key's required members."""
    return base64url(sha256(canonical.write(members)).digest())


def base64url(data: bytes) -> str:
    """The one spelling of RFC 7515: URL-safe, without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _check_use(jwk: dict[str, Json], algorithm: Algorithm) -> None:
    if jwk.get("alg", algorithm) != algorithm:
        raise PublicKeyRefused(f"a key of this kind is for {algorithm}")
    if jwk.get("use", "sig") != "sig" or jwk.get("key_ops", ["verify"]) != ["verify"]:
        raise PublicKeyRefused("the key is not for verifying signatures")


def _read_number(value: Json) -> bytes:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise PublicKeyRefused("a coordinate is not 32 bytes in base64url")
    return urlsafe_b64decode(value + "=")


def _read_id(value: Json) -> str | None:
    if value is not None and not (isinstance(value, str) and _KEY_ID.fullmatch(value)):
        raise PublicKeyRefused("a key id is no short visible text")
    return value


def _material(
    algorithm: Algorithm, numbers: list[bytes]
) -> Ed25519PublicKey | EllipticCurvePublicKey:
    try:
        if algorithm == "EdDSA":
            return Ed25519PublicKey.from_public_bytes(numbers[0])
        x, y = (int.from_bytes(number, "big") for number in numbers)
        return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
    except ValueError as error:
        raise PublicKeyRefused("no point of the curve") from error

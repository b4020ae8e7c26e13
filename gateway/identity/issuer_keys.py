"""Keys of another issuer: fetched from its one configured place, kept, and asked for sparingly.

Each key is good for one algorithm, which its kind or its own `alg` fixes: EdDSA, ES256, RS256 or
PS256. Nothing in a token chooses a key beyond its id, and nothing makes us fetch more than once a
minute. While the issuer does not answer, the keys that it last gave stay good for a day.
"""

import asyncio
import re
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Self

import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from audit import canonical
from audit.canonical import Json
from audit.errors import NotStrict
from gateway.errors import GatewayError
from gateway.identity import jws
from gateway.identity.errors import AuthError, IssuerSilent, PublicKeyRefused
from gateway.identity.public_keys import PublicKey

FRESH_S = 3600
"""How long keys are used before they are fetched again."""

KEPT_S = 24 * 3600
"""How long they are used while the issuer does not answer."""

RETRY_S = 60
"""How long after a fetch the next one is made, whatever a token names."""

RETRY_EMPTY_S = 5
"""The same while there are no keys at all."""

MAX_SET = 256 * 1024
MAX_KEYS = 64

_RSA_BITS = range(2048, 8193)
_PUBLIC = {"EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x"), "RSA": ("kty", "n", "e")}
_NUMBER = re.compile(r"[A-Za-z0-9_-]{1,1366}")
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """A key that verifies one algorithm."""

    id: str | None
    algorithm: jws.SignatureAlgorithm
    key: Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey

    @classmethod
    def of_jwk(cls, jwk: Json) -> Self:
        """Read one key; members that say nothing of the key itself are passed over.

        Raises PublicKeyRefused for a kind that is not used here, and for a private key.
        """
        kind = jwk.get("kty") if isinstance(jwk, dict) else None
        if not isinstance(jwk, dict) or not isinstance(kind, str) or kind not in _PUBLIC:
            raise PublicKeyRefused("no kind of key that is used here")
        if not _PRIVATE.isdisjoint(jwk):
            raise PublicKeyRefused("a key that everybody may read is private no more")
        about = {"kid": jwk.get("kid"), "use": jwk.get("use", "sig")}
        if about["use"] != "sig" or not isinstance(about["kid"], str | None):
            raise PublicKeyRefused("a key for something else, or without a readable id")
        if kind == "RSA":
            return cls(about["kid"], _rsa_algorithm(jwk.get("alg")), _rsa(jwk))
        needed = {name: jwk[name] for name in (*_PUBLIC[kind], "alg") if name in jwk}
        read = PublicKey.of_jwk(needed)
        return cls(about["kid"], read.algorithm, read.key)


class IssuerKeys:
    """The keys of one issuer.

    read  its key set as it is served now; raises GatewayError or OSError
    name  of the issuer, for diagnostics
    """

    def __init__(self, read: Callable[[], Awaitable[bytes]], *, name: str) -> None:
        self._read = read
        self._name = name
        self._keys: tuple[IssuerKey, ...] = ()
        self._read_at: int | None = None  # second of the last key set
        self._asked_at: int | None = None  # second of the last attempt
        self._asking = asyncio.Lock()

    async def find(self, key_id: str | None, algorithm: Json, now_s: int) -> IssuerKey:
        """The one key that a header means.

        Raises AuthError (`invalid`) when there is none, IssuerSilent when nobody can tell.
        """
        if self._is_stale(now_s) and not (self._usable(now_s) and self._asking.locked()):
            await self._refresh(now_s)
        found = _chosen(self._keys, key_id, algorithm) if self._usable(now_s) else None
        if found is None:
            await self._refresh(now_s)  # it may have changed them
            if not self._usable(now_s):
                raise IssuerSilent(f"the issuer {self._name} gives no keys")
            found = _chosen(self._keys, key_id, algorithm)
        if found is None:
            raise AuthError("invalid", "signed with an unknown key")
        return found

    def _is_stale(self, now_s: int) -> bool:
        return self._read_at is None or now_s >= self._read_at + FRESH_S

    def _usable(self, now_s: int) -> bool:
        return self._read_at is not None and now_s < self._read_at + KEPT_S

    async def _refresh(self, now_s: int) -> None:
        """Fetch the keys, unless that was tried a moment ago; one at a time."""
        async with self._asking:
            pause_s = RETRY_S if self._keys else RETRY_EMPTY_S
            if self._asked_at is not None and now_s < self._asked_at + pause_s:
                return
            self._asked_at = now_s
            try:
                self._keys = read_set(await self._read())
            except (GatewayError, OSError) as error:
                code = getattr(error, "code", type(error).__name__)
                _log.warning("issuer.keys-not-read", issuer=self._name, reason=code)
                return
            self._read_at = now_s


def read_set(text: bytes) -> tuple[IssuerKey, ...]:
    """The keys of a JWK Set that can be used here; others are passed over.

    Raises PublicKeyRefused when it is no such set, holds a private key, or leaves nothing.
    """
    try:
        value = canonical.read(text, max_bytes=MAX_SET, max_depth=8)
    except NotStrict as error:
        raise PublicKeyRefused("not strict JSON") from error
    listed = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise PublicKeyRefused(f"expected a set of at most {MAX_KEYS} keys")
    keys = tuple(_readable(listed))
    if not keys:
        raise PublicKeyRefused("no key that can be used")
    named = [key.id for key in keys if key.id is not None]
    if len(set(named)) < len(named):
        raise PublicKeyRefused("two keys have one id")
    return keys


def _readable(listed: Iterable[Json]) -> Iterable[IssuerKey]:
    for jwk in listed:
        if isinstance(jwk, dict) and not _PRIVATE.isdisjoint(jwk):
            raise PublicKeyRefused("a key that everybody may read is private no more")
        try:
            yield IssuerKey.of_jwk(jwk)
        except PublicKeyRefused:
            continue


def _chosen(keys: tuple[IssuerKey, ...], key_id: str | None, algorithm: Json) -> IssuerKey | None:
    fitting = [key for key in keys if key.algorithm == algorithm and key_id in (None, key.id)]
    return fitting[0] if len(fitting) == 1 else None


def _rsa_algorithm(stated: Json) -> jws.SignatureAlgorithm:
    """What an RSA key is for; one that does not say is for RS256, as OpenID Connect has it."""
    if stated in (None, "RS256"):
        return "RS256"
    if stated == "PS256":
        return "PS256"
    raise PublicKeyRefused("an RSA key is for RS256 or PS256")


def _rsa(jwk: dict[str, Json]) -> RSAPublicKey:
    modulus, exponent = _number(jwk.get("n")), _number(jwk.get("e"))
    if modulus.bit_length() not in _RSA_BITS or exponent != 65_537:
        raise PublicKeyRefused("an RSA key of an unusual size")
    try:
        return RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError as error:
        raise PublicKeyRefused("no RSA key") from error


def _number(value: Json) -> int:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value) or len(value) % 4 == 1:
        raise PublicKeyRefused("a number that is not base64url")
    return int.from_bytes(urlsafe_b64decode(value + "=" * (-len(value) % 4)), "big")

"""Access tokens: signed by this gateway, for this gateway, one algorithm, one spelling.

An access token is a JWT (RFC 9068) signed with EdDSA (RFC 8037). It is refused unless its header
and claims are byte for byte what `Issuer` would write for the same values: a second spelling of
one token would be a second reading of it.
"""

from hashlib import sha256
from typing import Final

import jwt

from audit import canonical
from audit.canonical import Json
from gateway.epoch import Epoch
from gateway.identity import claims, jws
from gateway.identity.errors import AuthError
from gateway.identity.keys import KeySet
from gateway.identity.revocation import Revocations
from gateway.principal import Principal

MAX_BYTES = 8192
"""Longest token, of the size of a header that every HTTP server accepts."""

MAX_CACHED = 10_000
"""Verified tokens that are remembered; beyond it the oldest is verified anew."""

_ALGORITHM: Final = "EdDSA"
_TYPE = "at+jwt"
_MAX_DEPTH = 2 * claims.MAX_CHAIN
_JWS = jwt.PyJWS(algorithms=[_ALGORITHM])


class Issuer:
    """Signs what `TokenCheck` of the same gateway accepts."""

    def __init__(self, keys: KeySet, *, public_url: str) -> None:
        self._keys = keys
        self._url = public_url

    def issue(self, principal: Principal) -> str:
        """The token that says what `principal` is.

        Raises AuthError (`invalid`) when it could not be read back: a name outside the grammar, a
        chain too long, an end before the beginning, more text than fits into a token.
        """
        content = self._said(principal)
        key = self._keys.active
        header = {"alg": _ALGORITHM, "kid": key.id, "typ": _TYPE}
        token = _JWS.encode(canonical.write(content), key.private, _ALGORITHM, header)
        if len(token) > MAX_BYTES:
            raise AuthError("invalid", f"longer than {MAX_BYTES} bytes")
        return token

    def check(self, principal: Principal) -> None:
        """Raises AuthError (`invalid`) for what no token can say, however long it might be."""
        self._said(principal)

    def _said(self, principal: Principal) -> dict[str, Json]:
        content = claims.write(principal, issuer=self._url, audience=self._url)
        if claims.read(content, issuer=self._url, audience=self._url) != principal:
            raise AuthError("invalid", "scopes are not in their shortest form")
        return content


class TokenCheck:
    """Reads tokens into principals, and remembers those it verified within one epoch.

    skew_s  how far the clock of another part of this gateway may be off: a token is good for so
            many seconds after its end, and may begin so many seconds from now
    """

    def __init__(
        self,
        keys: KeySet,
        revocations: Revocations,
        epoch: Epoch,
        *,
        public_url: str,
        skew_s: int,
        max_cached: int = MAX_CACHED,
    ) -> None:
        self._keys = keys
        self._revocations = revocations
        self._epoch = epoch
        self._url = public_url
        self._skew_s = skew_s
        self._max_cached = max_cached
        self._verified: dict[bytes, Principal] = {}
        self._verified_in = epoch.value

    def check(self, token: bytes, now_s: int) -> Principal:
        """The principal of a token that is good at `now_s` (seconds since 1970).

        Raises AuthError with the reason.
        """
        if self._verified_in != self._epoch.value:
            self._verified.clear()
            self._verified_in = self._epoch.value
        digest = sha256(token).digest()
        principal = self._verified.get(digest)
        if principal is None:
            principal = self._verify(token, now_s)
            self._remember(digest, principal)
        if now_s >= principal.expires + self._skew_s:
            raise AuthError("expired", "its time is over")
        return principal

    def check_renewable(self, token: bytes, now_s: int) -> Principal:
        """The principal of a token that is good, or ended less than its own life ago.

        It proves which session is to be continued and nothing else: the client that presents it
        must authenticate besides. Raises AuthError with the reason.
        """
        principal = self._verify(token, now_s)
        if now_s >= renewable_until(principal):
            raise AuthError("expired", "too old to be renewed")
        return principal

    def _verify(self, token: bytes, now_s: int) -> Principal:
        content = self._authenticate(token)
        principal = claims.read(content, issuer=self._url, audience=self._url)
        if max(principal.issued, claims.not_before(content)) > now_s + self._skew_s:
            raise AuthError("invalid", "not yet good")
        if self._revocations.revoked(principal):
            raise AuthError("revoked", "withdrawn")
        return principal

    def _authenticate(self, token: bytes) -> dict[str, Json]:
        """The claims of a token that one of our keys signed, parsed once."""
        if not token:
            raise AuthError("missing", "no token")
        header, payload, signature = jws.split(token, max_bytes=MAX_BYTES)
        key = self._keys.public(_read_key_id(_parse(jws.decode(header))))
        content, _ = jws.decode(payload), jws.decode(signature)
        if key is None:
            raise AuthError("invalid", "signed with an unknown key")
        jws.verify(token, key, _ALGORITHM)
        return _parse(content)

    def _remember(self, digest: bytes, principal: Principal) -> None:
        while len(self._verified) >= self._max_cached:
            del self._verified[next(iter(self._verified))]
        self._verified[digest] = principal


def renewable_until(principal: Principal) -> int:
    """The second from which a token can be neither used nor renewed; the skew is not in it."""
    return 2 * principal.expires - principal.issued


def _parse(raw: bytes) -> dict[str, Json]:
    value = jws.parse(raw, max_bytes=MAX_BYTES, max_depth=_MAX_DEPTH)
    if canonical.write(value) != raw:
        raise AuthError("invalid", "not in canonical form")
    return value


def _read_key_id(header: dict[str, Json]) -> str:
    if header.get("alg") != _ALGORITHM:
        raise AuthError("algorithm", f"not signed with {_ALGORITHM}")
    # Closed, so that nothing can name a key (jwk, jku, x5c, x5u) or change the reading (crit,
    # b64, zip, cty).
    key_id = header.get("kid")
    if header.keys() != {"alg", "kid", "typ"} or header["typ"] != _TYPE:
        raise AuthError("invalid", "the header has missing, unknown or wrong members")
    if not isinstance(key_id, str):
        raise AuthError("invalid", "the key id is not a text")
    return key_id

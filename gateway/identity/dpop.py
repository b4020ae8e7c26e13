"""Proofs of possession (DPoP, RFC 9449): who presents a bound token signs each request anew.

A token that names a key is worth nothing without it. A proof is about one method and one address,
carries a nonce that this process gave out lately, and is good once. The nonce comes first in
importance: its key lives as long as the process, so what was seen before a restart is refused
after it, although what was used is remembered in memory alone.
"""

import hmac
import re
from dataclasses import dataclass
from hashlib import sha256

from audit.canonical import Json
from gateway.identity.errors import AuthError, PublicKeyRefused
from gateway.identity.jws import Jws
from gateway.identity.public_keys import PublicKey, base64url
from gateway.identity.replays import Replays

MAX_BYTES = 4096
MAX_AGE_S = 60
"""How long ago a proof may have been made."""

NONCE_S = 60
"""How long a nonce is given out; it is taken for as long again."""

_ID = re.compile(r"[!-~]{8,255}")


@dataclass(frozen=True, slots=True)
class Presented:
    """What a proof must be about, and who shows it.

    method, url  of the request, exactly as it was sent
    owner        the agent that has authenticated otherwise: whose proofs are counted
    token        the access token beside it; None at the token endpoint
    bound_to     the key that must have signed; None: any
    """

    method: str
    url: str
    owner: str
    token: bytes | None = None
    bound_to: str | None = None


class Proofs:
    """Checks proofs, and hands out nonces.

    key     32 random bytes, of this process and nobody else
    skew_s  how far a client's clock may be ahead
    """

    def __init__(self, key: bytes, *, skew_s: int) -> None:
        self._key = key
        self._skew_s = skew_s
        # Whatever a proof's own time says, it is refused for its age by then.
        self._replays = Replays(kept_s=MAX_AGE_S + 2 * skew_s)

    def nonce(self, now_s: int) -> str:
        """The nonce that proofs must carry from now on."""
        return self._nonce(now_s // NONCE_S)

    def check(self, proof: bytes, about: Presented, now_s: int) -> str:
        """The thumbprint of the key that is proven; the proof is used up.

        Raises AuthError: `nonce` when it carries none that is good now, else `proof`.
        """
        try:
            jws = Jws.read(proof, max_bytes=MAX_BYTES)
            key = _embedded_key(jws.header)
            jws.verify(key)
        except (AuthError, PublicKeyRefused) as error:
            raise AuthError("proof", f"the proof cannot be used: {error}") from error
        if about.bound_to not in (None, key.thumbprint):
            raise AuthError("proof", "the token is bound to another key")
        _check_subject(jws.claims, about)
        self._check_nonce(jws.claims.get("nonce"), now_s)
        self._check_time(jws.claims.get("iat"), now_s)
        self._use(jws.claims.get("jti"), key, about.owner, now_s)
        return key.thumbprint

    def _check_nonce(self, nonce: Json, now_s: int) -> None:
        window = now_s // NONCE_S
        good = (self._nonce(window), self._nonce(window - 1))
        if not isinstance(nonce, str) or not any(
            hmac.compare_digest(nonce.encode("utf-8", "surrogatepass"), each.encode())
            for each in good
        ):
            raise AuthError("nonce", "the proof carries no nonce that is good now")

    def _check_time(self, made: Json, now_s: int) -> None:
        if type(made) is not int:  # a bool is an int to Python
            raise AuthError("proof", "the proof does not say when it was made")
        if not now_s - MAX_AGE_S - self._skew_s < made <= now_s + self._skew_s:
            raise AuthError("proof", "the proof was not made just now")

    def _use(self, proof_id: Json, key: PublicKey, owner: str, now_s: int) -> None:
        if not isinstance(proof_id, str) or not _ID.fullmatch(proof_id):
            raise AuthError("proof", "the proof has no id of 8 visible characters")
        digest = sha256(f"{key.thumbprint} {proof_id}".encode()).digest()
        if not self._replays.use(owner, digest, now_s):
            raise AuthError("proof", "the proof was used before, or there are too many at a time")

    def _nonce(self, window: int) -> str:
        return base64url(hmac.digest(self._key, b"dpop-nonce %d" % window, "sha256")[:18])


def _embedded_key(header: dict[str, Json]) -> PublicKey:
    # Closed, as for our own tokens; the key inside is what the signature is checked with, and
    # stands for nobody until a token is bound to it.
    if header.keys() != {"alg", "jwk", "typ"} or header["typ"] != "dpop+jwt":
        raise AuthError("invalid", "the header has missing, unknown or wrong members")
    return PublicKey.of_jwk(header["jwk"])


def _check_subject(claims: dict[str, Json], about: Presented) -> None:
    if claims.get("htm") != about.method or claims.get("htu") != about.url:
        raise AuthError("proof", "the proof is about another request")
    token = None if about.token is None else base64url(sha256(about.token).digest())
    if claims.get("ath") != token:
        raise AuthError("proof", "the proof is about another token")

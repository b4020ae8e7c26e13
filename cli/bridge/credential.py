"""The bridge's credential: a short-lived token, kept fresh, that is worth nothing to others.

It is bound to a key that was made for this run and never leaves this process (DPoP, RFC 9449), so a
token that is overheard or left in a dump of memory elsewhere calls nothing. Both are in memory
alone: never an argument, never in the environment, never printed.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.identity.public_keys import PublicKey, base64url

FRESH_S = 60
"""How long before its end a token is renewed."""

_ALGORITHM: Final = "EdDSA"

Issue = Callable[[Mapping[str, object]], Mapping[str, Any]]
"""Has the operators' API issue a token for these members. Raises NoToken."""


class NoToken(Exception):
    """The gateway issues no token; why was said to the operator."""


class Credential:
    """What the requests of one bridge are sent with.

    wanted  which agent it is, and on whose behalf
    now_s   seconds since 1970
    """

    def __init__(
        self, issue: Issue, wanted: Mapping[str, object], now_s: Callable[[], float]
    ) -> None:
        self._issue = issue
        self._wanted = wanted
        self._now_s = now_s
        self._key = Ed25519PrivateKey.generate()
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64url(raw)}
        self._one_at_a_time = asyncio.Lock()
        self._token = ""
        self._until = 0.0
        self._nonce: str | None = None
        self.session: str | None = None

    async def headers(self, method: str, url: str) -> dict[str, str]:
        """What one request to `url` is sent with; a new token is had first where one is due.

        url  as the gateway calls itself

        Raises NoToken.
        """
        async with self._one_at_a_time:
            if self._now_s() >= self._until - FRESH_S:
                await self._renew()
            return {"authorization": f"DPoP {self._token}", "dpop": self._proof(method, url)}

    def heard(self, nonce: str | None) -> None:
        """What proofs must carry from now on, if the answer said so."""
        self._nonce = nonce or self._nonce

    def refused(self) -> None:
        """The token is taken no more: have another one before the next request."""
        self._until = 0.0

    async def _renew(self) -> None:
        wanted = {**self._wanted, "bound_to": PublicKey.of_jwk({**self._jwk}).thumbprint}
        same = None if self.session is None else {**wanted, "session": self.session}
        try:
            issued = await asyncio.to_thread(self._issue, same or wanted)
        except NoToken:
            if same is None:
                raise
            issued = await asyncio.to_thread(self._issue, wanted)  # that session is over
        self._token, self.session = str(issued["access_token"]), str(issued["session"])
        self._until = self._now_s() + int(issued["expires_in"])

    def _proof(self, method: str, url: str) -> str:
        about: dict[str, object] = {
            "htm": method,
            "htu": url,
            "iat": int(self._now_s()),
            "jti": secrets.token_urlsafe(18),
            "ath": base64url(sha256(self._token.encode()).digest()),
        }
        if self._nonce is not None:
            about["nonce"] = self._nonce
        headers = {"typ": "dpop+jwt", "jwk": self._jwk}
        return jwt.encode(about, self._key, algorithm=_ALGORITHM, headers=headers)

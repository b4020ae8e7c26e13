"""Client assertions: a client proves who it is with a key of its own (RFC 7523, sections 2.2, 3).

The client signs a short statement about itself for this server alone, and each is good once. What
decides is written here: who may sign is in the settings, by which algorithm is a matter of the
key, and nothing in the header can bring another key in.
"""

import re
from collections.abc import Callable, Sequence

from audit.canonical import Json
from gateway.identity.errors import AuthError, OAuthError
from gateway.identity.jws import Jws
from gateway.identity.public_keys import PublicKey
from gateway.identity.single_use import SingleUse

MAX_BYTES = 8192
MAX_LIFE_S = 300
"""How far the end of an assertion may lie ahead, and how far from its beginning."""

_HEADER = frozenset({"alg", "typ", "kid"})
_TYPES = frozenset({"JWT", "jwt", "client-authentication+jwt"})
_ID = re.compile(r"[!-~]{8,255}")


class Assertions:
    """Checks client assertions.

    keys_of  the registered keys of a client; none for a client that has none, or is unknown
    skew_s   how far a client's clock may be off
    """

    def __init__(
        self,
        keys_of: Callable[[str], Sequence[PublicKey]],
        single_use: SingleUse,
        *,
        public_url: str,
        skew_s: int,
    ) -> None:
        self._keys_of = keys_of
        self._single_use = single_use
        # The issuer, or where tokens are asked for: both name this server and nobody else.
        self._audiences = frozenset({public_url, f"{public_url}/", f"{public_url}/oauth/token"})
        self._skew_s = skew_s

    async def check(self, text: str, *, now_s: int, source: str) -> str:
        """The client that made this assertion; it is used up.

        Raises OAuthError (`invalid_client`), and AuditUnavailable when its use cannot be recorded.
        """
        jws = _read(text)
        client, statement = self._read_claims(jws.claims, now_s)
        key = _chosen(self._keys_of(client), jws.header)
        if key is None:
            raise _failed()
        try:
            jws.verify(key)
        except AuthError:
            raise _failed() from None
        until_s = _number(jws.claims, "exp") + self._skew_s
        if not await self._single_use.use(client, statement, until_s=until_s, source=source):
            raise OAuthError("invalid_client", "the assertion was used before")
        return client

    def _read_claims(self, claims: dict[str, Json], now_s: int) -> tuple[str, str]:
        """Whose assertion it says it is, and its id: nothing of this is authenticated yet."""
        client, audience, statement = claims.get("iss"), claims.get("aud"), claims.get("jti")
        if not isinstance(client, str) or claims.get("sub") != client:
            raise OAuthError("invalid_client", "an assertion is made by a client about itself")
        if isinstance(audience, list) and len(audience) == 1:
            audience = audience[0]
        if not isinstance(audience, str) or audience not in self._audiences:
            raise OAuthError("invalid_client", "the assertion is not made for this server alone")
        if not isinstance(statement, str) or not _ID.fullmatch(statement):
            raise OAuthError("invalid_client", "the assertion has no id of 8 visible characters")
        self._check_time(claims, now_s)
        return client, statement

    def _check_time(self, claims: dict[str, Json], now_s: int) -> None:
        ends = _number(claims, "exp")
        if ends + self._skew_s <= now_s:
            raise OAuthError("invalid_client", "the assertion has expired")
        begins = [_number(claims, name) for name in ("iat", "nbf") if name in claims]
        if max(begins, default=0) > now_s + self._skew_s:
            raise OAuthError("invalid_client", "the assertion is not good yet")
        is_far = ends > now_s + MAX_LIFE_S + self._skew_s
        if is_far or ends - min(begins, default=ends) > MAX_LIFE_S:
            raise OAuthError("invalid_client", f"an assertion lives {MAX_LIFE_S} seconds at most")


def _read(text: str) -> Jws:
    try:
        jws = Jws.read(text.encode("utf-8", "surrogatepass"), max_bytes=MAX_BYTES)
    except AuthError as error:
        raise OAuthError("invalid_client", f"the assertion is unreadable: {error}") from error
    # Closed: `jwk`, `jku`, `x5c` would bring a key in, `crit` and `b64` change the reading.
    if not jws.header.keys() <= _HEADER or jws.header.get("typ", "JWT") not in _TYPES:
        raise OAuthError("invalid_client", "the assertion's header has unknown members")
    return jws


def _chosen(keys: Sequence[PublicKey], header: dict[str, Json]) -> PublicKey | None:
    """The one key that the header can mean: by its id, else by its algorithm."""
    if "kid" in header:
        fitting = [key for key in keys if header["kid"] in (key.id, key.thumbprint)]
    else:
        fitting = [key for key in keys if key.algorithm == header.get("alg")]
    return fitting[0] if len(fitting) == 1 else None


def _number(claims: dict[str, Json], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int or value < 0:  # a bool is an int to Python
        raise OAuthError("invalid_client", f"{name} is no number of seconds")
    return value


def _failed() -> OAuthError:
    """The same for an unknown client and a wrong key."""
    return OAuthError("invalid_client", "client authentication failed")

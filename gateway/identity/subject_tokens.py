"""Subject tokens: what the gateway says about a caller to an authorization server of an upstream.

A JWT signed with the keys of our access tokens and made for that server alone, good for a minute:
who is acted for (`sub`), and by whom (`act`, RFC 8693, section 4.1). It is no access token: its
type and its audience are others, so nothing here would take it for one.
"""

from collections.abc import Callable

import jwt

from audit import canonical
from audit.canonical import Json
from gateway.identity import claims
from gateway.identity.keys import KeySet
from gateway.links.link import Caller

LIFETIME_S = 60

_ALGORITHM = "EdDSA"
_JWS = jwt.PyJWS(algorithms=[_ALGORITHM])


class SubjectTokens:
    """Signs such statements.

    now_s   seconds since 1970
    new_id  fresh ids
    """

    def __init__(
        self,
        keys: KeySet,
        *,
        public_url: str,
        now_s: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self._keys = keys
        self._url = public_url
        self._now_s = now_s
        self._new_id = new_id

    def sign(self, caller: Caller, audience: str) -> str:
        """The statement about one caller for one authorization server."""
        now = self._now_s()
        actors = (caller.agent, *caller.chain)
        content: dict[str, Json] = {
            "iss": self._url,
            "aud": audience,
            "sub": claims.subject(caller.user, actors),
            "act": claims.write_actors(actors),
            "iat": now,
            "exp": now + LIFETIME_S,
            "jti": self._new_id(),
        }
        key = self._keys.active
        header = {"alg": _ALGORITHM, "kid": key.id, "typ": "JWT"}
        return _JWS.encode(canonical.write(content), key.private, _ALGORITHM, header)

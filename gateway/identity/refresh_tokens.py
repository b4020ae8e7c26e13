"""Refresh tokens: how an application that can keep no secret keeps its session.

Each says which session it is of and the how-maniest, under a key of this gateway, so that an old
one is told from one that was made up. The newest alone is good, and once (RFC 9700, section
4.14.2): when another one of ours comes, somebody has a copy.
"""

import hmac
import re
from dataclasses import dataclass
from hashlib import sha256

from gateway.identity.public_keys import base64url

_TOKEN = re.compile(
    r"(?P<session>[A-Za-z0-9_-]{1,64})\.(?P<number>[1-9][0-9]{0,8})\.(?P<mac>.{43})"
)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """What a token of ours says; whether it is still good is not in it.

    number  from 1
    """

    session: str
    number: int


class RefreshTokens:
    """Writes and reads them.

    key  32 bytes that nobody else has
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, token: RefreshToken) -> str:
        """Its one spelling."""
        said = f"{token.session}.{token.number}"
        mac = hmac.digest(self._key, f"refresh token {said}".encode(), sha256)
        return f"{said}.{base64url(mac)}"

    def read(self, text: str) -> RefreshToken | None:
        """The token that was written like this; None for a text that is none of ours."""
        found = _TOKEN.fullmatch(text)
        if found is None:
            return None
        token = RefreshToken(found["session"], int(found["number"]))
        good = hmac.compare_digest(self.write(token).encode(), text.encode("utf-8", "replace"))
        return token if good else None

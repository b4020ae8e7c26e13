"""Bearer tokens: the credential of a request (RFC 6750), from the `Authorization` header alone."""

import re
from collections.abc import Callable

from gateway.faces.http import Headers
from gateway.identity.errors import AuthError
from gateway.identity.tokens import TokenCheck
from gateway.principal import Principal

_BEARER = re.compile(rb"bearer +([A-Za-z0-9\-._~+/]+=*) *", re.IGNORECASE)


class Bearer:
    """Who sends a request, by the token in its headers.

    now_s  seconds since 1970
    """

    def __init__(self, tokens: TokenCheck, now_s: Callable[[], int]) -> None:
        self._tokens = tokens
        self._now_s = now_s

    def __call__(self, headers: Headers) -> Principal:
        """The principal. Raises AuthError."""
        return self._tokens.check(_token(headers), self._now_s())


def _token(headers: Headers) -> bytes:
    found = [value for name, value in headers if name == b"authorization"]
    if not found:
        raise AuthError("missing", "an access token is needed")
    match = _BEARER.fullmatch(found[0])
    if match is None or len(found) > 1:
        raise AuthError("invalid", "Authorization must be one bearer token")
    return match[1]

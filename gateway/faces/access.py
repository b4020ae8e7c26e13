"""Access tokens: the credential of a request, from the `Authorization` header alone.

A plain token comes as `Bearer` (RFC 6750); one that is bound to a key comes as `DPoP`, with a
proof of that key beside it (RFC 9449), and never as the other. The proof is checked for each
request: what is remembered of a token is never that somebody once held its key.
"""

from collections.abc import Callable

from gateway.faces.http import Head, Lines, Scope
from gateway.identity.dpop import Presented, Proofs
from gateway.identity.errors import AuthError
from gateway.identity.tokens import TokenCheck
from gateway.principal import Principal

_SCHEMES = frozenset({b"bearer", b"dpop"})
_NONE: Lines = ()


class Access:
    """Who sends a request, by its headers.

    now_s  seconds since 1970
    """

    def __init__(
        self, tokens: TokenCheck, proofs: Proofs, now_s: Callable[[], int], *, public_url: str
    ) -> None:
        self._tokens = tokens
        self._proofs = proofs
        self._now_s = now_s
        self._url = public_url

    def __call__(self, scope: Scope, head: Head) -> tuple[Principal, Lines]:
        """The principal, and headers that the answer must carry. Raises AuthError.

        head  what `scope` was reduced to
        """
        scheme, token = _credential(head)
        now_s = self._now_s()
        if scheme == b"bearer":
            principal = self._tokens.check(token, now_s)
            if principal.bound_to is None:
                return principal, _NONE
        try:
            principal = self._bound(scheme, token, scope, head, now_s)
        except AuthError as error:
            error.nonce = self._proofs.nonce(now_s)
            raise
        return principal, ((b"dpop-nonce", self._proofs.nonce(now_s).encode()),)

    def _bound(
        self, scheme: bytes, token: bytes, scope: Scope, head: Head, now_s: int
    ) -> Principal:
        """The principal of a bound token that comes with a proof."""
        principal = self._tokens.check(token, now_s)
        if scheme != b"dpop":
            raise AuthError("proof", "this token is bound to a key: present it with a proof")
        if principal.bound_to is None:
            raise AuthError("proof", "this token is not bound to a key")
        proof = head.headers.get(b"dpop")
        if proof is None:
            raise AuthError("proof", "a bound token needs a proof")
        about = Presented(
            head.method, self._url + _path(scope), principal.agent, token, principal.bound_to
        )
        self._proofs.check(proof, about, now_s)
        return principal


def _credential(head: Head) -> tuple[bytes, bytes]:
    """Scheme and token; whether the token is spelled like one is seen when it is verified."""
    value = head.headers.get(b"authorization")
    if value is None:
        raise AuthError("missing", "an access token is needed")
    scheme, _, token = value.partition(b" ")
    scheme, token = scheme.lower(), token.strip(b" ")
    if scheme not in _SCHEMES or not token:
        raise AuthError("invalid", "Authorization must be one access token")
    return scheme, token


def _path(scope: Scope) -> str:
    """The path as it was sent: what a client signs is what it wrote."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("latin-1")

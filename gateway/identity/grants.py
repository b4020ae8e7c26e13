"""Grants: what an authenticated client asks for, and what every way of getting it works with.

One file for each grant: `client_credentials` (a new session) and `token_exchange` (a token for a
token: the same session anew, or another's work handed on). Here is what they share: the reading
of parameters that narrow a token, and the rooms that a token needs.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.identity import scopes
from gateway.identity.clients import Client
from gateway.identity.consents import Consents
from gateway.identity.errors import OAuthError, ScopeInvalid
from gateway.identity.minting import Mint, Minted
from gateway.identity.oauth_request import OAuthRequest
from gateway.identity.single_use import SingleUse
from gateway.identity.tokens import TokenCheck
from gateway.identity.user_proof import UserProofs
from gateway.session.opening import Openings
from gateway.session.sessions import Sessions
from policies.snapshot import Snapshot

_LIFETIME = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Means:
    """What grants work with.

    policy  the snapshot in force
    ttl_s   life of a token when the client asks for nothing else
    consents  what people agreed to
    users   who vouches for people
    """

    mint: Mint
    tokens: TokenCheck
    sessions: Sessions
    openings: Openings
    single_use: SingleUse
    policy: Callable[[], Snapshot]
    ttl_s: int
    consents: Consents
    users: UserProofs


@dataclass(frozen=True, slots=True)
class Asked:
    """What an authenticated client asks for.

    bound_to  thumbprint of the key that it proved to hold, if it offered one
    """

    request: OAuthRequest
    client: Client
    bound_to: str | None
    now_s: int

    @property
    def by(self) -> str:
        """The client, as entries name it."""
        return self.client.said

    def narrowed(self, most: scopes.Scopes) -> scopes.Scopes:
        """What is asked for of what is to be had; all of it when nothing is asked for.

        Raises OAuthError (`invalid_scope`).
        """
        text = self.request.one("scope")
        try:
            granted = most if text is None else scopes.intersect(scopes.parse(text), most)
        except ScopeInvalid as error:
            raise OAuthError("invalid_scope", str(error)) from error
        if not granted:
            raise OAuthError("invalid_scope", "nothing of this can be granted")
        return granted

    def lifetime_s(self, usual_s: int) -> int:
        """Parameter `requested_lifetime`, ours: seconds; the mint shortens what is too long.

        Raises OAuthError (`invalid_request`).
        """
        text = self.request.one("requested_lifetime")
        if text is None:
            return usual_s
        if not _LIFETIME.fullmatch(text):
            raise OAuthError("invalid_request", "requested_lifetime is no number of seconds")
        return int(text)

    def token(self, name: str) -> bytes:
        """A parameter that is a token; raises OAuthError when it is not given."""
        return self.request.needed(name).encode("utf-8", "surrogatepass")


class Grant(Protocol):
    """One way to a token."""

    async def grant(self, asked: Asked) -> Minted:
        """The token. Raises OAuthError, SessionEnded and AuditUnavailable."""

"""The authorization server: what a registered client may ask for, and what it gets (RFC 6749).

Three questions, each with the client's own authentication: a token for a new session (client
credentials), a fresh token for the session it already has (token exchange, RFC 8693, of its own
token), and the end of a token (RFC 7009); besides, a client may look at its own tokens
(RFC 7662). Knows nothing of HTTP: `gateway.faces.oauth` brings requests and takes answers away.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from audit.canonical import Json
from gateway.errors import SessionEnded
from gateway.identity import claims, scopes
from gateway.identity.client_authentication import ClientAuthentication
from gateway.identity.clients import Client
from gateway.identity.dpop import Presented, Proofs
from gateway.identity.errors import AuthError, OAuthError, ScopeInvalid
from gateway.identity.minting import Mint, Minted, Order, Record, SessionLike, actor
from gateway.identity.oauth_request import OAuthRequest
from gateway.identity.revocation import Revocations
from gateway.identity.tokens import TokenCheck, renewable_until
from gateway.principal import Principal

CLIENT_CREDENTIALS = "client_credentials"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name

TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path

_LIFETIME = re.compile(r"[1-9][0-9]{0,8}")
_BELOW = re.compile(r"(?:/[A-Za-z0-9_-]+)*/?")


Grant: TypeAlias = Callable[[OAuthRequest, Client, str | None, int], Awaitable[Minted]]
"""What a client gets, whose key (if any) it is bound to, at a second."""


class Sessions(Protocol):
    """What is asked of the room of sessions."""

    async def open_by_agent(self, agent: str, user: str | None) -> SessionLike:
        """A new, recorded session; raises AuditUnavailable."""

    def live(self, principal: Principal, now_s: int) -> SessionLike:
        """The session that `principal` acts in; raises SessionEnded."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What holds for every token.

    public_url  issuer and audience, without a trailing slash
    ttl_s       life of a token when the client asks for nothing else
    """

    public_url: str
    ttl_s: int


class AuthorizationServer:
    """Answers registered clients."""

    def __init__(
        self,
        rules: TokenRules,
        clients: ClientAuthentication,
        mint: Mint,
        tokens: TokenCheck,
        proofs: Proofs,
        revocations: Revocations,
        sessions: Sessions,
        record: Record,
    ) -> None:
        self._rules = rules
        self._clients = clients
        self._mint = mint
        self._tokens = tokens
        self._proofs = proofs
        self._revocations = revocations
        self._sessions = sessions
        self._record = record
        self._grants: Mapping[str, Grant] = {
            CLIENT_CREDENTIALS: self._begin,
            TOKEN_EXCHANGE: self._renew,
        }

    async def token(self, request: OAuthRequest, now_s: int) -> dict[str, Json]:
        """The members of a token response (RFC 6749, section 5.1; RFC 8693, section 2.2.1).

        Raises OAuthError, and AuditUnavailable when the token could not be recorded.
        """
        client = await self._clients.authenticate(request, now_s)
        grant_type = request.needed("grant_type")
        grant = self._grants.get(grant_type)
        if grant is None:
            raise OAuthError("unsupported_grant_type", "no such grant type here")
        if self._revocations.suspended("agent", client.agent):
            raise OAuthError("unauthorized_client", "this agent is suspended")
        self._check_resources(request)
        try:
            bound_to = self._proven(request, client, now_s)
            minted = await grant(request, client, bound_to, now_s)
        except SessionEnded:
            raise OAuthError("invalid_grant", "this session has ended") from None
        response = _response(minted, now_s)
        if grant_type == TOKEN_EXCHANGE:
            response["issued_token_type"] = ACCESS_TOKEN
        return response

    async def revoke(self, request: OAuthRequest, now_s: int) -> None:
        """End one token of the client (RFC 7009); what is no good token needs no end.

        Raises OAuthError, and AuditUnavailable: then the token still stands.
        """
        client = await self._clients.authenticate(request, now_s)
        try:
            principal = self._tokens.check_renewable(_token(request, "token"), now_s)
        except AuthError:
            return
        if principal.agent != client.agent:
            raise OAuthError("invalid_grant", "another client's token")
        entry: dict[str, Json] = {
            "actor": actor(principal),
            "session": principal.session,
            "jti": principal.token_id,
            "until": renewable_until(principal),
            "by": _by(client),
            "source": request.source,
        }
        await self._record("token.revoke", entry)

    async def introspect(self, request: OAuthRequest, now_s: int) -> dict[str, Json]:
        """What a token of the client says (RFC 7662); `active: false` for every other text.

        Raises OAuthError.
        """
        client = await self._clients.authenticate(request, now_s)
        try:
            principal = self._tokens.check(_token(request, "token"), now_s)
            self._sessions.live(principal, now_s)
        except (AuthError, SessionEnded):
            return {"active": False}
        if principal.agent != client.agent:
            return {"active": False}
        url = self._rules.public_url
        return {
            "active": True,
            "token_type": _token_type(principal),
            **claims.write(principal, issuer=url, audience=url),
        }

    # -- grants

    async def _begin(
        self, request: OAuthRequest, client: Client, bound_to: str | None, now_s: int
    ) -> Minted:
        """Client credentials (RFC 6749, section 4.4): a token of a new session, for itself."""
        granted = _narrowed(request, client.scopes)
        lifetime_s = self._lifetime(request)
        session = await self._sessions.open_by_agent(client.agent, None)
        order = Order(
            agent=client.agent,
            session=session,
            scopes=granted,
            hops=client.hops,
            lifetime_s=lifetime_s,
            by=_by(client),
            source=request.source,
            bound_to=bound_to,
        )
        return await self._mint.mint(order, now_s)

    async def _renew(
        self, request: OAuthRequest, client: Client, bound_to: str | None, now_s: int
    ) -> Minted:
        """A fresh token for the session of the client's own token; nothing in it grows."""
        principal = self._own_token(request, client, now_s)
        if principal.bound_to not in (None, bound_to):
            raise OAuthError("invalid_dpop_proof", "the subject token is bound to another key")
        session = self._sessions.live(principal, now_s)
        order = Order(
            agent=principal.agent,
            user=principal.user,
            user_groups=principal.user_groups,
            session=session,
            scopes=_narrowed(request, scopes.intersect(principal.scopes, client.scopes)),
            hops=min(principal.hops, client.hops),
            lifetime_s=self._lifetime(request),
            by=_by(client),
            renews=principal.token_id,
            source=request.source,
            bound_to=bound_to,
            root=principal.root,
        )
        return await self._mint.mint(order, now_s)

    def _own_token(self, request: OAuthRequest, client: Client, now_s: int) -> Principal:
        if request.needed("subject_token_type") != ACCESS_TOKEN:
            raise OAuthError("invalid_request", "the subject token must be an access token")
        if request.one("requested_token_type") not in (None, ACCESS_TOKEN):
            raise OAuthError("invalid_request", "only access tokens are issued")
        if request.one("actor_token") is not None:
            raise OAuthError("invalid_request", "a session is renewed without an actor token")
        try:
            principal = self._tokens.check_renewable(_token(request, "subject_token"), now_s)
        except AuthError as error:
            raise OAuthError("invalid_request", f"the subject token is {error.reason}") from error
        if principal.agent != client.agent:
            raise OAuthError("invalid_request", "the subject token is another client's")
        if principal.chain:
            # Else it would outlive the token that it was derived from.
            raise OAuthError("invalid_request", "a delegated token is not renewed")
        return principal

    # -- parameters

    def _proven(self, request: OAuthRequest, client: Client, now_s: int) -> str | None:
        """The key that the client proves to hold, if it offers one (RFC 9449, section 5)."""
        if request.proof is None:
            return None
        about = Presented("POST", f"{self._rules.public_url}{TOKEN_PATH}", client.agent)
        try:
            return self._proofs.check(request.proof, about, now_s)
        except AuthError as error:
            wants_nonce = error.reason == "nonce"
            raise OAuthError(
                "use_dpop_nonce" if wants_nonce else "invalid_dpop_proof",
                str(error),
                nonce=self._proofs.nonce(now_s) if wants_nonce else None,
            ) from error

    def _lifetime(self, request: OAuthRequest) -> int:
        """Parameter `requested_lifetime`, ours: seconds; the mint shortens what is too long."""
        text = request.one("requested_lifetime")
        if text is None:
            return self._rules.ttl_s
        if not _LIFETIME.fullmatch(text):
            raise OAuthError("invalid_request", "requested_lifetime is no number of seconds")
        return int(text)

    def _check_resources(self, request: OAuthRequest) -> None:
        """Every resource (RFC 8707) or audience (RFC 8693) must be this gateway, or below it."""
        url = self._rules.public_url
        named = (*request.parameters.get("resource", ()), *request.parameters.get("audience", ()))
        for resource in named:
            below = resource.removeprefix(url)
            if not (resource.startswith(url) and _BELOW.fullmatch(below)):
                raise OAuthError("invalid_target", "not a resource of this gateway")


def _narrowed(request: OAuthRequest, most: scopes.Scopes) -> scopes.Scopes:
    """What is asked for of what is to be had; all of it when nothing is asked for."""
    text = request.one("scope")
    try:
        granted = most if text is None else scopes.intersect(scopes.parse(text), most)
    except ScopeInvalid as error:
        raise OAuthError("invalid_scope", str(error)) from error
    if not granted:
        raise OAuthError("invalid_scope", "nothing of this can be granted")
    return granted


def _token(request: OAuthRequest, name: str) -> bytes:
    return request.needed(name).encode("utf-8", "surrogatepass")


def _by(client: Client) -> str:
    return f"agent:{client.agent}"


def _token_type(principal: Principal) -> str:
    return "Bearer" if principal.bound_to is None else "DPoP"


def _response(minted: Minted, now_s: int) -> dict[str, Json]:
    return {
        "access_token": minted.token,
        "token_type": _token_type(minted.principal),
        "expires_in": minted.principal.expires - now_s,
        "scope": scopes.write(minted.principal.scopes),
    }

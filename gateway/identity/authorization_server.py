"""The authorization server: what a registered client may ask for, and what it gets (RFC 6749).

Agents prove who they are and get a token for a new session (client credentials) or for a token
(token exchange, RFC 8693); applications, which cannot, get one for a code or a refresh token. Both
may end a token (RFC 7009), and agents look at their own (RFC 7662). Knows nothing of HTTP:
`gateway.faces.oauth` brings requests and takes answers away.
"""

from collections.abc import Mapping

from audit.canonical import Json
from gateway.errors import SessionEnded
from gateway.identity import claims, scopes
from gateway.identity.applications import Application
from gateway.identity.client_authentication import ClientAuthentication
from gateway.identity.client_credentials import ClientCredentials
from gateway.identity.clients import Client
from gateway.identity.code_grant import CodeGrant, Held, RefreshGrant
from gateway.identity.dpop import Presented, Proofs
from gateway.identity.errors import AuthError, OAuthError
from gateway.identity.grants import Asked, Grant, Means
from gateway.identity.minting import Minted, Record
from gateway.identity.oauth_request import OAuthRequest
from gateway.identity.resources import check_resources
from gateway.identity.token_exchange import ACCESS_TOKEN, TokenExchange
from gateway.identity.tokens import renewable_until
from gateway.principal import Principal, actor

AUTHORIZATION_CODE = "authorization_code"
CLIENT_CREDENTIALS = "client_credentials"
REFRESH_TOKEN = "refresh_token"  # noqa: S105 - a name
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name
TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path


class AuthorizationServer:
    """Answers registered clients.

    public_url  issuer and audience of tokens, without a trailing slash
    """

    def __init__(
        self,
        public_url: str,
        clients: ClientAuthentication,
        proofs: Proofs,
        means: Means,
        held: Held,
        record: Record,
    ) -> None:
        self._url = public_url
        self._clients = clients
        self._proofs = proofs
        self._tokens = means.tokens
        self._sessions = means.sessions
        self._policy = means.policy
        self._held = held
        self._record = record
        self._grants: Mapping[str, Grant] = {
            CLIENT_CREDENTIALS: ClientCredentials(means),
            TOKEN_EXCHANGE: TokenExchange(means),
        }
        self._application_grants: Mapping[str, Grant] = {
            AUTHORIZATION_CODE: CodeGrant(means, held),
            REFRESH_TOKEN: RefreshGrant(means, held),
        }

    async def token(self, request: OAuthRequest, now_s: int) -> dict[str, Json]:
        """The members of a token response (RFC 6749, section 5.1; RFC 8693, section 2.2.1).

        Raises OAuthError, and AuditUnavailable when the token could not be recorded.
        """
        client = await self._clients.authenticate(request, now_s)
        grant_type = request.needed("grant_type")
        grant = self._grant(grant_type, client)
        if self._held.revocations.suspended("agent", client.agent):
            raise OAuthError("unauthorized_client", "this agent is suspended")
        registered = self._policy().agents.get(client.agent)
        if registered is not None and registered.has_ended(now_s * 1_000_000):
            raise OAuthError("unauthorized_client", "the registration of this agent has ended")
        for name in ("resource", "audience"):  # RFC 8707, RFC 8693
            check_resources(request.parameters.get(name, ()), self._url)
        try:
            bound_to = self._proven(request, client, now_s)
            minted = await grant.grant(Asked(request, client, bound_to, now_s))
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
        if client.application is not None:
            await self._end(client.application, request.needed("token"))
            return
        try:
            principal = self._tokens.check_renewable(_token(request), now_s)
        except AuthError:
            return
        if principal.agent != client.agent:
            raise OAuthError("invalid_grant", "another client's token")
        entry: dict[str, Json] = {
            "actor": actor(principal),
            "session": principal.session,
            "jti": principal.token_id,
            "until": renewable_until(principal),
            "by": client.said,
            "source": request.source,
        }
        await self._record("token.revoke", entry)

    async def introspect(self, request: OAuthRequest, now_s: int) -> dict[str, Json]:
        """What a token of the client says (RFC 7662); `active: false` for every other text.

        Raises OAuthError.
        """
        client = await self._clients.authenticate(request, now_s)
        if client.application is not None:
            raise OAuthError("invalid_client", "whoever looks at tokens proves who they are")
        try:
            principal = self._tokens.check(_token(request), now_s)
            self._sessions.live(principal, now_s)
        except (AuthError, SessionEnded):
            return {"active": False}
        if principal.agent != client.agent:
            return {"active": False}
        url = self._url
        return {
            "active": True,
            "token_type": _token_type(principal),
            **claims.write(principal, issuer=url, audience=url),
        }

    async def _end(self, application: Application, token: str) -> None:
        """End the session that a refresh token of this application is of, with all its tokens."""
        found = self._held.refresh_tokens.read(token)
        renewable = None if found is None else self._held.renewals.get(found.session)
        if renewable is not None and renewable.renewal.client == application.id:
            await self._held.end_session(renewable.session, f"application:{application.id}")

    # -- parameters

    def _grant(self, grant_type: str, client: Client) -> Grant:
        """The grant of that type, of those that are for this kind of client."""
        own, others = self._grants, self._application_grants
        if client.application is not None:
            own, others = others, own
        if grant_type in own:
            return own[grant_type]
        if grant_type in others:
            raise OAuthError("unauthorized_client", "not for this kind of client")
        raise OAuthError("unsupported_grant_type", "no such grant type here")

    def _proven(self, request: OAuthRequest, client: Client, now_s: int) -> str | None:
        """The key that the client proves to hold, if it offers one (RFC 9449, section 5)."""
        if request.proof is None:
            return None
        about = Presented("POST", f"{self._url}{TOKEN_PATH}", client.agent)
        try:
            return self._proofs.check(request.proof, about, now_s)
        except AuthError as error:
            wants_nonce = error.reason == "nonce"
            raise OAuthError(
                "use_dpop_nonce" if wants_nonce else "invalid_dpop_proof",
                str(error),
                nonce=self._proofs.nonce(now_s) if wants_nonce else None,
            ) from error


def _token(request: OAuthRequest) -> bytes:
    return request.needed("token").encode("utf-8", "surrogatepass")


def _token_type(principal: Principal) -> str:
    return "Bearer" if principal.bound_to is None else "DPoP"


def _response(minted: Minted, now_s: int) -> dict[str, Json]:
    response: dict[str, Json] = {
        "access_token": minted.token,
        "token_type": _token_type(minted.principal),
        "expires_in": minted.principal.expires - now_s,
        "scope": scopes.write(minted.principal.scopes),
    }
    if minted.refresh is not None:
        response["refresh_token"] = minted.refresh
    return response

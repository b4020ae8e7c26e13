"""Token exchange (RFC 8693): a token for a token.

Whose the presented token is decides what it is exchanged for: a client's own token for a fresh one
of the same session, another agent's for one with which that agent's work is handed on
(`gateway.identity.delegation`), a user's for one on their behalf
(`gateway.identity.user_exchange`).
"""

from gateway.identity import scopes
from gateway.identity.client_credentials import refuse_speaking
from gateway.identity.delegation import Delegation
from gateway.identity.errors import AuthError, OAuthError
from gateway.identity.grants import Asked, Means
from gateway.identity.minting import Minted, Order
from gateway.identity.user_exchange import USER_TOKENS, UserExchange
from gateway.principal import Principal

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name


class TokenExchange:
    """Exchanges access tokens, and tokens of users."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._users = UserExchange(means)
        self._delegation = Delegation(means)

    async def grant(self, asked: Asked) -> Minted:
        """The other token. Raises OAuthError, SessionEnded and AuditUnavailable."""
        refuse_speaking(asked)
        request = asked.request
        if request.one("requested_token_type") not in (None, ACCESS_TOKEN):
            raise OAuthError("invalid_request", "only access tokens are issued")
        kind = request.needed("subject_token_type")
        if kind in USER_TOKENS:
            return await self._users.begin(asked)
        if kind != ACCESS_TOKEN:
            raise OAuthError("invalid_request", "no type of subject token that is taken here")
        if request.one("actor_token_type") not in (None, ACCESS_TOKEN):
            raise OAuthError("invalid_request", "the actor token must be an access token")
        try:
            subject = self._means.tokens.check_renewable(asked.token("subject_token"), asked.now_s)
        except AuthError as error:
            raise OAuthError("invalid_request", f"the subject token is {error.reason}") from error
        if subject.agent == asked.client.agent:
            return await self._renewed(asked, subject)
        return await self._delegation.hand_on(asked, subject)

    async def _renewed(self, asked: Asked, subject: Principal) -> Minted:
        """A fresh token for the session of the client's own token; nothing in it grows."""
        client, means = asked.client, self._means
        if asked.request.one("actor_token") is not None:
            raise OAuthError("invalid_request", "a session is renewed without an actor token")
        if subject.chain:
            # Else it would outlive the token that it was derived from.
            raise OAuthError("invalid_request", "a delegated token is not renewed")
        if subject.bound_to not in (None, asked.bound_to):
            raise OAuthError("invalid_dpop_proof", "the subject token is bound to another key")
        order = Order(
            agent=subject.agent,
            user=subject.user,
            user_groups=subject.user_groups,
            session=means.sessions.live(subject, asked.now_s),
            scopes=asked.narrowed(scopes.intersect(subject.scopes, client.scopes)),
            hops=min(subject.hops, client.hops),
            lifetime_s=asked.lifetime_s(means.ttl_s),
            by=asked.by,
            renews=subject.token_id,
            source=asked.request.source,
            bound_to=asked.bound_to,
            root=subject.root,
        )
        return await means.mint.mint(order, asked.now_s)

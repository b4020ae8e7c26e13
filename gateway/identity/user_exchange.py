"""User exchange: a user's own token for one with which an agent acts for that user (RFC 8693).

The user's token comes from an issuer that the deployment names and is made for this gateway; the
agent that presents it proves who it is itself, and uses it up. The session is the agent's own and
keeps what the agent has touched for this user; the first token ends with the user's at the latest.
"""

from gateway.identity.errors import AuthError, IssuerSilent, OAuthError
from gateway.identity.grants import Asked, Means
from gateway.identity.issuers import User
from gateway.identity.minting import Minted, Order

USER_TOKENS = frozenset(
    {
        "urn:ietf:params:oauth:token-type:id_token",
        "urn:ietf:params:oauth:token-type:jwt",
    }
)
"""Types of subject token that another issuer made (RFC 8693, section 3)."""


class UserExchange:
    """Opens sessions on behalf of users."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def begin(self, asked: Asked) -> Minted:
        """A token of a new session for the user of the presented token.

        Raises OAuthError, SessionEnded and AuditUnavailable.
        """
        if asked.request.one("actor_token") is not None:
            raise OAuthError("invalid_request", "the client itself is the actor")
        client, means = asked.client, self._means
        granted, lifetime_s = asked.narrowed(client.scopes), asked.lifetime_s(means.ttl_s)
        user = await self._vouched_for(asked)
        order = Order(
            agent=client.agent,
            user=user.name,
            user_groups=user.groups,
            session=await means.openings.by_agent(client.agent, user.name),
            scopes=granted,
            hops=min(client.hops, means.policy().delegation.max_hops),
            lifetime_s=min(lifetime_s, max(1, user.expires - asked.now_s)),
            by=asked.by,
            source=asked.request.source,
            bound_to=asked.bound_to,
        )
        return await means.mint.mint(order, asked.now_s)

    async def _vouched_for(self, asked: Asked) -> User:
        request = asked.request
        token = request.needed("subject_token")
        try:
            return await self._means.users.take(token, asked.now_s, source=request.source)
        except AuthError as error:
            raise OAuthError("invalid_request", f"the subject token is {error.reason}") from error
        except IssuerSilent as error:
            raise OAuthError("temporarily_unavailable", str(error), retry_after=5) from error

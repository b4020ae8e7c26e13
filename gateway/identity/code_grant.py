"""Authorization code and refresh token: the two grants of applications (RFC 6749, 4.1.3 and 6).

An application proves nothing about itself. What it shows instead: with a code, the secret whose
digest it named before anybody was asked (RFC 7636); with a refresh token, that it has the newest.
A code, and a refresh token, that comes twice ends the session that it belongs to.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from hmac import compare_digest

from gateway.errors import SessionEnded
from gateway.identity import scopes
from gateway.identity.codes import Agreed, Codes
from gateway.identity.consents import Consents
from gateway.identity.errors import CodeReused, OAuthError
from gateway.identity.grants import Asked, Means
from gateway.identity.minting import Minted, Order
from gateway.identity.public_keys import base64url
from gateway.identity.refresh_tokens import RefreshToken, RefreshTokens
from gateway.identity.renewals import Renewable, Renewal, Renewals
from gateway.identity.revocation import Revocations
from gateway.session.session import Session


@dataclass(frozen=True, slots=True)
class Held:
    """What the sessions of applications rest on.

    end_session  ends one, and says why
    """

    codes: Codes
    consents: Consents
    renewals: Renewals
    refresh_tokens: RefreshTokens
    revocations: Revocations
    end_session: Callable[[str, str], Awaitable[None]]

    def check_user(self, user: str) -> None:
        """Raise OAuthError (`invalid_grant`) for somebody in whose name nothing passes."""
        if self.revocations.suspended("user", user):
            raise OAuthError("invalid_grant", "this user is suspended")


class CodeGrant:
    """Exchanges codes: a session of its own for each."""

    def __init__(self, means: Means, held: Held) -> None:
        self._means = means
        self._held = held

    async def grant(self, asked: Asked) -> Minted:
        """The first tokens of a session. Raises OAuthError, SessionEnded and AuditUnavailable."""
        code = asked.request.needed("code")
        try:
            agreed = self._held.codes.take(code)
        except CodeReused as reused:
            if reused.session is not None:
                await self._held.end_session(reused.session, "a code that came twice")
            raise
        self._check(asked, agreed)
        lifetime_s = asked.lifetime_s(self._means.ttl_s)
        session = await self._open(asked, agreed)
        if not self._held.codes.gave(code, session.id):
            await self._held.end_session(session.id, "a code that came twice")
            raise CodeReused(session.id)
        return await self._mint(asked, agreed, session, lifetime_s)

    def _check(self, asked: Asked, agreed: Agreed) -> None:
        """A code is good for who asked for it, at the place it was sent to, and nobody else."""
        request = agreed.request
        if asked.client.id != request.application.id:
            raise OAuthError("invalid_grant", "another application's code")
        if asked.request.needed("redirect_uri") != request.redirect:
            raise OAuthError("invalid_grant", "the code was sent elsewhere")
        verifier = asked.request.needed("code_verifier").encode("utf-8", "surrogatepass")
        shown = base64url(sha256(verifier).digest())
        if not compare_digest(shown, request.challenge):
            raise OAuthError("invalid_grant", "this is not the verifier of the code")
        if request.bound_to not in (None, asked.bound_to):
            raise OAuthError("invalid_dpop_proof", "the code is bound to another key")
        if asked.request.one("scope") is not None:
            raise OAuthError("invalid_request", "what was agreed to is not asked for again")
        if self._held.consents.get(agreed.consent) is None:
            raise OAuthError("invalid_grant", "the consent was withdrawn")
        self._held.check_user(agreed.person.name)

    async def _open(self, asked: Asked, agreed: Agreed) -> Session:
        agent, user = asked.client.agent, agreed.person.name
        return await self._means.openings.by_agent(agent, user, by=asked.by)

    async def _mint(
        self, asked: Asked, agreed: Agreed, session: Session, lifetime_s: int
    ) -> Minted:
        granted = agreed.request.scopes
        order = Order(
            agent=asked.client.agent,
            user=agreed.person.name,
            user_groups=agreed.person.groups,
            session=session,
            scopes=granted,
            hops=min(asked.client.hops, self._means.policy().delegation.max_hops),
            lifetime_s=lifetime_s,
            by=asked.by,
            source=asked.request.source,
            bound_to=asked.bound_to,
            renewal=Renewal(
                client=agreed.request.application.id,
                consent=agreed.consent,
                number=1,
                scope=scopes.write(granted),
                until=session.ends,
            ),
        )
        minted = await self._means.mint.mint(order, asked.now_s)
        token = self._held.refresh_tokens.write(RefreshToken(session.id, 1))
        return replace(minted, refresh=token)


class RefreshGrant:
    """Exchanges refresh tokens: the same session anew, and the next refresh token."""

    def __init__(self, means: Means, held: Held) -> None:
        self._means = means
        self._held = held
        self._under_way: set[str] = set()

    async def grant(self, asked: Asked) -> Minted:
        """The next tokens of a session. Raises OAuthError, SessionEnded and AuditUnavailable."""
        token = self._held.refresh_tokens.read(asked.request.needed("refresh_token"))
        found = None if token is None else self._held.renewals.get(token.session)
        if token is None or found is None or found.renewal.client != asked.client.id:
            raise OAuthError("invalid_grant", "no refresh token of this application")
        if token.number != found.renewal.number or token.session in self._under_way:
            await self._held.end_session(token.session, "a refresh token that came twice")
            raise OAuthError("invalid_grant", "this refresh token was used before")
        order = self._order(asked, found)
        self._under_way.add(token.session)  # no await lies between the look and this
        try:
            minted = await self._means.mint.mint(order, asked.now_s)
        finally:
            self._under_way.discard(token.session)
        following = RefreshToken(token.session, token.number + 1)
        return replace(minted, refresh=self._held.refresh_tokens.write(following))

    def _order(self, asked: Asked, found: Renewable) -> Order:
        """Nothing in it grows: what the application may have by now, of what was agreed to."""
        holder, renewal = found.holder, found.renewal
        if holder.agent != asked.client.agent:
            raise OAuthError("invalid_grant", "this application acts as another agent now")
        if holder.bound_to not in (None, asked.bound_to):
            raise OAuthError("invalid_dpop_proof", "the session is bound to another key")
        session = self._means.sessions.get(found.session)
        if session is None or session.ended or session.ends <= asked.now_s:
            raise SessionEnded
        self._held.check_user(holder.user)
        most = scopes.intersect(scopes.parse(renewal.scope), asked.client.scopes)
        return Order(
            agent=holder.agent,
            user=holder.user,
            user_groups=holder.groups,
            session=session,
            scopes=asked.narrowed(most),
            hops=min(holder.hops, asked.client.hops),
            lifetime_s=asked.lifetime_s(self._means.ttl_s),
            by=asked.by,
            renews=holder.token_id,
            source=asked.request.source,
            bound_to=asked.bound_to,
            renewal=replace(renewal, number=renewal.number + 1),
        )

"""Delegation: an agent's work handed on to another, which then acts for it (RFC 8693, `act`).

The receiving agent presents the other's token and proves who it is itself. What it gets is never
wider, longer or deeper than what it presents: scopes are those that token, edge of the policy and
request have in common, it ends with that token, it reaches one agent less far, and it acts for the
same user with the same purpose, in a session of its own below the other's. A token can be handed
to an agent once. Each call decides anew, for every link of the chain.
"""

from collections.abc import Iterable
from dataclasses import replace

from gateway.errors import SessionEnded
from gateway.identity import scopes
from gateway.identity.claims import MAX_CHAIN
from gateway.identity.consents import Consent
from gateway.identity.errors import AuthError, DelegationRefused, OAuthError, ScopeInvalid
from gateway.identity.grants import Asked, Means
from gateway.identity.minting import Minted, Order
from gateway.principal import Principal
from gateway.session.opening import HandedOn
from policies.notation import tool_matches
from policies.snapshot import Snapshot


class Delegation:
    """Hands work on."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def hand_on(self, asked: Asked, subject: Principal) -> Minted:
        """A token for the client, which acts for the agent of the token it presents.

        subject  whose the presented token is; perhaps over, since only renewal forgives that

        Raises DelegationRefused and AuditUnavailable.
        """
        # What would come to be, as far as both sides have authenticated; for the record.
        chain = (subject.agent, *subject.chain)
        attempted = replace(subject, agent=asked.client.agent, chain=chain, scopes=())
        try:
            return await self._hand_on(asked, subject, chain)
        except DelegationRefused as refused:
            refused.attempted = attempted
            raise

    async def _hand_on(self, asked: Asked, subject: Principal, chain: tuple[str, ...]) -> Minted:
        policy, means = self._means.policy(), self._means
        self._check_tokens(asked, subject)
        check_chain(asked.client.agent, subject, policy)
        granted = _granted(asked, subject, policy, consented=self._consented(asked, subject))
        lifetime_s = asked.lifetime_s(means.ttl_s)
        try:
            parent = means.sessions.live(subject, asked.now_s)
        except SessionEnded:
            raise DelegationRefused("session", "the session has ended") from None
        await self._use_up(asked, subject)
        to = HandedOn(
            parent=parent,
            agent=asked.client.agent,
            chain=chain,
            ends=subject.expires,
            granted_by=subject.token_id,
            max_children=policy.delegation.max_children,
        )
        order = Order(
            agent=asked.client.agent,
            user=subject.user,
            user_groups=subject.user_groups,
            chain=chain,
            session=await means.openings.handed_on(to),
            scopes=granted,
            hops=min(subject.hops - 1, asked.client.hops),
            lifetime_s=lifetime_s,
            by=asked.by,
            source=asked.request.source,
            bound_to=asked.bound_to,
            root=subject.root,
        )
        return await means.mint.mint(order, asked.now_s)

    def _consented(self, asked: Asked, subject: Principal) -> bool:
        """Whether the user agreed to what the policy leaves to them, as it stands."""
        policy, to = self._means.policy(), asked.client.agent
        if subject.user is None or (subject.agent, to) not in policy.delegation.by_consent:
            return False
        consent = to_hand_on(subject.user, subject.agent, to, policy)
        return self._means.consents.find(consent) is not None

    def _check_tokens(self, asked: Asked, subject: Principal) -> None:
        """The presented token must be good now, and an actor token the client's own."""
        if asked.now_s >= subject.expires:
            raise DelegationRefused("subject", "the subject token is expired")
        if asked.request.one("actor_token") is None:
            return
        try:
            actor = self._means.tokens.check(asked.token("actor_token"), asked.now_s)
        except AuthError as error:
            raise DelegationRefused("actor", f"the actor token is {error.reason}") from error
        if actor.agent != asked.client.agent or actor.chain:
            raise DelegationRefused("actor", "the actor token is not the client's own")

    async def _use_up(self, asked: Asked, subject: Principal) -> None:
        is_first = await self._means.single_use.use(
            asked.client.agent,
            f"subject {subject.token_id}",
            until_s=subject.expires,
            source=asked.request.source,
        )
        if not is_first:
            raise DelegationRefused("reused", "this token was handed to this agent before")


def check_chain(to: str, subject: Principal, policy: Snapshot) -> None:
    """Check that `subject` may hand its work to the agent `to`. Raises DelegationRefused."""
    chain = (subject.agent, *subject.chain)
    if to in chain:
        raise DelegationRefused("cycle", "the agent is in the chain already")
    if (subject.agent, to) not in policy.delegation.edges:
        raise DelegationRefused("edge", "no policy lets this agent be handed the work")
    if subject.hops < 1:
        raise DelegationRefused("hops", "this token reaches no further agent")
    if len(chain) > min(policy.delegation.max_hops, MAX_CHAIN):
        raise DelegationRefused("depth", "the chain would be too long")


def to_hand_on(user: str, origin: str, to: str, policy: Snapshot) -> Consent:
    """What a user has to agree to so that `to` is handed what the policy leaves to them."""
    tools = sorted(policy.delegation.by_consent[origin, to])
    return Consent(user, client=f"agent:{origin}", agent=to, redirect="", scope=" ".join(tools))


def lent(
    to: str, subject: Principal, policy: Snapshot, *, consented: bool = False
) -> scopes.Scopes:
    """What the credential of `subject` and the edge to `to`, which there is, have in common.

    consented  whether its user agreed to what the policy leaves to them
    """
    edge = policy.delegation.lent(subject.agent, to, consented=consented)
    return scopes.intersect(subject.scopes, _as_scopes(edge, policy.tools))


def _granted(
    asked: Asked, subject: Principal, policy: Snapshot, *, consented: bool
) -> scopes.Scopes:
    """What token, edge, registration and request have in common."""
    to = asked.client.agent
    if not (consented or policy.delegation.lent(subject.agent, to, consented=False)):
        page = f"/oauth/delegation/start?from={subject.agent}&to={to}"
        raise DelegationRefused("consent", f"its user has to agree to that first, at {page}")
    try:
        most = lent(to, subject, policy, consented=consented)
        return asked.narrowed(scopes.intersect(most, asked.client.scopes))
    except (ScopeInvalid, OAuthError) as error:
        raise DelegationRefused("scope", str(error)) from error


def _as_scopes(patterns: Iterable[str], tools: Iterable[str]) -> scopes.Scopes:
    """Patterns of the policy as scopes, which know no `server.prefix*`: each tool it stands for."""
    found: list[str] = []
    for pattern in patterns:
        is_prefix = pattern.endswith("*") and not pattern.endswith(".*")
        found += [t for t in tools if tool_matches(pattern, t)] if is_prefix else [pattern]
    return scopes.parse(" ".join(found)) if found else ()

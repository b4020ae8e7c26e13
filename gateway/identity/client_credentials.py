"""Client credentials (RFC 6749, section 4.4): a token of a new session.

An agent gets one for itself. A *front end* (a client that policy allows to speak for people) gets
one for an agent and a user, with the purpose in that user's words; that takes four parameters of
our own: `agent`, `user`, `purpose` and `purpose_tools`. With a fifth, `session`, it hands on what
the user says later in a session that it opened, and gets another token of it.
"""

from gateway.errors import PurposeInvalid, SessionEnded
from gateway.identity import names
from gateway.identity.errors import NameInvalid, OAuthError
from gateway.identity.grants import Asked, Means
from gateway.identity.minting import Minted, Order
from gateway.session.purpose import Purpose
from gateway.session.session import Session
from gateway.session.sessions import Sessions
from policies.snapshot import FrontEnd

SPEAKING = ("agent", "user", "purpose", "purpose_tools", "session")
"""Parameters that only a front end may state."""


class ClientCredentials:
    """Opens sessions for clients."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def grant(self, asked: Asked) -> Minted:
        """A token of a new session. Raises OAuthError and AuditUnavailable."""
        front_end = self._means.policy().front_ends.get(asked.client.agent)
        if front_end is None:
            refuse_speaking(asked)
            return await self._for_itself(asked)
        return await self._for_a_user(asked, front_end)

    async def _for_itself(self, asked: Asked) -> Minted:
        client, means = asked.client, self._means
        granted, lifetime_s = asked.narrowed(client.scopes), asked.lifetime_s(means.ttl_s)
        order = Order(
            agent=client.agent,
            session=await means.openings.by_agent(client.agent, None),
            scopes=granted,
            hops=min(client.hops, means.policy().delegation.max_hops),
            lifetime_s=lifetime_s,
            by=asked.by,
            source=asked.request.source,
            bound_to=asked.bound_to,
        )
        return await means.mint.mint(order, asked.now_s)

    async def _for_a_user(self, asked: Asked, front_end: FrontEnd) -> Minted:
        client, means = asked.client, self._means
        agent, user = _served(asked, front_end)
        by = f"front-end:{client.agent}"
        granted, lifetime_s = asked.narrowed(client.scopes), asked.lifetime_s(means.ttl_s)
        order = Order(
            agent=agent,
            user=user,
            session=await self._session(asked, agent, user, by=by),
            scopes=granted,
            hops=min(client.hops, means.policy().delegation.max_hops),
            lifetime_s=lifetime_s,
            by=by,
            source=asked.request.source,
            bound_to=asked.bound_to,
        )
        return await means.mint.mint(order, asked.now_s)

    async def _session(self, asked: Asked, agent: str, user: str, *, by: str) -> Session:
        """A clean one (what the agent touched elsewhere is no matter of this user's), or the one
        that this front end opened for them before.
        """
        sessions, known = self._means.sessions, asked.request.one("session")
        if known is None:
            return await self._means.openings.clean(agent, user, by=by, purpose=_purpose(asked))
        session = sessions.get(known)
        if session is None or (session.agent, session.user, session.by) != (agent, user, by):
            raise OAuthError("invalid_request", "this front end has opened no such session")
        if session.ended or session.ends <= asked.now_s:
            raise SessionEnded
        if asked.request.one("purpose_tools") is not None:
            raise OAuthError("unauthorized_client", "only a person widens what a task may use")
        words = asked.request.one("purpose")
        if words is not None:
            await _say(sessions, session, words, by=by)
        return session


async def _say(sessions: Sessions, session: Session, words: str, *, by: str) -> None:
    try:
        await sessions.say(session, words, by=by)
    except PurposeInvalid as error:
        raise OAuthError("invalid_request", str(error)) from error


def refuse_speaking(asked: Asked) -> None:
    """Raise OAuthError when somebody who is no front end would speak for a person."""
    if any(asked.request.one(name) is not None for name in SPEAKING):
        raise OAuthError(
            "unauthorized_client", "only a front end speaks for a user or states a purpose"
        )


def _served(asked: Asked, front_end: FrontEnd) -> tuple[str, str]:
    """The agent that is to act and the user it acts for."""
    try:
        agent = names.agent(asked.request.needed("agent"))
        user = names.user(asked.request.needed("user"))
    except NameInvalid as error:
        raise OAuthError("invalid_request", str(error)) from error
    if agent not in front_end.agents or user not in front_end.users:
        raise OAuthError("unauthorized_client", "this front end does not speak for them")
    return agent, user


def _purpose(asked: Asked) -> Purpose | None:
    words, tools = asked.request.one("purpose"), asked.request.one("purpose_tools")
    if words is None and tools is None:
        return None
    try:
        return Purpose.read(words or "", tools)
    except PurposeInvalid as error:
        raise OAuthError("invalid_request", str(error)) from error

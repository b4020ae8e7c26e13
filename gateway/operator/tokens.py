"""`/api/tokens`: credentials that an operator hands to an agent, each recorded before it exists."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from audit.canonical import Json
from gateway.identity import names, scopes
from gateway.identity.errors import AuthError, OAuthError
from gateway.identity.issuers import MAX_LIFE_S, User
from gateway.identity.minting import Order
from gateway.identity.tokens import renewable_until
from gateway.notation import milliseconds
from gateway.operator.api import Administrator, Here, Routes, body_of, peer
from gateway.operator.errors import OperatorRefused
from gateway.operator.services import Services
from gateway.principal import actor
from gateway.session.purpose import Purpose
from gateway.session.session import Session

router = Routes()


class Wanted(BaseModel):
    """What the token is to say.

    user_token  the user's own, of a trusted issuer, which is used up: proves that they want this
    bound_to    thumbprint (RFC 7638) of the key without which the token is worth nothing
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    agent: str
    user: str | None = None
    user_token: str | None = None
    bound_to: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")] | None = None
    session: str | None = None
    tools: list[str] = Field(default_factory=lambda: ["*"], min_length=1)
    ttl_s: Annotated[int, Field(gt=0)] | None = None
    purpose: str | None = None
    purpose_tools: list[str] | None = None


class Withdrawn(BaseModel):
    """Which token is to be worth nothing from now on."""

    model_config = ConfigDict(extra="forbid", strict=True)

    token: str


@router.post("")
async def issue(services: Here, operator: Administrator, http: Request) -> dict[str, Json]:
    """Issue a token for an agent that the policy names, in a new session or one that it has."""
    wanted = await body_of(http, Wanted)
    now_s = services.recorder.now() // 1_000_000
    _check_agent(services, wanted.agent)
    granted = scopes.parse(" ".join(wanted.tools))
    user = await _user(services, wanted, now_s, source=peer(http))
    session = await _session(services, wanted, user, by=f"operator:{operator.name}")
    ttl_s = wanted.ttl_s or milliseconds(services.settings.identity.tokens.ttl) // 1000
    order = Order(
        agent=wanted.agent,
        user=None if user is None else user.name,
        user_groups=frozenset() if user is None else user.groups,
        session=session,
        scopes=granted,
        hops=services.worlds.current.snapshot.delegation.max_hops,
        lifetime_s=ttl_s if user is None else min(ttl_s, max(1, user.expires - now_s)),
        by=f"operator:{operator.name}",
        source=peer(http),
        bound_to=wanted.bound_to,
    )
    minted = await services.mint.mint(order, now_s)
    return {
        "access_token": minted.token,
        "token_type": "Bearer" if wanted.bound_to is None else "DPoP",
        "expires_in": minted.principal.expires - now_s,
        "session": session.id,
        "scope": scopes.write(minted.principal.scopes),
    }


@router.post("/revoke")
async def revoke(services: Here, operator: Administrator, http: Request) -> dict[str, Json]:
    """Withdraw a token; it is refused from the next call on, and so is one that waits."""
    wanted = await body_of(http, Withdrawn)
    now_s = services.recorder.now() // 1_000_000
    principal = services.tokens.check_renewable(wanted.token.encode(), now_s)
    entry: dict[str, Json] = {
        "actor": actor(principal),
        "jti": principal.token_id,
        "session": principal.session,
        "until": renewable_until(principal),
        "by": f"operator:{operator.name}",
        "source": peer(http),
    }
    await services.recorder.write("token.revoke", entry)
    return {"revoked": principal.token_id}


def _check_agent(services: Services, agent: str) -> None:
    registered = services.worlds.current.snapshot.agents.get(agent)
    if registered is None:
        raise OperatorRefused("operator.unknown", "no policy in force names this agent")
    if registered.has_ended(services.recorder.now()):
        raise OperatorRefused("operator.expired", "the registration of this agent has ended")


async def _user(services: Services, wanted: Wanted, now_s: int, *, source: str) -> User | None:
    """On whose behalf the agent is to act: of whom the operator shows a token, or nobody."""
    if wanted.user_token is not None:
        user = await _vouched_for(services, wanted.user_token, now_s, source=source)
        if wanted.user not in (None, user.name):
            raise OperatorRefused("operator.user", f"this is a token of {user.name}")
        return user
    if wanted.user is None:
        return None
    if not services.users_by_name:
        raise OperatorRefused("operator.user", "a user is spoken for with that user's own token")
    return User(names.user(wanted.user), frozenset(), expires=now_s + MAX_LIFE_S)


async def _vouched_for(services: Services, token: str, now_s: int, *, source: str) -> User:
    try:
        return await services.users.take(token, now_s, source=source)
    except AuthError as error:
        raise OperatorRefused("operator.user", f"the user's token is {error.reason}") from error
    except OAuthError as error:
        raise OperatorRefused("operator.slow", "too many tokens of this user at a time") from error


async def _session(services: Services, wanted: Wanted, user: User | None, *, by: str) -> Session:
    sessions, name = services.state.sessions, None if user is None else user.name
    if wanted.session is None:
        return await services.openings.clean(wanted.agent, name, by=by, purpose=_purpose(wanted))
    if wanted.purpose is not None or wanted.purpose_tools is not None:
        raise OperatorRefused("operator.body", "a purpose is stated when a session is opened")
    found = sessions.get(wanted.session)
    if found is not None and found.parent is not None:
        # Such a token would not say through whom its agent acts.
        raise OperatorRefused("operator.body", "work that was handed on has its one token")
    if found is None or found.ended or (found.agent, found.user) != (wanted.agent, name):
        raise OperatorRefused("operator.unknown", "this agent has no such session")
    return found


def _purpose(wanted: Wanted) -> Purpose | None:
    if wanted.purpose is None and wanted.purpose_tools is None:
        return None
    tools = None if wanted.purpose_tools is None else " ".join(wanted.purpose_tools)
    return Purpose.read(wanted.purpose or "", tools)

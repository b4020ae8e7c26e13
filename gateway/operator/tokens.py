"""`/api/tokens`: credentials that an operator hands to an agent, each recorded before it exists."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from audit.canonical import Json
from gateway.identity import names, scopes
from gateway.identity.minting import Order
from gateway.identity.tokens import renewable_until
from gateway.operator.api import Administrator, Here, Routes, body_of, peer
from gateway.operator.errors import OperatorRefused
from gateway.operator.services import Services
from gateway.principal import actor
from gateway.session.purpose import Purpose
from gateway.session.session import Session
from gateway.settings import milliseconds

router = Routes()


class Wanted(BaseModel):
    """What the token is to say."""

    model_config = ConfigDict(extra="forbid", strict=True)

    agent: str
    user: str | None = None
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
    snapshot = services.worlds.current.snapshot
    if wanted.agent not in snapshot.agents:
        raise OperatorRefused("operator.unknown", "no policy in force names this agent")
    if snapshot.agents[wanted.agent].has_ended(services.recorder.now()):
        raise OperatorRefused("operator.expired", "the registration of this agent has ended")
    if wanted.user is not None:
        names.user(wanted.user)
    granted = scopes.parse(" ".join(wanted.tools))
    session = await _session(services, wanted, by=operator.name)
    now_s = services.recorder.now() // 1_000_000
    ttl_s = milliseconds(services.settings.identity.tokens.ttl) // 1000
    order = Order(
        agent=wanted.agent,
        user=wanted.user,
        session=session,
        scopes=granted,
        hops=snapshot.delegation.max_hops,
        lifetime_s=wanted.ttl_s or ttl_s,
        by=f"operator:{operator.name}",
        source=peer(http),
    )
    minted = await services.mint.mint(order, now_s)
    return {
        "access_token": minted.token,
        "token_type": "Bearer",
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


async def _session(services: Services, wanted: Wanted, *, by: str) -> Session:
    sessions = services.state.sessions
    if wanted.session is None:
        return await sessions.open_clean(wanted.agent, wanted.user, by=by, purpose=_purpose(wanted))
    if wanted.purpose is not None or wanted.purpose_tools is not None:
        raise OperatorRefused("operator.body", "a purpose is stated when a session is opened")
    found = sessions.get(wanted.session)
    if found is not None and found.parent is not None:
        # Such a token would not say through whom its agent acts.
        raise OperatorRefused("operator.body", "work that was handed on has its one token")
    if found is None or found.ended or (found.agent, found.user) != (wanted.agent, wanted.user):
        raise OperatorRefused("operator.unknown", "this agent has no such session")
    return found


def _purpose(wanted: Wanted) -> Purpose | None:
    if wanted.purpose is None and wanted.purpose_tools is None:
        return None
    tools = None if wanted.purpose_tools is None else " ".join(wanted.purpose_tools)
    return Purpose.read(wanted.purpose or "", tools)

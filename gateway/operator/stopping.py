"""Stopping and going on: one agent, user, server or tool, and everything at once.

Every act is an entry before it is a fact, with its reason sealed beside it. Calls that run are cut
short, none is kept for later, and what is stopped stays so across a restart. This API itself never
stops: nobody could end the stop.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from audit.canonical import Json
from gateway.identity import names
from gateway.identity.revocation import EVERYTHING, KINDS, Kind, key_of
from gateway.operator.api import Administrator, Here, Routes, Viewer, body_of, peer
from gateway.operator.credentials import Operator
from gateway.operator.errors import OperatorRefused
from gateway.operator.services import Services

router = Routes()


class Why(BaseModel):
    """Why somebody does this."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Annotated[str, Field(min_length=1, max_length=2000)]


@dataclass(frozen=True, slots=True)
class Act:
    """Who does something, why, and from where."""

    operator: Operator
    why: Why
    source: str


@router.get("/api/stops")
async def list_stops(services: Here, _: Viewer) -> dict[str, Json]:
    """Everything that is stopped or suspended."""
    return _stops(services)


@router.post("/api/stop")
async def stop(services: Here, operator: Administrator, http: Request) -> dict[str, Json]:
    """Stop everything: no call passes, those that run are cut short."""
    await stop_everything(services, Act(operator, await body_of(http, Why), peer(http)))
    return _stops(services)


@router.post("/api/go")
async def go(services: Here, operator: Administrator, http: Request) -> dict[str, Json]:
    """End a stop of everything. What is suspended besides stays so; nothing is made up for."""
    await go_on(services, Act(operator, await body_of(http, Why), peer(http)))
    return _stops(services)


def _add_routes(kind: Kind) -> None:
    """The two routes of one kind of thing."""

    @router.post(f"/api/{kind}s/{{name:path}}/suspend", name=f"suspend_{kind}")
    async def suspend_one(
        services: Here, operator: Administrator, http: Request, name: str
    ) -> dict[str, Json]:
        act = Act(operator, await body_of(http, Why), peer(http))
        await suspend(services, act, kind, name)
        return _stops(services)

    @router.post(f"/api/{kind}s/{{name:path}}/resume", name=f"resume_{kind}")
    async def resume_one(
        services: Here, operator: Administrator, http: Request, name: str
    ) -> dict[str, Json]:
        act = Act(operator, await body_of(http, Why), peer(http))
        await resume(services, act, kind, name)
        return _stops(services)


async def stop_everything(services: Services, act: Act) -> None:
    """Stop everything. Raises AuditUnavailable."""
    await _record(services, act, "gateway.stopped")


async def go_on(services: Services, act: Act) -> None:
    """End a stop of everything. Raises AuditUnavailable, FleetUnavailable."""
    await _resume(services, act, EVERYTHING, "gateway.resumed")


async def suspend(services: Services, act: Act, kind: Kind, name: str) -> None:
    """Suspend one thing. Raises OperatorRefused, NameInvalid, AuditUnavailable."""
    if not _KNOWN[kind](services, name):
        raise OperatorRefused("operator.unknown", f"there is no such {kind}")
    if kind == "user" and name == act.operator.name:
        raise OperatorRefused("operator.self", "nobody could let you in again")
    await _record(services, act, f"{kind}.suspended", **{kind: name})


async def resume(services: Services, act: Act, kind: Kind, name: str) -> None:
    """Take a suspension back. Raises OperatorRefused, AuditUnavailable, FleetUnavailable."""
    if not services.state.revocations.suspended(kind, name):
        raise OperatorRefused("operator.unknown", f"no such {kind} is suspended")
    await _resume(services, act, key_of(kind, name), f"{kind}.resumed", **{kind: name})


def _is_agent(services: Services, name: str) -> bool:
    return (
        name in services.worlds.current.snapshot.agents
        or name in services.settings.identity.clients
        or any(session.agent == name for session in services.state.sessions.all())
    )


def _is_user(_: Services, name: str) -> bool:
    """Whoever has such a name: people are known elsewhere. Raises NameInvalid."""
    return bool(names.user(name))


def _is_server(services: Services, name: str) -> bool:
    return name in services.link_states()


def _is_tool(services: Services, name: str) -> bool:
    server, _, own = name.partition(".")
    return services.worlds.current.catalogue.lookup(server, own) is not None


_KNOWN: Mapping[Kind, Callable[[Services, str], bool]] = {
    "agent": _is_agent,
    "user": _is_user,
    "server": _is_server,
    "tool": _is_tool,
}

for _kind in KINDS:
    _add_routes(_kind)


async def _resume(services: Services, act: Act, key: str, kind: str, **named: str) -> None:
    """Take something back: for the whole fleet or not at all, since others count on it too."""
    fleet = services.fleet
    if fleet is not None:
        await fleet.check()
    await _record(services, act, kind, **named)
    if fleet is not None:
        await fleet.resume(key)


async def _record(services: Services, act: Act, kind: str, **named: str) -> None:
    by = f"operator:{act.operator.name}"
    fields: dict[str, Json] = {**named, "by": by, "source": act.source}
    await services.recorder.write_sealed(
        kind,
        fields,
        subject=act.operator.name,
        name="reason",
        words=act.why.reason.encode(),
    )


def _stops(services: Services) -> dict[str, Json]:
    revocations = services.state.revocations
    suspended: dict[str, Json] = {
        f"{kind}s": list[Json](revocations.all_suspended(kind)) for kind in KINDS
    }
    return {"everything": revocations.stopped, **suspended}

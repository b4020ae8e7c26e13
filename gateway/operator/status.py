"""`/api/whoami`, `/api/status` and `/metrics`."""

from fastapi import Request, Response

from audit.canonical import Json
from gateway.operator.access import session_of
from gateway.operator.api import Here, Routes, Viewer
from gateway.operator.services import Services

router = Routes()


@router.get("/api/whoami")
async def whoami(services: Here, operator: Viewer, http: Request) -> dict[str, Json]:
    """Who this credential belongs to; `csrf` is what a browser's changes must carry."""
    has_key = "authorization" in http.headers
    now_s = services.recorder.now() // 1_000_000
    session = None if has_key else session_of(services, http, now_s)
    return {
        "name": operator.name,
        "roles": list[Json](sorted(operator.roles)),
        "csrf": None if session is None else session.csrf,
    }


@router.get("/api/status")
async def status(services: Here, _: Viewer) -> dict[str, Json]:
    """How the gateway is doing."""
    return {
        "version": services.version,
        "origin": services.log.origin,
        "log": {"size": services.log.size, "state": services.log.state},
        "snapshot": services.worlds.current.snapshot.digest,
        "epoch": services.epoch.value,
        "fleet": _fleet(services),
        "stopped": services.state.revocations.stopped,
        "alarms": [dict(alarm) for alarm in services.state.alarms.recent()],
        "servers": dict(services.link_states()),
        "public_url": services.settings.public_url,
    }


@router.get("/api/openapi.json", include_in_schema=False)
async def schema(_: Viewer, http: Request) -> Json:
    """This API as OpenAPI 3.1: also its shape is for operators alone."""
    described: dict[str, Json] = http.app.openapi()
    return described


def _fleet(services: Services) -> dict[str, Json] | None:
    fleet = services.fleet
    if fleet is None:
        return None
    known = services.state.membership.known
    return {
        "id": known.fleet,
        "number": known.number,
        "snapshot": fleet.policy,
        "trouble": fleet.trouble,
        "counting": services.sharing.trouble if services.sharing is not None else None,
    }


@router.get("/metrics", include_in_schema=False)
async def metrics(services: Here, _: Viewer) -> Response:
    """Prometheus text format."""
    return Response(services.scrape.text(), media_type="text/plain; version=0.0.4")

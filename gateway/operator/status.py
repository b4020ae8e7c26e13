"""`/api/whoami`, `/api/status` and `/metrics`."""

from fastapi import Response

from audit.canonical import Json
from gateway.operator.api import Here, Routes, Viewer

router = Routes()


@router.get("/api/whoami")
async def whoami(operator: Viewer) -> dict[str, Json]:
    """Who this credential belongs to."""
    return {"name": operator.name, "roles": sorted(operator.roles)}  # type: ignore[dict-item]  # Json


@router.get("/api/status")
async def status(services: Here, _: Viewer) -> dict[str, Json]:
    """How the gateway is doing."""
    return {
        "version": services.version,
        "origin": services.log.origin,
        "log": {"size": services.log.size, "state": services.log.state},
        "snapshot": services.worlds.current.snapshot.digest,
        "epoch": services.epoch.value,
        "servers": dict(services.link_states()),
        "public_url": services.settings.public_url,
    }


@router.get("/metrics", include_in_schema=False)
async def metrics(services: Here, _: Viewer) -> Response:
    """Prometheus text format."""
    return Response(services.scrape.text(), media_type="text/plain; version=0.0.4")

"""`/stop`: the kill switch, and everything that is suspended."""

from fastapi import Request, Response

from console import frame
from console.routes import Pages, see, see_again
from console.visitors import Administrator, Viewer, Visitor
from gateway.identity.revocation import KINDS, Kind
from gateway.operator import stopping
from gateway.operator.api import Here, peer, validated

STOP, GO = "stop everything", "go on"
"""What has to be typed: both change what every agent may do."""

router = Pages()


@router.get("/stop")
async def stops(services: Here, visitor: Viewer, request: Request) -> Response:
    """What stands still now."""
    revocations = services.state.revocations
    suspended = [(kind, name) for kind in KINDS for name in revocations.all_suspended(kind)]
    return frame.show(
        request, visitor, "stop/page.html", suspended=suspended, kinds=KINDS, stop=STOP, go=GO
    )


@router.post("/stop")
async def stop(services: Here, visitor: Administrator, request: Request) -> Response:
    """Stop everything."""
    visitor.confirm(STOP)
    await stopping.stop_everything(services, _act(visitor, request))
    return see("/stop")


@router.post("/go")
async def go(services: Here, visitor: Administrator, request: Request) -> Response:
    """End a stop of everything."""
    visitor.confirm(GO)
    await stopping.go_on(services, _act(visitor, request))
    return see("/stop")


@router.post("/stop/{kind}/suspend")
async def suspend(services: Here, visitor: Administrator, request: Request, kind: Kind) -> Response:
    """Suspend one thing."""
    await stopping.suspend(services, _act(visitor, request), kind, visitor.field("name"))
    return see_again(visitor, "/stop")


@router.post("/stop/{kind}/resume")
async def resume(services: Here, visitor: Administrator, request: Request, kind: Kind) -> Response:
    """Take a suspension back; what lets something pass again takes its name to be typed."""
    visitor.confirm(visitor.field("name"))
    await stopping.resume(services, _act(visitor, request), kind, visitor.field("name"))
    return see_again(visitor, "/stop")


def _act(visitor: Visitor, request: Request) -> stopping.Act:
    why = validated(stopping.Why, {"reason": visitor.field("reason")})
    return stopping.Act(visitor.operator, why, peer(request))

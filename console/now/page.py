"""`/`: now."""

import asyncio

from fastapi import Request, Response

from console import frame
from console.now.chart import draw
from console.now.pulse import Pulse
from console.routes import Pages
from console.visitors import Viewer
from gateway.operator.api import Here
from gateway.operator.services import Services

router = Pages()


@router.get("/")
async def now(services: Here, visitor: Viewer, request: Request) -> Response:
    """How the gateway is doing."""
    pulse = _pulse(request)
    await _count(services, pulse)
    hour = pulse.hour(services.recorder.now())
    servers = sorted(services.link_states().items())
    return frame.show(
        request,
        visitor,
        "now/page.html",
        hour=hour,
        chart=draw(hour),
        alarms=services.state.alarms.recent(),
        stopped=[each for each in services.state.rollbacks.all() if each.state == "stopped"],
        servers=servers,
        away=sum(state != "up" for _, state in servers),
        trouble=services.log.trouble,
        agents=len(services.worlds.current.snapshot.agents),
    )


def _pulse(request: Request) -> Pulse:
    """The one of this gateway."""
    state = request.app.state
    if not hasattr(state, "pulse"):
        state.pulse = Pulse()
    found: Pulse = state.pulse
    return found


async def _count(services: Services, pulse: Pulse) -> None:
    start, stop = pulse.missing(services.log.size)
    entries = await asyncio.to_thread(lambda: list(services.log.entries(start, stop)))
    pulse.take(entry for entry in entries if entry.index >= pulse.covered)

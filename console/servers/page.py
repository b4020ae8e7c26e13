"""`/servers`: the upstreams, and the review of what one of them offers."""

from typing import Any

from fastapi import Request, Response

from console import frame
from console.routes import Pages, see
from console.visitors import Administrator, Viewer
from gateway.operator import servers
from gateway.operator.api import Here
from gateway.operator.servers import Reviewed

router = Pages()


@router.get("/servers")
async def listed(services: Here, visitor: Viewer, request: Request) -> Response:
    """Every server of the deployment."""
    revocations = services.state.revocations
    rows: list[dict[str, Any]] = await servers.list_servers(services, visitor.operator)
    suspended = {row["name"] for row in rows if revocations.suspended("server", row["name"])}
    return frame.show(request, visitor, "servers/list.html", servers=rows, suspended=suspended)


@router.get("/servers/{name}")
async def one(services: Here, visitor: Viewer, request: Request, name: str) -> Response:
    """One server: its accepted tools, and everything that it offers differently by now."""
    server: Any = await servers.show_server(services, visitor.operator, name)
    review: Any = None
    if services.review.offer(name) is not None:
        review = await servers.review_server(services, visitor.operator, name)
    revocations = services.state.revocations
    tools = (f"{name}.{tool['name']}" for tool in server["tools"])
    return frame.show(
        request,
        visitor,
        "servers/server.html",
        suspended={tool for tool in tools if revocations.suspended("tool", tool)},
        server=server,
        review=review,
        is_suspended=revocations.suspended("server", name),
    )


@router.post("/servers/{name}/accept")
async def accept(services: Here, visitor: Administrator, name: str) -> Response:
    """Accept what was reviewed, if it is still what is offered."""
    visitor.confirm(name)
    reviewed = Reviewed(digest=visitor.field("digest"))
    await servers.accept(services, visitor.operator, name, reviewed)
    return see(f"/servers/{name}")

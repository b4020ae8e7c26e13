"""`/api/connections`: which agents people let use which servers with their own accounts."""

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from audit.canonical import Json
from gateway.links.connections import Between
from gateway.operator.api import Administrator, Here, Routes, Viewer, body_of
from gateway.operator.errors import OperatorRefused

router = Routes()


class Named(BaseModel):
    """One connection."""

    model_config = ConfigDict(extra="forbid", strict=True)

    user: str
    agent: str
    server: str


@router.get("")
async def list_connections(services: Here, _: Viewer) -> list[dict[str, Json]]:
    """Every connection that stands."""
    return [
        {
            "user": between.user,
            "agent": between.agent,
            "server": between.server,
            "connection": connection,
        }
        for between, connection in services.state.connections.all()
    ]


@router.post("/withdraw")
async def withdraw(services: Here, operator: Administrator, http: Request) -> dict[str, Json]:
    """End a connection: the next call of that agent for that person asks them anew."""
    named = await body_of(http, Named)
    between = Between(named.user, named.agent, named.server)
    by = f"operator:{operator.name}"
    if services.connecting is None or not await services.connecting.withdraw(between, by=by):
        raise OperatorRefused("operator.unknown", "there is no such connection")
    return {"withdrawn": True}

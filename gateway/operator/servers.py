"""`/api/servers`: the upstreams, what they offer, and accepting it."""

from difflib import unified_diff
from json import dumps

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from audit.canonical import Json
from gateway.catalogue.review import Offer
from gateway.operator.api import Administrator, Here, Routes, Viewer, body_of
from gateway.operator.credentials import Operator
from gateway.operator.errors import OperatorRefused
from gateway.operator.services import Services

router = Routes()


class Reviewed(BaseModel):
    """Which offer was reviewed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    digest: str


@router.get("")
async def list_servers(services: Here, _: Viewer) -> list[dict[str, Json]]:
    """Every server of the deployment."""
    rows: list[dict[str, Json]] = []
    for name, state in sorted(services.link_states().items()):
        offer = services.review.offer(name)
        waiting = None if offer is None else len(offer.changes.new) + len(offer.changes.blocked)
        tools = len(services.review.catalogue.tools(name))
        rows.append({"name": name, "state": state, "tools": tools, "waiting": waiting})
    return rows


@router.get("/{server}")
async def show_server(services: Here, _: Viewer, server: str) -> dict[str, Json]:
    """The accepted tools of one server, and which of them may be called."""
    check_known(services, server)
    rules = services.worlds.current.snapshot.tools
    tools: list[Json] = []
    for tool in services.review.catalogue.tools(server):
        rule = rules.get(tool.qualified)
        tools.append(
            {
                "name": tool.name,
                "published": tool.published,
                "pin": tool.pin,
                "status": tool.blocked or "callable",
                "risk": None if rule is None else rule.risk,
            }
        )
    return {"name": server, "state": services.link_states()[server], "tools": tools}


@router.get("/{server}/review")
async def review_server(services: Here, _: Viewer, server: str) -> dict[str, Json]:
    """Every difference between what is offered and what was accepted, as text to read."""
    check_known(services, server)
    offer = services.review.offer(server)
    if offer is None:
        raise OperatorRefused("operator.unknown", f"{server} has not been reached")
    return {"digest": offer.digest, "changes": _differences(services, server, offer)}


@router.post("/{server}/accept")
async def accept_server(
    services: Here, operator: Administrator, http: Request, server: str
) -> dict[str, Json]:
    """Accept what is offered, if it is what was reviewed and the policy stands on it."""
    await accept(services, operator, server, await body_of(http, Reviewed))
    return {"tools": len(services.review.catalogue.tools(server))}


async def accept(services: Services, operator: Operator, server: str, reviewed: Reviewed) -> None:
    """Accept what a server offers. Raises OperatorRefused, ReviewRefused or PolicyInvalid."""
    check_known(services, server)
    await services.activation.accept(services.review, server, reviewed.digest, by=operator.name)


def check_known(services: Services, server: str) -> None:
    """Raises OperatorRefused for a server that the deployment does not name."""
    if server not in services.link_states():
        raise OperatorRefused("operator.unknown", "there is no such server")


def _differences(services: Services, server: str, offer: Offer) -> list[Json]:
    accepted = {t.name: dict(t.definition) for t in services.review.catalogue.tools(server)}
    offered = {str(d["name"]): dict(d) for d in offer.definitions}
    changes = offer.changes
    kinds = {
        **dict.fromkeys(changes.new, "new"),
        **dict.fromkeys(changes.changed, "changed"),
        **dict.fromkeys(changes.removed, "removed"),
    }
    return [
        {
            "tool": name,
            "change": kind,
            "refused": changes.refused.get(name),
            "difference": _text_difference(accepted.get(name), offered.get(name)),
        }
        for name, kind in sorted(kinds.items())
    ]


def _text_difference(before: object, after: object) -> str:
    """A unified difference with everything invisible escaped: definitions are hostile text."""
    old, new = (
        [] if value is None else dumps(value, indent=1, sort_keys=True).splitlines()
        for value in (before, after)
    )
    return "\n".join(unified_diff(old, new, "accepted", "offered", lineterm="", n=2))

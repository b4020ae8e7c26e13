"""Router: one of several ways."""

from gateway.runs.run import Json
from orchestration.conditions import holds
from orchestration.context import Context
from orchestration.parts import Part
from orchestration.spec import Router


async def router(here: Context, node: Router, value: Json) -> Json:
    """What the chosen way gives. Raises Stopped, also when no way fits and none is for that."""
    chosen = await _chosen(here, node, value)
    if chosen is None:
        raise here.failed("route", "no route fits, and there is none for that case")
    return await here.call(chosen, value)


async def _chosen(here: Context, node: Router, value: Json) -> Part | None:
    if node.classifier is None:
        fitting = (route.to for route in node.conditions if holds(route.when, value))
        return next(fitting, node.otherwise)
    named = await here.call(node.classifier, value, "classifier")
    route = named.get("route") if isinstance(named, dict) else named
    return node.routes.get(route, node.otherwise) if isinstance(route, str) else node.otherwise

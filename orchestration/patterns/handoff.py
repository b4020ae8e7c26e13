"""Handoff: agents that pass the work on to each other."""

from gateway.runs.run import Json
from orchestration.context import Context
from orchestration.spec import Handoff


async def handoff(here: Context, node: Handoff, value: Json) -> Json:
    """What the last agent answers that does not pass it on. Raises Stopped."""
    active = node.start
    came_from: list[str] = []
    for _ in range(node.max_handoffs + 1):
        answer = await here.call(node.agents[active], value, active)
        if not isinstance(answer, dict) or "handoff" not in answer:
            return answer
        to = answer["handoff"]
        if node.back and came_from and to == came_from[-1]:
            came_from.pop()
        elif isinstance(to, str) and to in node.edges.get(active, ()):
            came_from.append(active)
        else:
            raise here.failed("handoff", f"{active} hands on to somebody it has no edge to")
        await here.emit("handoff", to=str(to), by=active)
        active, value = str(to), answer.get("input", value)
    raise here.exhausted("handoffs", f"handed on more than {node.max_handoffs} times")

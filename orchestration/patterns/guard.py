"""Guard: a node between its checks."""

from gateway.runs.run import Json
from orchestration.context import Context
from orchestration.spec import Guard
from orchestration.tripwires import checked


async def guard(here: Context, node: Guard, value: Json) -> Json:
    """What the node gives, where no check says stop. Raises Stopped."""
    await checked(here, node, node.input, {"check": "input", "value": value})
    result = await here.guarded(node).call(node.of, value)
    await checked(here, node, node.output, {"check": "output", "value": result})
    return result

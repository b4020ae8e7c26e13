"""Sequential: one after another, each with what the one before gave."""

from gateway.runs.run import Json
from orchestration.context import Context
from orchestration.spec import Sequential


async def sequential(here: Context, node: Sequential, value: Json) -> Json:
    """What the last step gives. Raises Stopped when one stops."""
    for step in node.steps:
        value = await here.call(step, value)
    return value

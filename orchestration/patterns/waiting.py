"""Wait: nothing is done for a time."""

from gateway.forms import milliseconds
from gateway.runs.run import Json
from orchestration.context import Context
from orchestration.parts import Wait


async def wait(here: Context, node: Wait, value: Json) -> Json:
    """The same value, later. Raises Stopped when the run's time is up before."""
    await here.wait(milliseconds(node.duration) // 1000)
    return value

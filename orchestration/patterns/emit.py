"""Emit: whoever watches the run is told something."""

from gateway.runs.run import Json
from orchestration.context import Context
from orchestration.parts import Emit
from orchestration.shape import objection
from orchestration.template import filled


async def emit(here: Context, node: Emit, value: Json) -> Json:
    """The value, as it is. Raises Stopped where what is to be told has not the shape it must."""
    data = filled(node.data, value, at=here.path)
    against = None if node.shape is None else objection(node.shape, data)
    if against is not None:
        raise here.failed("event", f"{node.event} is not as it must be: {against}")
    await here.emit(node.event, data=data)
    return value

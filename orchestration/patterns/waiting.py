"""Wait: nothing is done for a time."""

from typing import cast

from gateway.notation import milliseconds
from gateway.runs.run import Json
from orchestration.context import Context
from orchestration.parts import Wait
from orchestration.stop import Stopped


async def wait(here: Context, node: Wait, value: Json) -> Json:
    """The value, as it was; after a crash no more is waited than is left. Raises Stopped."""
    hop, run, path = here.around.hop, here.around.run, here.next("wait")
    seconds, most = milliseconds(node.duration) // 1000, here.around.until_s

    async def until() -> Json:
        return hop.now_s + seconds

    ends = cast("int", await here.checkpoint(f"{path}/until", seconds, until))

    async def slept() -> Json:
        return await hop.sleep(run, path, min(ends, most))

    if not await here.checkpoint(f"{path}/slept", ends, slept):
        raise Stopped("cancelled", "the wait was cut short", at=path, code="run.cancelled")
    if ends > most:
        raise here.exhausted("wall", "the time of the run is up")
    return value

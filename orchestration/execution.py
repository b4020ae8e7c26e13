"""Execution: one node of a run, done in this process; and the end of the run, where that is it."""

import asyncio
from contextlib import suppress
from typing import cast

import structlog
from pydantic import TypeAdapter

from gateway.errors import GatewayError
from gateway.runs.run import Json
from gateway.runs.way import Way
from orchestration.around import Around
from orchestration.context import Context
from orchestration.engine import Engine
from orchestration.parts import Part, Prompt
from orchestration.performing import perform
from orchestration.place import Place
from orchestration.spec import Node
from orchestration.stop import Stopped
from orchestration.task import Task

_NODE: TypeAdapter[Part] = TypeAdapter(Node)
_RECORD_AGAIN_S = (0.5, 1.0, 2.0, 5.0, 10.0)

log = structlog.get_logger(__name__)


class Execution:
    """Does the tasks of runs, in whatever process carries them."""

    def __init__(self, way: Way) -> None:
        self._way = way

    async def body(self, engine: Engine, task: Task) -> Json:
        """Do one node of a run, and end the run where it is the whole of it."""
        what = cast("dict[str, Json]", task.what)
        place = Place.from_json(task.path, what)
        told = await self._performed(engine, task, what, place)
        if not task.path:
            await self.ended(task.run, *_ending(told), told.get("value"))
        return {**told, "left": place.lease.to_json()}

    async def _performed(
        self, engine: Engine, task: Task, what: dict[str, Json], place: Place
    ) -> dict[str, Json]:
        try:
            async with asyncio.TaskGroup() as aside:  # what is cut is let end, before the task does
                here = Context(self._around(engine, task, what, aside), place)
                return await self._told(here, task, what)
        except ExceptionGroup as errors:
            log.exception("run.failed", run=task.run, path=task.path)
            return _went_astray(task, errors)

    def _around(
        self, engine: Engine, task: Task, what: dict[str, Json], aside: asyncio.TaskGroup
    ) -> Around:
        written = cast("dict[str, Json]", what["inside"])
        return Around(
            hop=self._way,
            engine=engine,
            perform=perform,
            inside={name: _part(node) for name, node in written.items()},
            run=task.run,
            until_s=cast("int", what["until"]),
            instead=cast("dict[str, Json]", what["instead"]),
            aside=aside,
        )

    async def _told(self, here: Context, task: Task, what: dict[str, Json]) -> dict[str, Json]:
        try:
            value = await perform(here, _part(what["node"]), what["value"])
            return {"value": value if task.path else await here.whole(value)}
        except Stopped as stopped:
            return {"stopped": stopped.to_json()}
        except Exception as error:
            log.exception("run.failed", run=task.run, path=task.path)
            return _went_astray(task, error)

    async def ended(self, run_id: str, result: str, detail: str, output: Json) -> None:
        """Record the end, however long that takes: a run that cannot say so has not ended."""
        for pause in _RECORD_AGAIN_S:
            with suppress(GatewayError):
                return await self._way.end(run_id, result, detail, output)
            await asyncio.sleep(pause)
        return await self._way.end(run_id, result, detail, output)


def _part(written: Json) -> Part:
    """A node as it was kept; what prompt agents do is a kind that no file can write."""
    if isinstance(written, dict) and written.get("kind") == "prompt":
        return Prompt.model_validate(written)
    return _NODE.validate_python(written)


def _ending(told: dict[str, Json]) -> tuple[str, str]:
    """How a run ended, and a sentence about it."""
    stopped = cast("dict[str, str] | None", told.get("stopped"))
    if stopped is None:
        return "done", ""
    return stopped["reason"], f"{stopped['detail']} (at {stopped['at'] or 'the beginning'})"


def _went_astray(task: Task, error: Exception) -> dict[str, Json]:
    """A replay that is not what it was, or a defect: the run ends here, and says so."""
    detail = f"the run could not go on: {type(error).__name__}"
    return {"stopped": Stopped("failed", detail, at=task.path, code="run.defect").to_json()}

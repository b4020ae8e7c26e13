"""Around: what all nodes of a run share, and how one of them becomes a task of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.runs.run import Json
from gateway.runs.way import Way
from orchestration.engine import Engine
from orchestration.parts import Part
from orchestration.place import Place, written
from orchestration.task import Task

if TYPE_CHECKING:  # each knows the other: a context is at a place of what is around it
    from orchestration.context import Context

Perform = Callable[["Context", Part, Json], Awaitable[Json]]
"""Does a node that is more than one step. Raises Stopped."""


@dataclass(frozen=True, slots=True)
class Around:
    """What all nodes of a run share.

    inside   agents that have steps of their own, by name, as they were when the run began; the
             others answer in one
    until_s  when the run's time is up, seconds since 1970
    instead  what steps of a fork are given instead of what they would have had, by path
    aside    holds the branches of races: what these have under way is let end while the run goes
             on; None: nothing is performed yet
    """

    hop: Way
    engine: Engine
    perform: Perform
    inside: Mapping[str, Part]
    run: str
    until_s: int
    instead: Mapping[str, Json]
    aside: asyncio.TaskGroup | None = None

    def task(self, place: Place, node: Part, value: Json) -> Task:
        """A node as a task of its own: all that it needs after a crash."""
        inside: dict[str, Json] = {name: written(each) for name, each in self.inside.items()}
        what: dict[str, Json] = {
            "node": written(node),
            "value": value,
            "until": self.until_s,
            "inside": inside,
            "instead": dict(self.instead),
        }
        return Task(self.run, place.path, what | place.to_json())

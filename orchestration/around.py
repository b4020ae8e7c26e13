"""Around: what all nodes of a run share, and how one of them becomes a task of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from gateway.runs.run import Json
from gateway.runs.way import Way
from orchestration.engine import Engine
from orchestration.lease import Lease
from orchestration.spec import Guard, Part
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

    def task(
        self,
        path: str,
        node: Part,
        value: Json,
        *,
        grant: str,
        lease: Lease,
        depth: int,
        guards: tuple[Guard, ...] = (),
    ) -> Task:
        """A node as a task of its own: all that it needs after a crash."""
        inside = {name: _written(each) for name, each in self.inside.items()}
        what: Json = {
            "node": _written(node),
            "value": value,
            "grant": grant,
            "lease": lease.to_json(),
            "depth": depth,
            "until": self.until_s,
            "inside": cast("Json", inside),
            "instead": dict(self.instead),
            "guards": [_written(guard) for guard in guards],
        }
        return Task(self.run, path, what)


def _written(node: Part) -> Json:
    return cast("Json", node.model_dump(mode="json", by_alias=True))

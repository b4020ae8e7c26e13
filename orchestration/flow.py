"""Flows: a tree of nodes with a name and bounds, as a file holds it."""

import hashlib
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from gateway.links.jsonrpc import dump_sorted
from gateway.notation import milliseconds
from orchestration.parts import Duration, Name, Part, Sentence
from orchestration.spec import Node


class Limits(Part):
    """What a run may use at most; reaching one is a named end, with what was done until then.

    calls   steps that reach somebody       depth  how deep agents and parts may lie in each other
    tokens  of models, in and out together  cost   of models, in millionths of the prices' unit
    wall    from start to end, waiting for people included
    """

    calls: Annotated[int, Field(ge=1, le=10_000)] = 100
    tokens: Annotated[int, Field(ge=0, le=100_000_000)] = 200_000
    cost: Annotated[int, Field(ge=0, le=2**53 - 1)] = 2_000_000
    wall: Duration = "1h"
    depth: Annotated[int, Field(ge=1, le=8)] = 4

    @property
    def wall_s(self) -> int:
        """The time in seconds."""
        return milliseconds(self.wall) // 1000


class Flow(Part):
    """A flow, as a file holds it.

    name   how it is started, and the agent that it acts as, which the policy must name
    title  a sentence for people
    pool   the workers that carry its runs; None: the gateway itself
    priority  among the runs that wait for these workers; 1 comes first
    on_failure  of a run that ends in any way but done, and that nobody stopped: what it has done
                is left until a person orders otherwise, or taken back at once (`undo`)
    """

    api_version: Literal["passavant/v1"] = Field(default="passavant/v1", alias="apiVersion")
    kind: Literal["Flow"] = "Flow"
    name: Name
    title: Sentence | None = None
    limits: Limits = Limits()
    pool: Name | None = None
    priority: Annotated[int, Field(ge=1, le=9)] = 5
    on_failure: Literal["leave", "undo"] = "leave"
    flow: Node

    model_config = ConfigDict(populate_by_name=True)

    @property
    def digest(self) -> str:
        """SHA-256, hex, of the flow as it counts."""
        return hashlib.sha256(dump_sorted(self.model_dump(mode="json"))).hexdigest()


def nodes(node: Part) -> Iterator[Part]:
    """A node and all that are in it."""
    yield node
    for name in type(node).model_fields:
        for inner in _within(getattr(node, name)):
            yield from nodes(inner)


def _within(value: object) -> Iterator[Part]:
    if isinstance(value, Part):
        yield value
    elif isinstance(value, tuple):
        yield from (each for each in value if isinstance(each, Part))
    elif isinstance(value, dict):
        yield from (each for each in value.values() if isinstance(each, Part))

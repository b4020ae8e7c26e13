"""A gateway whose way for runs a test holds in its hands, as orchestration does."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from audit.canonical import Json
from audit.files import Files
from gateway.home import Home
from gateway.links.local import LocalLink
from gateway.links.masking import Masks
from gateway.links.oauth_client import Means
from gateway.principal import Principal
from gateway.runs.hop import Hop
from gateway.runs.made import Made
from gateway.runs.run import ROOT, Cause, Run
from gateway.runs.service import RunService
from gateway.runs.starting import Start
from gateway.runs.step import Step
from tests.harness.gateway import Clock, Running, Server, running
from tests.harness.policy import DESK

POLICY = DESK.replace(
    "  idle: {roles: [nobody], owner: team}\n",
    "  idle: {roles: [nobody], owner: team}\n"
    "  flow: {roles: [clerk]}\n  helper: {roles: [clerk]}\n",
)
POLICY += """\
delegation:
  max_hops: 1
  max_children: 3
  edges:
    - {id: flow-helper, from: flow, to: helper, tools: [desk.look]}
"""


class Held:
    """The orchestration that does nothing by itself."""

    def __init__(self) -> None:
        self.hop: Hop | None = None

    def links(self, means: Means, masks: Masks) -> tuple[LocalLink, ...]:
        return ()

    @asynccontextmanager
    async def opened(self, hop: Hop, home: Home) -> AsyncIterator[RunService]:
        self.hop = hop
        yield NoFlows()


class NoFlows:
    work = None

    def flows(self) -> Mapping[str, Json]:
        return {}

    async def start(self, flow: str, given: Json, *, by: str, key: str | None) -> Run:
        raise NotImplementedError

    async def invoke(
        self,
        agent: str,
        given: Json,
        *,
        caller: Principal,
        key: str | None,
        made: Made | None = None,
    ) -> Run:
        raise NotImplementedError

    async def triggered(
        self, flow: str, given: Json, cause: Cause, *, labels: frozenset[str]
    ) -> Run:
        raise NotImplementedError

    async def fork(self, run_id: str, number: int, instead: tuple[Json, ...], *, by: str) -> Run:
        raise NotImplementedError

    async def cancel(self, run_id: str, *, by: str) -> Run:
        raise NotImplementedError

    async def output(self, run: Run) -> Json:
        raise NotImplementedError


@asynccontextmanager
async def hopping(
    folder: Path,
    servers: Mapping[str, Server],
    policy: str = POLICY,
    clock: Clock | None = None,
    disk: Files | None = None,
) -> AsyncIterator[tuple[Running, Hop]]:
    held = Held()
    opening = running(folder, policy, servers, orchestration=held, clock=clock, disk=disk)
    async with opening as gateway:
        assert held.hop is not None
        yield gateway, held.hop


async def begin(hop: Hop, key: str | None = None, agent: str = "flow") -> Run:
    start = Start("report", "ab" * 32, agent, "operator:ana", key, {"order": 17}, 3600)
    return await hop.start(start)


def step(run: Run, path: str, tool: str, grant: str = ROOT, **args: Any) -> Step:  # noqa: ANN401 - JSON
    return Step(run.id, grant, path, "desk", tool, args, run.started + 3600)

"""A gateway that runs flows, with agents whose answers a test writes."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from audit.canonical import Json
from gateway.home import Home
from gateway.links.local import LocalLink
from gateway.links.masking import Masks
from gateway.links.oauth_client import Means
from gateway.runs.hop import Hop
from gateway.runs.run import Run
from orchestration.agents import LocalAgent
from orchestration.flow import Flow
from orchestration.service import Flows, Service
from tests.harness.gateway import Clock, Running, Server, running

Says = Callable[[Any], Any]

HEAD = """\
apiVersion: passavant/v1
kind: Policy
name: flows
default: deny
users: {default: unrestricted}
groups:
  people: {members: [omar, ines]}
approvals:
  one-person: {from: people, quorum: 1, expires: 30m, not: [requester]}
"""


def policy(
    *agents: str, flow: str = "job", more: str = "", rules: str = "", edges: str = ""
) -> str:
    """A policy in which the flow may reach these agents, the desk, and ask people."""
    reached = [f"agents.{name}" for name in agents]
    tools = "".join(f"  {name}: {{risk: write, emits: []}}\n" for name in reached)
    return f"""\
{HEAD}agents:
  {flow}: {{}}
{more}tools:
{tools}  desk.pay: {{risk: irreversible, emits: [], target: [to]}}
  desk.look: {{risk: read, emits: []}}
  approvals.editors: {{risk: write, emits: []}}
rules:
  - {{id: desk, agents: [{flow}], tools: [desk.look, desk.pay], effect: allow}}
  - {{id: asks, agents: [{flow}], tools: [approvals.editors], effect: ask, approval: one-person}}
{
        f'''  - {{id: reaches, agents: [{flow}], tools: [{", ".join(reached)}], effect: allow}}
'''
        if reached
        else ""
    }{rules}delegation:
  max_hops: 3
{edges and "  edges:" + chr(10) + edges}"""


class Agents:
    """Agents by name; `told` is what each was given, in the order in which they were asked."""

    def __init__(self, **says: Says) -> None:
        self.told: list[tuple[str, Any]] = []
        self._says = says

    @property
    def asked(self) -> list[str]:
        return [name for name, _ in self.told]

    def local(self) -> list[LocalAgent]:
        return [LocalAgent(name.replace("_", "-"), self._answer(name)) for name in self._says]

    def _answer(self, name: str) -> Callable[[Json], Any]:
        async def answer(task: Json) -> Json:
            self.told.append((name, task))
            said = self._says[name](task)
            return await said if hasattr(said, "__await__") else said  # type: ignore[no-any-return]  # JSON

        return answer


class Kept:
    """The flows, and the service once it is open."""

    def __init__(self, flows: Flows) -> None:
        self._flows = flows
        self.service: Service | None = None
        self.hop: Hop | None = None

    def links(self, means: Means, masks: Masks) -> tuple[LocalLink, ...]:
        return self._flows.links(means, masks)

    @asynccontextmanager
    async def opened(self, hop: Hop, home: Home) -> AsyncIterator[Service]:
        async with self._flows.opened(hop, home) as service:
            self.service, self.hop = service, hop
            yield service


class House:
    """A gateway with flows."""

    def __init__(self, gateway: Running, service: Service, hop: Hop) -> None:
        self.gateway, self.service, self.hop = gateway, service, hop

    async def start(self, flow: str = "job", given: Json = None, key: str | None = None) -> Run:
        return await self.service.start(flow, given, by="operator:ana", key=key)

    async def ended(self, run: Run) -> Run:
        """The run, when it is over."""
        await self.gateway.until(lambda: self.hop.runs.get(run.id).state == "ended")
        return self.hop.runs.get(run.id)

    async def result(self, flow: str = "job", given: Json = None) -> Json:
        """What comes of a run that ends well."""
        run = await self.ended(await self.start(flow, given))
        assert run.result == "done", f"{run.result}: {run.detail}"
        return await self.service.output(run)

    async def stopped(self, flow: str = "job", given: Json = None) -> str:
        """How a run ended that does not end well: `reason: detail`."""
        run = await self.ended(await self.start(flow, given))
        assert run.result != "done"
        return f"{run.result}: {run.detail}"


def flow(node: Any, name: str = "job", **limits: Any) -> Flow:  # noqa: ANN401 - as written
    """A flow of this node, as YAML spells it."""
    return Flow.model_validate({"name": name, "flow": node, "limits": limits})


@asynccontextmanager
async def house(
    folder: Path,
    flows: list[Flow],
    agents: Agents | None = None,
    rules: str | None = None,
    servers: Mapping[str, Server] | None = None,
    clock: Clock | None = None,
    settings: Mapping[str, Any] | None = None,
) -> AsyncIterator[House]:
    local = [] if agents is None else agents.local()
    kept = Kept(Flows(flows, local))
    text = rules or policy(*(agent.name for agent in local))
    if not servers:  # no tool without a server
        text = "\n".join(line for line in text.split("\n") if "desk" not in line)
    async with running(
        folder, text, servers, orchestration=kept, clock=clock, settings=settings
    ) as gateway:
        assert kept.service is not None
        assert kept.hop is not None
        yield House(gateway, kept.service, kept.hop)

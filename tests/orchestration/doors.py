"""A gateway in which agents reach each other by the tools of `agents`, with a model to ask."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.catalogue.agents import AgentSpec, ModelSpec
from orchestration.agents import LocalAgent
from orchestration.service import Flows
from tests.harness.agent import Agent
from tests.harness.gateway import Clock, Running, running
from tests.harness.upstream import Desk, desk
from tests.orchestration.house import HEAD, House, Kept, flow
from tests.orchestration.test_remote import Provider, Script

POLICY = (
    HEAD
    + """\
agents: {ada: {}, bo: {}, eve: {}, job: {}, helper: {}}
tools:
  agents.list: {}
  agents.invoke: {}
  agents.transcript: {}
  agents.create: {}
  agents.echo: {risk: write, emits: []}
  agents.asked: {risk: write, emits: []}
  agents.web: {risk: write, emits: [web]}
  agents.job: {risk: write, emits: []}
  agents.helper: {risk: write, emits: []}
  model.small: {risk: read, emits: []}
  desk.look: {risk: read, emits: []}
  desk.pay: {risk: irreversible, emits: []}
guardrails:
  - {id: no-pay-after-web, why: Strangers pay nothing., tools: [desk.pay], when: "'web' in labels"}
rules:
  - id: doors
    agents: [ada, bo, job, helper]
    tools: [agents.list, agents.invoke, agents.transcript, agents.create]
    effect: allow
  - {id: lists, agents: [eve], tools: [agents.list], effect: allow}
  - id: reach
    agents: [ada]
    tools: [agents.echo, agents.web, agents.job, agents.helper]
    effect: allow
  - {id: reach-bo, agents: [bo], tools: [agents.echo], effect: allow}
  - {id: ask, agents: [ada], tools: [agents.asked], effect: ask, approval: one-person}
  - {id: ada-uses, agents: [ada], tools: [model.small, desk.look, desk.pay], effect: allow}
  - {id: bo-uses, agents: [bo], tools: [model.small, desk.look], effect: allow}
  - id: helper-uses
    agents: [helper]
    tools: [model.small, desk.look, desk.pay, agents.echo]
    effect: allow
  - {id: job-uses, agents: [job], tools: [agents.echo, desk.look, desk.pay], effect: allow}
delegation:
  max_hops: 1
  max_children: 8
  edges:
    - {id: ada-job, from: ada, to: job, tools: [agents.*, desk.look]}
    - {id: ada-helper, from: ada, to: helper, tools: [model.small, desk.look, agents.*]}
"""
)


@dataclass
class Doors:
    """What a test of doors works with; `paid` is what the desk did."""

    house: House
    provider: Provider
    desk: Desk

    @property
    def gateway(self) -> Running:
        return self.house.gateway


@asynccontextmanager
async def doors(
    folder: Path, script: Script, policy: str = POLICY, clock: Clock | None = None
) -> AsyncIterator[Doors]:
    async with Provider(script) as provider, desk() as upstream:
        helper: Mapping[str, Any] = {
            "model": "small",
            "instructions": "Help.",
            "tools": ["desk.look", "desk.pay", "agents.echo", "agents.invoke", "agents.create"],
        }
        model = {"openai": provider.url, "model": "tiny", "allow_private": True}
        locals_ = [LocalAgent(name, _echo) for name in ("echo", "asked", "web")]
        flows = Flows(
            [flow("echo")],
            locals_,
            remote={"helper": AgentSpec.model_validate({"prompt": helper})},
            models={"small": ModelSpec.model_validate(model)},
        )
        kept = Kept(flows)
        servers = {"desk": upstream}
        async with running(folder, policy, servers, orchestration=kept, clock=clock) as gateway:
            assert kept.service is not None
            assert kept.hop is not None
            yield Doors(House(gateway, kept.service, kept.hop), provider, upstream)


async def _echo(task: Any) -> Any:  # noqa: ANN401 - JSON
    return task


async def through(who: Agent, door: str, /, **args: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """What a door tells."""
    answered = await who.call(f"agents.{door}", **args)
    assert answered.result is not None, f"{answered.code}: {answered.text}"
    told: dict[str, Any] = answered.result["structuredContent"]
    assert json.loads(answered.text) == told
    return told


async def made(who: Agent, *tools: str, **members: Any) -> str:  # noqa: ANN401 - JSON
    """The name of an agent that this one makes."""
    told = await through(
        who, "create", model="small", instructions="Do it.", tools=list(tools), **members
    )
    assert "agent" in told, told
    return str(told["agent"])

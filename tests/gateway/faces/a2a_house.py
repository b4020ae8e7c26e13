"""A gateway with agents that others reach over A2A."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.harness.agent import Agent, Answer
from tests.orchestration.house import HEAD, Agents, House, flow, house

POLICY = (
    HEAD
    + """\
agents: {ada: {}, bo: {}, eve: {}, job: {}}
tools:
  agents.echo: {risk: write, emits: []}
  agents.asked: {risk: write, emits: []}
  agents.slow: {risk: write, emits: []}
  agents.broken: {risk: write, emits: []}
  agents.job: {risk: write, emits: []}
  agents.bound: {risk: write, emits: []}
rules:
  - id: speak
    agents: [ada, bo]
    tools: [agents.echo, agents.slow, agents.broken, agents.job]
    effect: allow
  - {id: ask, agents: [ada], tools: [agents.asked], effect: ask, approval: one-person}
  - {id: works, agents: [job], tools: [agents.echo], effect: allow}
  - {id: bound, agents: [ada], tools: [agents.bound], effect: allow, when: "args.task == 'fine'"}
delegation:
  max_hops: 1
  edges:
    - {id: ada-job, from: ada, to: job, tools: [agents.echo]}
"""
)
CARD = "/.well-known/agent-card.json"


class Slow:
    """An agent that answers when it is let."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, _: object) -> str:
        await self.go.wait()
        return "at last"


def broken(_: object) -> str:
    raise RuntimeError("secret of ours")


@asynccontextmanager
async def home(folder: Path, slow: Slow | None = None) -> AsyncIterator[tuple[House, Agents]]:
    agents = Agents(
        echo=lambda task: task,
        asked=lambda _: "done",
        slow=slow or (lambda _: "quick"),
        broken=broken,
        bound=lambda task: task,
    )
    async with house(folder, [flow("echo")], agents, rules=POLICY) as found:
        yield found, agents


async def rpc(agent: Agent, to: str, method: str, params: dict[str, Any], **headers: str) -> Answer:
    body = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).encode()
    return await raw(agent, to, body, **headers)


async def raw(agent: Agent, to: str, body: bytes, **headers: str) -> Answer:
    lines = {"a2a-version": "1.0", **headers}
    response = await agent.http.post(
        f"{agent.url}/a2a/{to}",
        content=body,
        headers={"content-type": "application/json", **agent._credential(), **lines},
    )
    told = response.json()
    fault = told.get("error", {})
    code = fault["data"][0]["metadata"]["code"] if fault else told.get("code")
    return Answer(
        response.status_code, code, "", None, fault.get("code"), None, told, response.headers
    )


def said(text: str = "hello", **members: object) -> dict[str, Any]:
    message = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": text}]}
    return {"message": {**message, **members}}

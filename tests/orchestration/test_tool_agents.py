"""Agents that are tools: of any server, or of somebody else's agent over A2A."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.catalogue.agents import AgentSpec
from orchestration.service import Flows
from tests.harness.a2a_agent import RemoteAgent, remote_agent
from tests.harness.gateway import running
from tests.orchestration.doors import through
from tests.orchestration.house import HEAD, House, Kept, flow

POLICY = (
    HEAD
    + """\
agents: {job: {}, ada: {}, researcher: {}}
tools:
  agents.invoke: {}
  agents.researcher: {risk: write, emits: []}
  research.ask: {risk: write, emits: [web]}
rules:
  - {id: reach, agents: [job, ada], tools: [agents.invoke, agents.researcher], effect: allow}
  - {id: asks, agents: [researcher, job, ada], tools: [research.ask], effect: allow}
delegation:
  max_hops: 1
  edges:
    - {id: job-researcher, from: job, to: researcher, tools: [research.ask]}
    - {id: ada-researcher, from: ada, to: researcher, tools: [research.ask]}
"""
)
SPEC = {"tool": "research.ask", "args": {"task": {"from": ""}}}


@asynccontextmanager
async def reached(folder: Path, policy: str = POLICY) -> AsyncIterator[tuple[House, RemoteAgent]]:
    agents = {"researcher": AgentSpec.model_validate(SPEC)}
    async with remote_agent() as remote:
        kept = Kept(Flows([flow("researcher")], remote=agents))
        server = {"a2a": remote.url, "allow_private": True}
        servers = {"research": server}
        async with running(folder, policy, servers, mode="dev", orchestration=kept) as gateway:
            assert kept.service is not None
            assert kept.hop is not None
            yield House(gateway, kept.service, kept.hop), remote


async def test_a_flow_has_an_agent_over_a2a_do_something(tmp_path: Path) -> None:
    async with reached(tmp_path) as (home, remote):
        assert await home.result(given="tides") == "heard: tides"
        assert remote.told == ["tides"]
        actors = [each["actor"] for each in home.gateway.entries("decision")]
        assert [(each["agent"], each["chain"]) for each in actors] == [
            ("job", []),
            ("researcher", ["job"]),
        ]


async def test_every_client_reaches_it_by_the_door(tmp_path: Path) -> None:
    async with reached(tmp_path) as (home, _):
        ada = await home.gateway.agent("ada")
        told = await through(ada, "invoke", agent="researcher", task={"q": "tides"})
        assert told["answer"] == {"q": "tides"}
        assert home.gateway.labels(ada) == {"web"}


@pytest.mark.parametrize(
    ("stated", "instead"),
    [
        pytest.param("[researcher, job, ada]", "[job, ada]", id="not-its-own-rules"),
        pytest.param("[researcher, job, ada]", "[researcher, ada]", id="not-whose-work-it-is"),
        pytest.param("from: job, to: researcher", "from: researcher, to: job", id="no-edge"),
        pytest.param("[job, ada], tools", "[ada], tools", id="not-who-asks"),
    ],
)
async def test_it_does_what_its_own_rules_and_the_edge_both_allow(
    tmp_path: Path, stated: str, instead: str
) -> None:
    assert stated in POLICY
    async with reached(tmp_path, POLICY.replace(stated, instead)) as (home, remote):
        assert (await home.stopped(given="tides")).startswith("denied")
        assert remote.told == []


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="nothing"),
        pytest.param({**SPEC, "url": "https://a.example/"}, id="two-kinds"),
        pytest.param({"url": "https://a.example/", "args": {}}, id="args-of-an-url"),
        pytest.param({**SPEC, "allow_private": True}, id="private-tool"),
        pytest.param({"tool": "ask"}, id="no-server"),
        pytest.param({"tool": "research.*"}, id="pattern"),
    ],
)
def test_an_agent_is_one_thing(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AgentSpec.model_validate(spec)

"""Tokens from operators: with a purpose where one is stated, and never past a chain."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.harness.client import Client, registered
from tests.harness.gateway import Running, running
from tests.harness.policy import HEAD
from tests.harness.upstream import desk

POLICY = (
    HEAD.replace("agents:\n", "agents:\n  ada: {roles: [reader]}\n  bo: {roles: [reader]}\n", 1)
    + """\
tools:
  desk.look: {risk: read, emits: []}
  desk.open: {risk: read, emits: []}
rules:
  - {id: looks, roles: [reader], tools: [desk.look], effect: allow}
  - id: opens
    roles: [reader]
    tools: [desk.open]
    effect: allow
    when: "session.purpose.contains('report')"
delegation:
  edges:
    - {id: ada-bo, from: ada, to: bo, tools: [desk.look]}
"""
)


@pytest_asyncio.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Running]:
    settings = registered(tmp_path / "clients", ["ada", "bo"])
    async with (
        desk() as upstream,
        running(tmp_path, POLICY, {"desk": upstream}, settings=settings) as gateway,
    ):
        yield gateway


async def test_a_purpose_bounds_the_session_and_is_read_by_rules(gateway: Running) -> None:
    agent = await gateway.agent(
        "ada", user="ana", purpose="Find the report.", purpose_tools=["desk.open"]
    )
    assert (await agent.call("desk.open", path="/x")).done
    answered = await agent.call("desk.look")
    assert gateway.entry(answered.entry)["decision"]["rules"] == ["purpose"]
    without = await gateway.agent("ada", user="ana")
    assert (await without.call("desk.look")).done
    assert (await without.call("desk.open", path="/x")).code == "policy.denied"
    assert "report" not in str(gateway.entries())


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param({"purpose": ""}, id="no-words"),
        pytest.param({"purpose_tools": ["desk.look"]}, id="tools-alone"),
        pytest.param({"purpose": "x", "purpose_tools": ["desk"]}, id="no-tools"),
        pytest.param({"purpose": "x\u202ey"}, id="hidden"),
        pytest.param({"purpose": 7}, id="number"),
    ],
)
async def test_what_is_no_purpose_opens_nothing(gateway: Running, wanted: dict[str, Any]) -> None:
    body = {"agent": "ada", **wanted}
    answered = await gateway.operate("POST", "/api/tokens", body, check=False)
    assert 400 <= answered.status_code < 500
    assert gateway.entries("session.open") == []


async def test_a_session_that_is_open_is_given_no_purpose(gateway: Running) -> None:
    agent = await gateway.agent("ada")
    body = {"agent": "ada", "session": agent.session, "purpose": "Find the report."}
    answered = await gateway.operate("POST", "/api/tokens", body, check=False)
    assert (answered.status_code, answered.json()["code"]) == (400, "operator.body")


async def test_work_that_was_handed_on_is_not_done_without_its_chain(gateway: Running) -> None:
    bo = await Client(gateway, "bo").receive(await Client(gateway, "ada").begin())
    body = {"agent": "bo", "session": bo.session}
    answered = await gateway.operate("POST", "/api/tokens", body, check=False)
    assert (answered.status_code, answered.json()["code"]) == (400, "operator.body")

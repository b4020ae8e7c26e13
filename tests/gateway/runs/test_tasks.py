"""Tasks: what takes a right from who gave one takes it from the task, and nothing gives it any."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.identity.minting import Order
from gateway.principal import Principal
from tests.gateway.faces.a2a_house import Slow, home, rpc, said
from tests.harness.agent import Agent
from tests.orchestration.house import House

THUMBPRINT = "A" * 43


async def minted(house_: House, agent: Agent, **members: object) -> Agent:
    """Another token of the same session."""
    services = house_.gateway.gateway.services
    session = services.state.sessions.get(agent.session)
    assert session is not None
    order = Order(agent.name, session, ("*",), lifetime_s=600, by="test", source="here", hops=1)
    token = await services.mint.mint(replace(order, **members), house_.hop.now_s)  # type: ignore[arg-type]  # members of it
    return replace(agent, token=token.token)


def principal(house_: House, agent: Agent) -> Principal:
    tokens = house_.gateway.gateway.services.tokens
    return tokens.check((agent.token or "").encode(), house_.hop.now_s)


async def begun(house_: House, agent: Agent, to: str = "slow") -> str:
    """A task that goes on; its id."""
    configuration = {"returnImmediately": True}
    params = {
        **said("go", messageId=str(id(asyncio.current_task()))),
        "configuration": configuration,
    }
    answered = await rpc(agent, to, "SendMessage", params)
    return str(answered.body["result"]["task"]["id"])


@pytest.mark.parametrize("how", ["session", "token", "agent", "stop"])
async def test_who_loses_its_rights_loses_its_tasks(tmp_path: Path, how: str) -> None:
    slow = Slow()
    async with home(tmp_path, slow) as (house_, agents):
        gateway, ada = house_.gateway, await house_.gateway.agent("ada")
        task = await begun(house_, ada, "asked")
        await gateway.until(lambda: bool(gateway.entries("approval.asked")))
        (request,) = gateway.entries("approval.asked")
        if how == "session":
            assert await ada.end() == 204
        elif how == "token":
            await gateway.operate("POST", "/api/tokens/revoke", {"token": ada.token})
        elif how == "agent":
            await gateway.operate("POST", "/api/agents/ada/suspend", {"reason": "odd"})
        else:
            await gateway.operate("POST", "/api/stop", {"reason": "odd"})
        shown = await gateway.operate("GET", f"/api/approvals/{request['approval']}")
        body = {"digest": shown.json()["digest"], "reason": "seen"}
        path = f"/api/approvals/{request['approval']}/approve"
        await gateway.operate("POST", path, body, by="omar", check=False)
        if how in {"session", "token"}:
            ended = await house_.ended(house_.hop.runs.get(task))
            assert ended.result != "done"
        assert agents.asked == []


async def test_who_can_hand_on_no_further_finds_no_agent_over_a2a(tmp_path: Path) -> None:
    async with home(tmp_path) as (house_, agents):
        last = await minted(house_, await house_.gateway.agent("ada"), hops=0)
        answered = await rpc(last, "echo", "SendMessage", said())
        assert (answered.http, answered.code) == (404, "agent.unknown")
        assert agents.asked == []


async def test_a_narrow_token_reaches_what_it_covers(tmp_path: Path) -> None:
    async with home(tmp_path) as (house_, agents):
        ada = await house_.gateway.agent("ada", tools=["agents.echo"])
        assert (await rpc(ada, "job", "SendMessage", said())).code == "agent.unknown"
        assert (await rpc(ada, "echo", "SendMessage", said())).body["result"]["task"]["artifacts"]
        assert agents.asked == ["echo"]
        (grant,) = [each["scope"] for each in house_.gateway.entries("run.started")]
        assert grant == "agents.echo"


async def test_a_proof_of_who_gave_a_task_counts_in_it(tmp_path: Path) -> None:
    async with home(tmp_path) as (house_, _):
        ada = await house_.gateway.agent("ada")
        bound = replace(principal(house_, ada), bound_to=THUMBPRINT)
        run = await house_.service.invoke("echo", "x", caller=bound, key=None)
        done = await house_.ended(run)
        assert done.result == "done", done.detail
        issued = [each for each in house_.gateway.entries("token.issue") if each["by"] != "t"]
        assert issued[-1]["bound_to"] == THUMBPRINT


async def test_one_who_waits_and_goes_away_takes_nothing_from_the_others(tmp_path: Path) -> None:
    slow = Slow()
    async with home(tmp_path, slow) as (house_, _):
        ada = await house_.gateway.agent("ada")
        task = await begun(house_, ada)
        news = [asyncio.ensure_future(heard(house_, task)) for _ in range(2)]
        await asyncio.sleep(0)
        news[0].cancel()
        slow.go.set()
        told = await asyncio.gather(*news, return_exceptions=True)
        assert isinstance(told[0], asyncio.CancelledError)
        assert told[1] is None


async def heard(house_: House, task: str) -> None:
    """Wait for the next news of a task, as whoever follows it does."""
    await asyncio.wait({house_.hop.runs.news(task)})

"""T31: work goes one hop by default, a request has so many children, and all of it is on record."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.identity.minting import Order
from tests.orchestration.doors import POLICY, doors, made, through
from tests.orchestration.test_remote import Script, replies, said

INVOKES = ("agents__invoke", {"agent": "echo", "task": "x"})
MAKES = ("agents__create", {"model": "small", "instructions": "More."})


def wants(*calls: tuple[str, object]) -> Script:
    """A model that wants these tools, and then has done."""
    return replies(*(said(None, call) for call in calls), said("done"))


@pytest.mark.parametrize("hops", [1, 3])
async def test_t31_who_was_reached_reaches_nobody_and_makes_nobody(
    tmp_path: Path, hops: int
) -> None:
    policy = POLICY.replace("max_hops: 1", f"max_hops: {hops}")
    async with doors(tmp_path, wants(INVOKES, MAKES), policy) as home:
        ada = await home.gateway.agent("ada")
        told = await through(ada, "invoke", agent="helper", task="x")
        assert told["state"] == "done"
        assert len(home.gateway.entries("run.started")) == 1
        assert not home.gateway.entries("agent.created")
        offered = {tool["function"]["name"] for tool in home.provider.asked[0]["tools"]}
        assert ("agents__invoke" in offered) is (hops > 1)


async def test_t31_a_made_agent_neither_reaches_nor_makes_agents(tmp_path: Path) -> None:
    async with doors(tmp_path, wants(MAKES)) as home:
        ada = await home.gateway.agent("ada")
        name = await made(ada)
        await through(ada, "invoke", agent=name, task="x")
        assert home.provider.asked[0].get("tools") in (None, [])
        assert len(home.gateway.entries("agent.created")) == 1


async def test_t31_the_doors_do_not_exist_for_who_goes_no_further(tmp_path: Path) -> None:
    async with doors(tmp_path, wants()) as home:
        services, ada = home.gateway.gateway.services, await home.gateway.agent("ada")
        session = services.state.sessions.get(ada.session)
        assert session is not None
        order = Order("ada", session, ("*",), lifetime_s=60, by="test", source="here", hops=0)
        minted = await services.mint.mint(order, home.house.hop.now_s)
        last = replace(ada, token=minted.token)
        assert not {"agents__invoke", "agents__create"} & await last.names()
        refused = await last.call("agents.invoke", agent="echo", task="x")
        unknown = await last.call("agents.no-such", agent="echo", task="x")
        assert (refused.http, refused.code) == (unknown.http, unknown.code)
        assert not home.gateway.entries("run.started")


async def test_t31_of_a_thousand_tasks_as_many_begin_as_a_request_may_have(
    tmp_path: Path,
) -> None:
    async with doors(tmp_path, wants()) as home:
        ada = await home.gateway.agent("ada")
        told = await asyncio.gather(
            *(through(ada, "invoke", agent="echo", task=n, wait_s=0) for n in range(40))
        )
        assert sum("task" in each for each in told) == 8
        assert {each["code"] for each in told if "code" in each} == {"delegation.fan-out"}
        decided = [each["tool"]["name"] for each in home.gateway.entries("decision")]
        assert decided.count("agents.invoke") == 40

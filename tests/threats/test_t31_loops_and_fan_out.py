"""T31: what one request leads to is bounded in depth, in number, and in what it costs together."""

import asyncio
from pathlib import Path

from tests.harness.agent import Agent
from tests.harness.client import Client, registered
from tests.harness.gateway import running
from tests.harness.policy import HEAD
from tests.harness.upstream import desk

CLIENTS = ("ada", "bo", "cy")
POLICY = (
    HEAD.replace(
        "agents:\n",
        "agents:\n"
        "  ada: {roles: [payer], owner: team}\n"
        "  bo: {roles: [payer], owner: team}\n"
        "  cy: {roles: [payer], owner: team}\n",
        1,
    )
    + """\
tools:
  desk.pay: {risk: write, emits: [], cost: {eur: args.amount}}
budgets:
  whole: {per: tree, amount: 100, window: 1d, unit: eur}
rules:
  - {id: pays, roles: [payer], tools: [desk.pay], effect: allow, budgets: [whole]}
delegation:
  max_hops: 4
  max_children: 6
  edges:
    - {id: ada-bo, from: ada, to: bo, tools: [desk.*]}
    - {id: bo-cy, from: bo, to: cy, tools: [desk.*]}
    - {id: cy-ada, from: cy, to: ada, tools: [desk.*]}
"""
)


async def pay(agent: Agent, amount: int, note: str = "") -> str | None:
    return (await agent.call("desk.pay", amount=amount, note=note)).code


async def test_t31_work_is_not_handed_on_in_a_circle(tmp_path: Path) -> None:
    clients = registered(tmp_path / "clients", CLIENTS)
    async with (
        desk() as upstream,
        running(tmp_path / "gw", POLICY, {"desk": upstream}, settings=clients) as gateway,
    ):
        ada = await Client(gateway, "ada").begin()
        cy = await Client(gateway, "cy").receive(await Client(gateway, "bo").receive(ada))
        refused = await Client(gateway, "ada").exchange(cy.token)
        assert not refused.is_success
        assert gateway.entries("refusal")[-1]["code"].startswith("delegation.")


async def test_t31_of_a_thousand_children_as_many_begin_as_a_request_may_have(
    tmp_path: Path,
) -> None:
    clients = registered(tmp_path / "clients", CLIENTS)
    async with (
        desk() as upstream,
        running(tmp_path / "gw", POLICY, {"desk": upstream}, settings=clients) as gateway,
    ):
        ada = await Client(gateway, "ada").begin()
        bo = Client(gateway, "bo")
        begun = 0
        for _ in range(30):  # each with a token of its own: one is handed on once
            work = await Client(gateway, "ada").exchange(ada.token)
            children = [bo.exchange(work.json()["access_token"])]
            begun += sum(answered.is_success for answered in await asyncio.gather(*children))
        assert begun == 6


async def test_t31_a_request_with_all_its_agents_has_one_budget(tmp_path: Path) -> None:
    clients = registered(tmp_path / "clients", CLIENTS)
    async with (
        desk() as upstream,
        running(tmp_path / "gw", POLICY, {"desk": upstream}, settings=clients) as gateway,
    ):
        ada = await Client(gateway, "ada").begin()
        bo = await Client(gateway, "bo").receive(ada)
        cy = await Client(gateway, "cy").receive(bo)
        assert [await pay(agent, 30) for agent in (ada, bo, cy)] == [None] * 3
        assert [await pay(agent, 11, "more") for agent in (ada, bo, cy)] == ["limit:whole"] * 3
        assert await pay(bo, 10) is None
        another = await Client(gateway, "ada").begin()
        assert await pay(another, 100, "another request") is None
        assert sum(upstream.paid) == 200


async def test_t31_agents_of_one_request_that_pay_at_once_stay_within_it(tmp_path: Path) -> None:
    clients = registered(tmp_path / "clients", CLIENTS)
    async with (
        desk() as upstream,
        running(tmp_path / "gw", POLICY, {"desk": upstream}, settings=clients) as gateway,
    ):
        ada = await Client(gateway, "ada").begin()
        bo = await Client(gateway, "bo").receive(ada)
        codes = await asyncio.gather(*(pay((ada, bo)[n % 2], 7, str(n)) for n in range(60)))
        assert codes.count(None) == 14
        assert sum(upstream.paid) == 98

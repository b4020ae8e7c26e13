"""T30: what is denied to an agent stays denied when it asks another, and labels travel along."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.harness.agent import WAYS
from tests.harness.client import Client, registered
from tests.harness.gateway import Running, running
from tests.harness.policy import HEAD
from tests.harness.upstream import Desk, desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENTS = ("ada", "bo", "cy", "di", "portal")
POLICY = (
    HEAD.replace(
        "agents:\n",
        "agents:\n"
        "  ada: {roles: [reader, writer], owner: team}\n"
        "  bo: {roles: [reader, writer, mailer], owner: team}\n"
        "  cy: {roles: [reader, mailer], owner: team}\n"
        "  di: {roles: [reader], owner: team}\n",
        1,
    ).replace(
        "users: {default: unrestricted}",
        "users: {default: unrestricted, interns: {members: [ines], tools: [desk.look]}}",
    )
    + """\
tools:
  desk.look: {risk: read, emits: []}
  desk.fetch: {risk: read, emits: [web]}
  desk.open: {risk: write, emits: []}
  desk.send: {risk: write, emits: []}
  desk.wipe: {risk: irreversible, emits: []}
guardrails:
  - id: tainted
    why: Text from the web steers nothing.
    tools: [desk.send, desk.open]
    when: "'web' in labels"
rules:
  - {id: looks, roles: [reader], tools: [desk.look, desk.fetch], effect: allow}
  - {id: opens, roles: [writer], tools: [desk.open], effect: allow}
  - {id: mails, roles: [mailer], tools: [desk.send], effect: allow}
  - id: wipes-not-for-ada
    agents: [bo]
    tools: [desk.wipe]
    effect: allow
    when: "!('ada' in chain)"
delegation:
  max_hops: 2
  max_children: 8
  edges:
    - {id: ada-bo, from: ada, to: bo, tools: [desk.*]}
    - {id: bo-cy, from: bo, to: cy, tools: [desk.look, desk.send]}
    - {id: cy-ada, from: cy, to: ada, tools: [desk.look]}
front_ends:
  portal: {users: [ana, ines], agents: [ada]}
"""
)


def rules_of(gateway: Running, index: int) -> list[str]:
    found: list[str] = gateway.entry(index)["decision"]["rules"]
    return found


@pytest.mark.parametrize("way", WAYS)
async def test_t30_what_an_agent_may_not_do_another_does_not_do_for_it(
    gateway: Running, upstream: Desk, way: str
) -> None:
    ada = await Client(gateway, "ada").begin()
    bo = (await Client(gateway, "bo").receive(ada)).by(way)
    own = (await Client(gateway, "bo").begin()).by(way)
    assert (await own.call("desk.send", to="x")).done
    answered = await bo.call("desk.send", to="x")
    assert answered.code == "policy.denied"
    assert [call.tool for call in upstream.calls] == ["send"]
    entry = gateway.entry(answered.entry)
    assert entry["actor"] == {"agent": "bo", "sub": None, "chain": ["ada"]}
    assert "desk__send" not in await bo.names()
    assert (await bo.call("desk.open", path="/x")).done


async def test_t30_a_rule_reads_the_chain(gateway: Running, upstream: Desk) -> None:
    ada = await Client(gateway, "ada").begin()
    bo = await Client(gateway, "bo").receive(ada)
    assert (await bo.call("desk.wipe", what="x")).code == "policy.denied"
    assert (await (await Client(gateway, "bo").begin()).call("desk.wipe", what="x")).done
    assert len(upstream.calls) == 1


async def test_t30_each_further_hop_narrows(gateway: Running, upstream: Desk) -> None:
    ada = await Client(gateway, "ada").begin()
    bo = await Client(gateway, "bo").receive(ada)
    cy = await Client(gateway, "cy").receive(bo)
    assert (await cy.call("desk.look")).done
    answered = await cy.call("desk.send", to="x")
    assert answered.code == "policy.denied"
    assert gateway.entry(answered.entry)["actor"]["chain"] == ["bo", "ada"]
    assert [call.tool for call in upstream.calls] == ["look"]


async def test_t30_an_edge_that_is_taken_away_stops_the_next_call(
    gateway: Running, upstream: Desk
) -> None:
    ada = await Client(gateway, "ada").begin()
    bo = await Client(gateway, "bo").receive(ada)
    assert (await bo.call("desk.look")).done
    try:
        await gateway.apply(POLICY.replace("id: ada-bo, from: ada", "id: ada-bo, from: di"))
        answered = await bo.call("desk.look")
        assert answered.code == "policy.denied"
        assert rules_of(gateway, answered.entry) == ["delegation"]
    finally:
        await gateway.apply(POLICY)
    assert len(upstream.calls) == 1


async def test_t30_the_user_is_bounded_through_every_hop(gateway: Running, upstream: Desk) -> None:
    portal = Client(gateway, "portal")
    ada = await portal.begin(agent="ada", user="ines")
    bo = await Client(gateway, "bo").receive(ada)
    assert (await bo.call("desk.look")).done
    answered = await bo.call("desk.open", path="/x")
    assert answered.code == "policy.denied"
    assert rules_of(gateway, answered.entry) == ["user:interns"]
    assert gateway.entry(answered.entry)["actor"]["sub"] == "ines"


async def test_t30_the_purpose_bounds_every_hop(gateway: Running, upstream: Desk) -> None:
    ada = await Client(gateway, "portal").begin(
        agent="ada", user="ana", purpose="Have a look.", purpose_tools="desk.look"
    )
    bo = await Client(gateway, "bo").receive(ada)
    for agent in (ada, bo):
        assert (await agent.call("desk.look")).done
        answered = await agent.call("desk.open", path="/x")
        assert answered.code == "policy.denied"
        assert rules_of(gateway, answered.entry) == ["purpose"]


# -- labels, each with a gateway of its own: what an agent has touched follows it for a day


@pytest_asyncio.fixture(loop_scope="module")
async def alone(tmp_path: Path) -> AsyncIterator[Running]:
    settings = registered(tmp_path / "clients", CLIENTS)
    async with (
        desk() as upstream,
        running(tmp_path, POLICY, {"desk": upstream}, settings=settings) as gateway,
    ):
        yield gateway


async def test_t30_taint_is_handed_on_with_the_work(alone: Running) -> None:
    ada = await Client(alone, "ada").begin()
    assert (await ada.call("desk.fetch", url="http://x.test")).done
    bo = await Client(alone, "bo").receive(ada)
    answered = await bo.call("desk.open", path="/x")
    assert answered.code == "policy.denied"
    assert rules_of(alone, answered.entry) == ["tainted"]


async def test_t30_taint_comes_back_with_the_answer(alone: Running) -> None:
    ada = await Client(alone, "portal").begin(agent="ada", user="ana")
    assert (await ada.call("desk.open", path="/x")).done
    bo = await Client(alone, "bo").receive(ada)
    assert (await bo.call("desk.fetch", url="http://x.test")).done
    answered = await ada.call("desk.open", path="/x")
    assert rules_of(alone, answered.entry) == ["tainted"]


async def test_t30_an_agent_is_not_rid_of_what_it_was_handed_by_another_session(
    alone: Running,
) -> None:
    cy = Client(alone, "cy")
    before = await cy.begin()
    bo = await Client(alone, "bo").begin()
    assert (await bo.call("desk.fetch", url="http://x.test")).done
    await cy.receive(bo)
    for agent in (before, await cy.begin()):
        answered = await agent.call("desk.send", to="x")
        assert rules_of(alone, answered.entry) == ["tainted"]


# -- what ends


async def test_t30_with_the_delegator_ends_what_it_handed_on(
    gateway: Running, upstream: Desk
) -> None:
    ada = await Client(gateway, "ada").begin()
    bo = await Client(gateway, "bo").receive(ada)
    cy = await Client(gateway, "cy").receive(bo)
    await gateway.operate("POST", f"/api/sessions/{ada.session}/end")
    for agent in (ada, bo, cy):
        assert (await agent.call("desk.look")).http == 401
    assert upstream.calls == []


async def test_t30_a_suspended_delegator_stops_the_chain(gateway: Running, upstream: Desk) -> None:
    bo = await Client(gateway, "bo").receive(await Client(gateway, "ada").begin())
    await gateway.operate("POST", "/api/agents/ada/suspend", {"reason": "a test"})
    try:
        assert (await bo.call("desk.look")).code == "auth.revoked"
    finally:
        await gateway.operate("POST", "/api/agents/ada/resume", {"reason": "a test"})


# -- bounds of one request


async def test_t30_one_request_starts_only_so_many_agents_and_each_refusal_is_recorded(
    alone: Running,
) -> None:
    ada, bo = Client(alone, "ada"), Client(alone, "bo")
    first = await ada.begin()
    before = alone.size
    renewed = [await ada.exchange(first.token) for _ in range(15)]
    tokens = [first.token, *(answered.json()["access_token"] for answered in renewed)]
    answers = await asyncio.gather(*(bo.exchange(token) for token in tokens))
    assert sum(answered.is_success for answered in answers) == 8
    recorded = [
        body for body in alone.entries("refusal", since=before) if body["actor"]["agent"] == "bo"
    ]
    assert [body["code"] for body in recorded] == ["delegation.fan-out"] * 8
    assert recorded[0]["actor"] == {"agent": "bo", "sub": None, "chain": ["ada"]}


async def test_t30_work_does_not_go_round(gateway: Running, upstream: Desk) -> None:
    ada = await Client(gateway, "ada").begin()
    bo = await Client(gateway, "bo").receive(ada)
    cy = await Client(gateway, "cy").receive(bo)
    before = gateway.size
    answered = await Client(gateway, "ada").exchange(cy.token)
    assert answered.json()["error"] == "invalid_request"
    (refusal,) = gateway.entries("refusal", since=before)
    assert refusal["code"] == "delegation.cycle"
    assert refusal["actor"] == {"agent": "ada", "sub": None, "chain": ["cy", "bo", "ada"]}


async def test_t30_who_is_handed_work_holds_no_more_than_it_needs(
    gateway: Running, upstream: Desk
) -> None:
    ada = await Client(gateway, "ada").begin()
    bo = await Client(gateway, "bo").receive(ada, scope="desk.look", requested_lifetime="30")
    assert await bo.names() == {"desk__look"}
    told = await gateway.http.post(
        f"{gateway.url}/oauth/introspect",
        data=Client(gateway, "bo").assertion() | {"token": str(bo.token)},
    )
    claims = told.json()
    assert claims["act"] == {"sub": "agent:bo", "act": {"sub": "agent:ada"}}
    assert (claims["scope"], claims["hops"], claims["exp"] - claims["iat"]) == ("desk.look", 1, 30)
    assert claims["root"] == ada.session

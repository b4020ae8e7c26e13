"""T7: time is the log's, and never runs backwards: what has expired stays so."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.identity.tokens import Issuer
from gateway.principal import Principal
from tests.gateway.identity.signing import Key
from tests.harness.agent import Agent
from tests.harness.client import Client, Holder, registered
from tests.harness.gateway import Clock, Running, running
from tests.harness.policy import DESK
from tests.harness.upstream import Desk, desk

HOUR = 3600


@asynccontextmanager
async def opened(folder: Path, clock: Clock) -> AsyncIterator[tuple[Running, Desk]]:
    settings = registered(folder / "clients", ["clerk-0"])
    async with (
        desk() as upstream,
        running(folder, DESK, {"desk": upstream}, clock=clock, settings=settings) as gateway,
    ):
        yield gateway, upstream


def now_s(gateway: Running) -> int:
    return gateway.gateway.services.recorder.now() // 1_000_000


def with_times(gateway: Running, agent: Agent, *, issued: int, expires: int) -> Agent:
    """The agent with a token that we signed for other times."""
    services = gateway.gateway.services
    assert agent.token is not None
    known: Principal = services.tokens.check(agent.token.encode(), now_s(gateway))
    moved = replace(known, issued=issued, expires=expires, token_id="moved")
    return agent.by(agent.way, token=Issuer(services.keys, public_url=gateway.url).issue(moved))


@pytest.mark.parametrize("ahead", [1, 60, HOUR, 10 * 365 * 86_400])
async def test_t07_a_token_from_the_future_is_refused(tmp_path: Path, ahead: int) -> None:
    async with opened(tmp_path, Clock()) as (gateway, upstream):
        agent = await gateway.agent()
        begins = now_s(gateway) + ahead + 1
        future = with_times(gateway, agent, issued=begins, expires=begins + 900)
        answered = await future.call("desk.look")
        assert (answered.http, answered.code) == (401, "auth.invalid")
        assert upstream.calls == []


async def test_t07_a_token_ends_to_the_second(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (gateway, upstream):
        agent = await gateway.agent(ttl_s=60)
        clock.pass_s(50)
        assert (await agent.call("desk.look")).done
        clock.pass_s(11)
        assert (await agent.call("desk.look")).code == "auth.expired"
        assert len(upstream.calls) == 1


@pytest.mark.parametrize("restart", [False, True])
async def test_t07_a_clock_that_is_set_back_revives_no_token(tmp_path: Path, restart: bool) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (gateway, upstream):
        agent = await gateway.agent(ttl_s=60)
        clock.pass_s(61)
        assert (await agent.call("desk.look")).code == "auth.expired"
        await gateway.agent()  # an entry, so that the log knows the time
        clock.pass_s(-HOUR)
        assert (await agent.call("desk.look")).code == "auth.expired"
        assert upstream.calls == []
    if not restart:
        return
    async with opened(tmp_path, clock) as (gateway, upstream):
        agent.url, agent.http = gateway.url, gateway.http
        answered = await agent.call("desk.look")
        assert answered.http == 401
        assert upstream.calls == []


async def test_t07_a_clock_that_is_set_back_revives_no_approval(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (gateway, upstream):
        agent = await gateway.agent(ttl_s=HOUR)
        asked = await agent.call("desk.pay", amount=500, to="paper")
        assert asked.code == "approval.pending"
        await gateway.answer(asked.approval)
        clock.pass_s(31 * 60)
        await gateway.agent()
        clock.pass_s(-HOUR)
        again = await agent.call("desk.pay", amount=500, to="paper")
        assert again.code == "approval.pending"
        assert again.approval != asked.approval
        assert upstream.paid == []


async def test_t07_a_clock_that_is_set_back_revives_no_assertion(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (gateway, _):
        client = Client(gateway, "clerk-0")
        form = client.assertion() | {"grant_type": "client_credentials"}
        clock.pass_s(61)
        for _ in range(2):
            answered = await gateway.http.post(f"{gateway.url}/oauth/token", data=form)
            assert answered.json()["error"] == "invalid_client"
            await gateway.agent()
            clock.pass_s(-60)


async def test_t07_a_clock_that_is_set_back_revives_no_proof(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (gateway, upstream):
        holder = Holder(gateway, Key.ed25519())
        agent = await holder.bind(Client(gateway, "clerk-0"))
        path = "/v1/tools/desk/look"
        heard = holder.headers(agent, path)
        assert (await agent.post(b"{}", heard, path=path)).done
        clock.pass_s(200)
        await gateway.agent()
        clock.pass_s(-200)
        assert (await agent.post(b"{}", heard, path=path)).http == 401
        assert len(upstream.calls) == 1

"""T34: an agent or a server that fails or floods takes nobody else down."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.gateway.links.http_upstream import Heard, answer, says
from tests.harness.agent import Agent
from tests.harness.gateway import Clock, running
from tests.harness.policy import DESK
from tests.harness.upstream import Turnstile, desk, done

UNLUCKY = 13
TWO = DESK.replace(
    "rules:\n",
    "  other.pay: {risk: write, emits: []}\nrules:\n"
    "  - {id: pays-there, roles: [clerk], tools: [other.pay], effect: allow}\n",
    1,
)


async def hangs(heard: Heard, writer: asyncio.StreamWriter) -> None:
    """A server that never answers one kind of call."""
    args = json.loads(heard.body)["params"]["arguments"]
    if args.get("note", "").startswith("hang"):
        await asyncio.Event().wait()
    await done(heard, writer)


async def fail(agent: Agent, times: int) -> list[str | None]:
    answered = [await agent.call("desk.pay", amount=1, note=f"hang {n}") for n in range(times)]
    return [each.code for each in answered]


async def test_t34_who_waits_in_vain_is_refused_at_once_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.forwarding.UPSTREAM_TIMEOUT_S", 0.05)
    clock = Clock()
    async with (
        desk() as upstream,
        desk() as other,
        running(tmp_path, TWO, {"desk": upstream, "other": other}, clock=clock) as gateway,
    ):
        upstream.then = hangs
        clerk, bystander = await gateway.agent(), await gateway.agent()
        assert await fail(clerk, 5) == ["upstream.timeout"] * 5
        sent = len(upstream.calls)
        assert (await clerk.call("desk.pay", amount=2)).code == "upstream.circuit"
        assert len(upstream.calls) == sent
        monkeypatch.undo()
        assert (await bystander.call("desk.pay", amount=2)).done
        assert (await clerk.call("other.pay", amount=2)).done
        (alarm,) = gateway.entries("alarm.raised")
        assert (alarm["alarm"], alarm["agent"], alarm["server"]) == ("circuit", clerk.name, "desk")
        clock.pass_s(11)
        assert (await clerk.call("desk.pay", amount=3)).done
        assert (await clerk.call("desk.pay", amount=4)).done


async def test_t34_a_try_that_fails_closes_the_way_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.forwarding.UPSTREAM_TIMEOUT_S", 0.05)
    clock = Clock()
    async with (
        desk() as upstream,
        running(tmp_path, DESK, {"desk": upstream}, clock=clock) as gateway,
    ):
        upstream.then = hangs
        clerk = await gateway.agent()
        await fail(clerk, 5)
        clock.pass_s(11)
        assert await fail(clerk, 2) == ["upstream.timeout", "upstream.circuit"]


async def test_t34_what_a_refused_call_would_have_cost_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.forwarding.UPSTREAM_TIMEOUT_S", 0.05)
    policy = (
        DESK.replace(
            '    when: "args.amount > 0 && args.amount <= 100"',
            '    when: "args.amount > 0 && args.amount <= 100"\n    limits: [six]',
        )
        + "limits:\n  six: {per: agent, rate: 6/day}\n"
    )
    clock = Clock()
    async with (
        desk() as upstream,
        running(tmp_path, policy, {"desk": upstream}, clock=clock) as gateway,
    ):
        upstream.then = hangs
        clerk = await gateway.agent()
        codes = await fail(clerk, 9)
        assert codes == ["upstream.timeout"] * 5 + ["upstream.circuit"] * 4
        clock.pass_s(11)
        monkeypatch.undo()
        assert (await clerk.call("desk.pay", amount=1)).done  # the sixth of the day
        assert (await clerk.call("desk.pay", amount=2)).code == "limit:six"


async def test_t34_a_flooding_agent_takes_no_more_than_its_places(tmp_path: Path) -> None:
    guards = {"guards": {"running": 4}}
    async with (
        desk() as upstream,
        running(tmp_path, DESK, {"desk": upstream}, settings=guards) as gateway,
    ):
        upstream.then = turnstile = Turnstile()
        clerk, bystander = await gateway.agent(), await gateway.agent()
        flood = [
            asyncio.create_task(clerk.call("desk.pay", amount=1, note=str(n))) for n in range(30)
        ]
        await gateway.until(lambda: sum(call.done() for call in flood) >= 26)
        quiet = asyncio.create_task(bystander.call("desk.pay", amount=1))
        await upstream.called(5)
        turnstile.open.set()
        assert (await quiet).done
        codes = [(await call).code for call in flood]
        assert (codes.count(None), codes.count("guard.running")) == (4, 26)


async def test_t34_an_answer_that_cannot_be_used_is_no_silence(tmp_path: Path) -> None:
    """One tool that always answers nonsense does not keep an agent from the others."""
    async with desk() as upstream, running(tmp_path, DESK, {"desk": upstream}) as gateway:
        upstream.then = says(lambda heard: answer(heard, {"resultType": "complete"}))
        clerk = await gateway.agent()
        codes = [(await clerk.call("desk.pay", amount=1, note=str(n))).code for n in range(8)]
        assert codes == ["upstream.garbage"] * 8
        upstream.then = done
        assert (await clerk.call("desk.look")).done

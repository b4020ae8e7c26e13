"""Calls that are sent again: a payment is made once, and a delivered answer is not given twice."""

import asyncio
from pathlib import Path

import pytest

from tests.harness.agent import LEGACY, MODERN, REST, WAYS, Agent
from tests.harness.gateway import Running, running
from tests.harness.upstream import Desk, Turnstile, desk

PAY = {"amount": 40, "to": "paper"}


@pytest.mark.parametrize(("first", "second"), [(MODERN, MODERN), (REST, LEGACY), (LEGACY, REST)])
async def test_a_resend_of_a_payment_under_way_shares_its_answer(
    tmp_path: Path, first: str, second: str
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        one, other = clerk.by(first), clerk.by(second)
        await asyncio.gather(one.names(), other.names())
        upstream.then = turnstile = Turnstile()
        sent = asyncio.create_task(one.call("desk.pay", **PAY))
        await upstream.called(1)
        resent = asyncio.create_task(other.call("desk.pay", **PAY))
        await gateway.until(lambda: len(gateway.entries("decision")) == 2)
        turnstile.open.set()
        answers = await asyncio.gather(sent, resent)
        assert [answered.result for answered in answers] == [answers[0].result] * 2
        assert answers[0].done
        assert upstream.paid == [40]
        decision, joined = gateway.entries("decision")
        assert decision["joined"] is None
        assert joined["joined"] == decision["id"]
        assert len(gateway.entries("outcome")) == 1
        assert answers[0].entry != answers[1].entry


async def test_a_hundred_resends_make_one_payment(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        upstream.then = turnstile = Turnstile()
        calls = [asyncio.create_task(clerk.call("desk.pay", **PAY)) for _ in range(100)]
        await gateway.until(lambda: len(gateway.entries("decision")) == 100)
        turnstile.open.set()
        assert all(answered.done for answered in await asyncio.gather(*calls))
        assert upstream.paid == [40]


@pytest.mark.parametrize("way", WAYS)
async def test_a_delivered_answer_is_not_given_twice(tmp_path: Path, way: str) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent(way=way)
        for times in (1, 2, 3):
            assert (await clerk.call("desk.pay", **PAY)).done
            assert upstream.paid == [40] * times


async def lost(clerk: Agent, gateway: Running, upstream: Desk) -> None:
    """A payment whose caller goes away before its answer comes."""
    before = len(gateway.entries("outcome"))
    upstream.then = turnstile = Turnstile()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):  # longer than the gateway's patience with short calls
            await clerk.call("desk.pay", **PAY)
    turnstile.open.set()
    await gateway.until(lambda: len(gateway.entries("outcome")) == before + 1)


@pytest.mark.parametrize("way", WAYS)
async def test_an_answer_that_reached_nobody_is_given_to_the_resend(
    tmp_path: Path, way: str
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent(way=way)
        await clerk.names()
        await lost(clerk, gateway, upstream)
        assert (await clerk.call("desk.pay", **PAY)).done
        assert upstream.paid == [40]
        joined = gateway.entries("decision")[-1]
        assert joined["joined"] == gateway.entries("decision")[0]["id"]
        assert (await clerk.call("desk.pay", **PAY)).done
        assert upstream.paid == [40, 40]


async def test_an_answer_that_nobody_comes_back_for_is_kept_for_two_minutes(
    tmp_path: Path,
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        await lost(clerk, gateway, upstream)
        gateway.clock.pass_s(121)
        assert (await clerk.call("desk.pay", **PAY)).done
        assert upstream.paid == [40, 40]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"amount": 41}, id="amount"),
        pytest.param({"to": "coffee"}, id="target"),
        pytest.param({"note": ""}, id="one-more-argument"),
    ],
)
async def test_a_call_that_differs_in_anything_is_another_call(
    tmp_path: Path, changed: dict[str, object]
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        upstream.then = turnstile = Turnstile()
        calls = [clerk.call("desk.pay", **PAY), clerk.call("desk.pay", **{**PAY, **changed})]
        tasks = [asyncio.create_task(call) for call in calls]
        await upstream.called(2)
        turnstile.open.set()
        await asyncio.gather(*tasks)
        assert len(upstream.calls) == 2


async def test_the_same_call_of_another_session_or_user_is_another_call(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        agents = [
            await gateway.agent("clerk-1"),
            await gateway.agent("clerk-1"),
            await gateway.agent("clerk-1", user="ana"),
            await gateway.agent("clerk-2"),
        ]
        upstream.then = turnstile = Turnstile()
        tasks = [asyncio.create_task(agent.call("desk.pay", **PAY)) for agent in agents]
        await upstream.called(4)
        turnstile.open.set()
        assert all(answered.done for answered in await asyncio.gather(*tasks))
        assert upstream.paid == [40] * 4


async def test_a_read_is_never_joined(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        upstream.then = turnstile = Turnstile()
        tasks = [asyncio.create_task(clerk.call("desk.look", at="x")) for _ in range(3)]
        await upstream.called(3)
        turnstile.open.set()
        await asyncio.gather(*tasks)
        assert all(entry["joined"] is None for entry in gateway.entries("decision"))


async def test_a_resend_is_decided_anew_before_it_is_joined(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        await lost(clerk, gateway, upstream)
        tight = gateway.policy.read_text().replace("args.amount <= 100", "args.amount <= 10")
        assert (await gateway.apply(tight)).is_success
        assert (await clerk.call("desk.pay", **PAY)).code == "policy.denied"


async def test_two_submissions_of_one_approved_call_are_one_execution(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        asked = await clerk.call("desk.pay", amount=400, to="paper")
        await gateway.answer(asked.approval)
        upstream.then = turnstile = Turnstile()
        calls = [clerk.call("desk.pay", amount=400, to="paper") for _ in range(10)]
        tasks = [asyncio.create_task(call) for call in calls]
        await upstream.called(1)
        turnstile.open.set()
        answers = await asyncio.gather(*tasks)
        assert upstream.paid == [400]
        assert all(answered.done or answered.code == "approval.pending" for answered in answers)
        assert (await gateway.operate("GET", f"/api/approvals/{asked.approval}")).json()[
            "state"
        ] == "executed"


@pytest.mark.parametrize("after", [0.02, 0.4])
async def test_a_connection_that_breaks_has_not_delivered_its_answer(
    tmp_path: Path, after: float
) -> None:
    """Also when it breaks sooner than any client loses its patience."""
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        upstream.then = turnstile = Turnstile()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(after):
                await clerk.call("desk.pay", **PAY)
        await upstream.called(1)
        turnstile.open.set()
        await gateway.until(lambda: bool(gateway.entries("outcome")))
        assert (await clerk.call("desk.pay", **PAY)).done
        assert upstream.paid == [40]


async def test_an_answer_owed_at_a_clean_stop_is_not_earned_twice(tmp_path: Path) -> None:
    async with desk() as upstream:
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            clerk = await gateway.agent("clerk-1")
            await lost(clerk, gateway, upstream)
        async with running(tmp_path, servers={"desk": upstream}) as again:
            await again.links_up()
            resent = await again.agent("clerk-1", session=clerk.session)
            answered = await resent.call("desk.pay", **PAY)
            assert not answered.done
            assert upstream.paid == [40]
            assert (await resent.call("desk.pay", **PAY)).done
            assert upstream.paid == [40, 40]


async def test_an_answer_delivered_before_a_clean_stop_is_owed_to_nobody(tmp_path: Path) -> None:
    async with desk() as upstream:
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            clerk = await gateway.agent("clerk-1")
            assert (await clerk.call("desk.pay", **PAY)).done
        async with running(tmp_path, servers={"desk": upstream}) as again:
            await again.links_up()
            resent = await again.agent("clerk-1", session=clerk.session)
            assert (await resent.call("desk.pay", **PAY)).done
            assert upstream.paid == [40, 40]

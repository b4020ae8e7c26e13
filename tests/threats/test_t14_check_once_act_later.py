"""T14: every call is decided anew when it is made, by the policy and the rights of that moment."""

import asyncio
from pathlib import Path

import pytest

from tests.harness.agent import LEGACY, MODERN, REST, WAYS
from tests.harness.disk import StallingDisk
from tests.harness.gateway import running
from tests.harness.policy import DESK
from tests.harness.upstream import TOOLS, Turnstile, desk, tool

TIGHT = DESK.replace("args.amount <= 100", "args.amount <= 10").replace(
    "args.amount > 100 && args.amount <= 1000", "args.amount > 5000"
)


@pytest.mark.parametrize("way", WAYS)
async def test_t14_a_policy_tightened_between_two_equal_calls_denies_the_later_one(
    tmp_path: Path, way: str
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent(way=way)
        first = await clerk.call("desk.pay", amount=40, to="paper")
        assert (await gateway.apply(TIGHT)).is_success
        later = await clerk.call("desk.pay", amount=40, to="paper")
        assert first.done
        assert later.code == "policy.denied"
        assert upstream.paid == [40]
        snapshots = [gateway.entry(a.entry)["decision"]["snapshot"] for a in (first, later)]
        assert snapshots[0] != snapshots[1]


@pytest.mark.parametrize("way", WAYS)
async def test_t14_a_policy_tightened_while_people_are_asked_outlives_their_yes(
    tmp_path: Path, way: str
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent(way=way)
        asked = await clerk.call("desk.pay", amount=400, to="paper")
        assert (await gateway.apply(TIGHT)).is_success
        assert (await gateway.answer(asked.approval))["state"] == "approved"
        assert (await clerk.call("desk.pay", amount=400, to="paper")).code == "policy.denied"
        assert upstream.calls == []


async def test_t14_a_policy_that_now_asks_somebody_else_is_not_content_with_the_old_yes(
    tmp_path: Path,
) -> None:
    other = DESK.replace("one-person: {from: people", "one-person: {from: chiefs").replace(
        "groups:\n", "groups:\n  chiefs: {members: [ines]}\n"
    )
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        asked = await clerk.call("desk.pay", amount=400, to="paper")
        await gateway.answer(asked.approval)
        assert (await gateway.apply(other)).is_success
        again = await clerk.call("desk.pay", amount=400, to="paper")
        assert again.code == "approval.pending"
        assert again.approval != asked.approval
        assert upstream.calls == []


async def test_t14_a_session_ended_after_the_yes_makes_it_worth_nothing(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        asked = await clerk.call("desk.pay", amount=400, to="paper")
        await gateway.answer(asked.approval)
        await gateway.operate("POST", f"/api/sessions/{clerk.session}/end")
        assert (await clerk.call("desk.pay", amount=400, to="paper")).http in {401, 403}
        assert upstream.calls == []


async def test_t14_a_token_revoked_between_two_calls_is_refused(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        assert (await clerk.call("desk.look")).done
        await gateway.operate("POST", "/api/tokens/revoke", {"token": clerk.token})
        assert (await clerk.call("desk.look")).code == "auth.revoked"
        assert len(upstream.calls) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_t14_rights_that_end_between_decision_and_forwarding_stop_the_call(
    tmp_path: Path, way: str
) -> None:
    """The decision and the end of the session become durable in one batch, the end last."""
    disk = StallingDisk()
    async with (
        desk() as upstream,
        running(tmp_path, servers={"desk": upstream}, disk=disk) as gateway,
    ):
        clerk, other = await gateway.agent(way=way), await gateway.agent()
        await clerk.names()
        with disk.stalled():
            first = asyncio.create_task(other.call("desk.wipe"))
            await gateway.writing()
            payment = asyncio.create_task(clerk.call("desk.pay", amount=40, to="paper"))
            await gateway.waiting(1)
            end = gateway.operate("POST", f"/api/sessions/{clerk.session}/end")
            ending = asyncio.create_task(end)
            await gateway.waiting(2)
        answered, *_ = await asyncio.gather(payment, first, ending)
        assert answered.code == "policy.changed"
        assert upstream.calls == []
        outcomes = gateway.entries("outcome")
        assert [outcome["status"] for outcome in outcomes] == ["refused"]


async def test_t14_a_policy_activated_between_decision_and_forwarding_stops_the_call(
    tmp_path: Path,
) -> None:
    disk = StallingDisk()
    async with (
        desk() as upstream,
        running(tmp_path, servers={"desk": upstream}, disk=disk) as gateway,
    ):
        clerk, other = await gateway.agent(), await gateway.agent()
        gateway.policy.write_text(TIGHT)
        digest = (await gateway.operate("GET", "/api/policy")).json()["proposed"]
        with disk.stalled():
            first = asyncio.create_task(other.call("desk.wipe"))
            await gateway.writing()
            payment = asyncio.create_task(clerk.call("desk.pay", amount=40, to="paper"))
            await gateway.waiting(1)
            apply = gateway.operate("POST", "/api/policy/apply", {"digest": digest})
            applying = asyncio.create_task(apply)
            await gateway.waiting(2)
        answered, *_ = await asyncio.gather(payment, first, applying)
        assert answered.code == "policy.changed"
        assert upstream.calls == []


async def test_t14_a_definition_that_changes_after_the_yes_stops_the_call(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        asked = await clerk.call("desk.publish", text="hello")
        await gateway.answer(asked.approval)
        changed = tool("publish", text="string", to="string")
        upstream.offer(*(t for t in TOOLS if t["name"] != "publish"), changed)
        await gateway.look_again("desk")
        blocked = await clerk.call("desk.publish", text="hello")
        assert blocked.code == "tool.changed"
        await gateway.accept("desk")
        anew = await clerk.call("desk.publish", text="hello")
        assert anew.code == "approval.pending"
        assert anew.approval != asked.approval
        assert upstream.calls == []


async def test_t14_a_call_that_runs_when_its_session_ends_is_cut_short_and_recorded_as_unknown(
    tmp_path: Path,
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        upstream.then = turnstile = Turnstile()
        call = asyncio.create_task(clerk.call("desk.pay", amount=40, to="paper"))
        await upstream.called(1)
        await gateway.operate("POST", f"/api/sessions/{clerk.session}/end")
        answered = await call
        turnstile.open.set()
        assert not answered.done
        assert "done" not in answered.text
        (outcome,) = gateway.entries("outcome")
        assert (outcome["status"], outcome["code"]) == ("unknown", "stopped")


@pytest.mark.parametrize(("first", "later"), [(MODERN, LEGACY), (LEGACY, REST), (REST, MODERN)])
async def test_t14_no_protocol_remembers_what_another_was_allowed(
    tmp_path: Path, first: str, later: str
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        assert (await clerk.by(first).call("desk.pay", amount=40, to="paper")).done
        assert (await gateway.apply(TIGHT)).is_success
        answered = await clerk.by(later).call("desk.pay", amount=40, to="paper")
        assert answered.code == "policy.denied"
        assert upstream.paid == [40]

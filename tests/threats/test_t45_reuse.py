"""T45: a yes is used once, and not after its time."""

import asyncio
from pathlib import Path

import pytest

from tests.harness.agent import Agent
from tests.harness.gateway import Clock, Running, running
from tests.harness.holder import SIGNED, SITE, holder
from tests.harness.upstream import Desk, desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_t45_two_calls_at_once_with_one_yes_are_one_effect(
    gateway: Running, upstream: Desk, clerk: Agent
) -> None:
    asked = await clerk.call("desk.publish", text="once")
    await gateway.answer(asked.approval)
    answers = await asyncio.gather(*(clerk.call("desk.publish", text="once") for _ in range(8)))
    assert any(answer.done for answer in answers)
    assert len(upstream.calls) == 1


async def test_t45_a_yes_is_worth_nothing_after_its_time(tmp_path: Path) -> None:
    clock = Clock()
    async with (
        desk() as upstream,
        running(tmp_path, servers={"desk": upstream}, clock=clock) as gateway,
    ):
        clerk = await gateway.agent(ttl_s=7200)
        asked = await clerk.call("desk.publish", text="late")
        await gateway.answer(asked.approval)
        clock.pass_s(31 * 60)
        clerk = await gateway.agent(clerk.name, session=clerk.session)
        late = await clerk.call("desk.publish", text="late")
        assert late.code == "approval.pending"
        assert late.approval != asked.approval
        assert upstream.calls == []


async def test_t45_a_signature_is_no_second_yes_when_the_first_was_taken_back(
    tmp_path: Path,
) -> None:
    """Somebody who saw it pass sends it again; many passkeys do not count what they sign."""
    policy = SIGNED.replace("quorum: 1,", "quorum: 2,")
    async with (
        desk() as upstream,
        running(tmp_path, policy, {"desk": upstream}, settings=SITE) as gateway,
        holder(gateway, "omar", registered=False) as omar,
    ):
        omar.device.count = None
        await omar.register()
        clerk = await gateway.agent()
        asked = (await clerk.call("desk.publish", text="once")).approval
        assert asked is not None
        signed = await omar.sign(asked, "approve")
        assert (await omar.answer(asked, "approve", signed)).is_success
        assert (await omar.ask("POST", f"/api/approvals/{asked}/retract", json={})).is_success
        await omar.begin(asked, "approve")
        again = await omar.answer(asked, "approve", signed)
        assert again.json()["code"] == "approval.signature"
        found = gateway.gateway.services.state.approvals.get(asked)
        assert found is not None
        assert found.votes == ()

"""T46: who decides is a person with that role, who is not who asks, and for some calls two."""

from pathlib import Path
from typing import Any

import pytest

from tests.harness.agent import Agent
from tests.harness.authenticator import Authenticator
from tests.harness.gateway import Running, running
from tests.harness.holder import SIGNED, SITE, holder
from tests.harness.policy import DESK
from tests.harness.upstream import Desk, desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = DESK.replace("quorum: 1", "quorum: 2")
OWN = "own: {roles: [clerk], owner: omar}"


async def vote(gateway: Running, request: str | None, *, by: str) -> dict[str, Any]:
    shown = (await gateway.operate("GET", f"/api/approvals/{request}")).json()
    body = {"digest": shown["digest"], "reason": "x"}
    path = f"/api/approvals/{request}/approve"
    told: dict[str, Any] = (await gateway.operate("POST", path, body, by=by, check=False)).json()
    return told


async def test_t46_an_agents_token_decides_nothing(
    gateway: Running, upstream: Desk, clerk: Agent
) -> None:
    asked = await clerk.call("desk.publish", text="mine")
    for path in (
        f"/api/approvals/{asked.approval}/approve",
        f"/approvals/{asked.approval}/approve",
    ):
        answered = await gateway.http.post(
            f"{gateway.operators_url}{path}",
            json={"digest": "0" * 64},
            headers={"authorization": f"Bearer {clerk.token}"},
        )
        assert answered.status_code in {401, 404}
    assert (await clerk.call("desk.publish", text="mine")).code == "approval.pending"
    assert upstream.calls == []


async def test_t46_the_person_for_whom_is_asked_does_not_decide(gateway: Running) -> None:
    clerk = await gateway.agent(user="omar")
    asked = await clerk.call("desk.publish", text="for omar")
    assert (await vote(gateway, asked.approval, by="omar"))["code"] == "approval.self"


@pytest.mark.parametrize("name", ["vera", "arno", "adam"])
async def test_t46_other_roles_do_not_decide(gateway: Running, clerk: Agent, name: str) -> None:
    asked = await clerk.call("desk.publish", text=f"asked of {name}")
    assert (await vote(gateway, asked.approval, by=name))["code"] == "operator.role"
    assert gateway.refusals("operator.role") > 0


async def test_t46_a_key_alone_is_no_person_where_a_passkey_is_demanded(tmp_path: Path) -> None:
    async with (
        desk() as upstream,
        running(tmp_path, SIGNED, {"desk": upstream}, settings=SITE) as gateway,
        holder(gateway, "omar") as omar,
    ):
        clerk = await gateway.agent()
        asked = await clerk.call("desk.publish", text="signed")
        assert asked.approval is not None
        assert (await vote(gateway, asked.approval, by="omar"))["code"] == "approval.passkey"
        foreign = Authenticator(omar.device.rp_id, omar.device.origin, id=omar.device.id)
        omar.device, own = foreign, omar.device
        forged = await omar.sign(asked.approval, "approve")
        refused = await omar.answer(asked.approval, "approve", forged)
        assert refused.json()["code"] == "approval.signature"
        assert (await clerk.call("desk.publish", text="signed")).code == "approval.pending"
        omar.device = own
        own.count = 9
        signed = await omar.sign(asked.approval, "approve")
        assert (await omar.answer(asked.approval, "approve", signed)).is_success
        assert (await clerk.call("desk.publish", text="signed")).done
        assert len(upstream.calls) == 1


async def test_t46_one_person_is_not_two(gateway: Running, upstream: Desk, clerk: Agent) -> None:
    asked = await clerk.call("desk.publish", text="twice")
    assert (await vote(gateway, asked.approval, by="omar"))["state"] == "asked"
    assert (await vote(gateway, asked.approval, by="omar"))["code"] == "approval.voted"
    assert (await clerk.call("desk.publish", text="twice")).code == "approval.pending"
    assert upstream.calls == []


async def test_t46_whose_agent_it_is_does_not_decide(tmp_path: Path) -> None:
    policy = POLICY.replace("idle: {roles: [nobody], owner: team}", OWN)
    async with desk() as upstream, running(tmp_path, policy, {"desk": upstream}) as gateway:
        asked = await (await gateway.agent("own")).call("desk.publish", text="mine")
        assert (await vote(gateway, asked.approval, by="omar"))["code"] == "approval.self"
        shown = (await gateway.operate("GET", f"/api/approvals/{asked.approval}")).json()
        assert {"omar", "own"} <= set(shown["askers"])


async def test_t46_who_opened_the_agents_session_does_not_decide(gateway: Running) -> None:
    await gateway.invite("ines", "administrator", "approver")
    given = (await gateway.operate("POST", "/api/tokens", {"agent": "clerk-9"}, by="ines")).json()
    clerk = Agent(gateway.http, gateway.url, given["access_token"], "clerk-9", given["session"])
    asked = await clerk.call("desk.publish", text="opened by ines")
    assert (await vote(gateway, asked.approval, by="ines"))["code"] == "approval.self"
    assert (await clerk.call("desk.publish", text="opened by ines")).code == "approval.pending"


async def test_t46_two_are_two_people_and_one_may_think_again(
    gateway: Running, upstream: Desk, clerk: Agent
) -> None:
    await gateway.invite("ines", "approver")
    asked = await clerk.call("desk.publish", text="two")
    assert (await vote(gateway, asked.approval, by="omar"))["state"] == "asked"
    path = f"/api/approvals/{asked.approval}/retract"
    assert (await gateway.operate("POST", path, {}, by="omar")).json()["votes"] == []
    assert (await vote(gateway, asked.approval, by="ines"))["state"] == "asked"
    assert (await clerk.call("desk.publish", text="two")).code == "approval.pending"
    assert upstream.calls == []
    assert (await vote(gateway, asked.approval, by="omar"))["state"] == "approved"
    late = await gateway.operate("POST", path, {}, by="ines", check=False)
    assert late.json()["code"] == "approval.ended"
    assert (await clerk.call("desk.publish", text="two")).done

"""An agent and its own requests: by tools and over REST, and nobody else's."""

import pytest

from tests.harness.agent import WAYS, Agent, Answer
from tests.harness.gateway import Running, running
from tests.harness.policy import ASKER
from tests.harness.upstream import Desk, desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = ASKER


async def asked(clerk: Agent, text: str = "out") -> str:
    answered = await clerk.call("desk.publish", text=text)
    assert answered.approval is not None
    return answered.approval


@pytest.mark.parametrize("way", WAYS)
async def test_the_asker_learns_what_became_of_its_request(gateway: Running, way: str) -> None:
    clerk = await gateway.agent(way=way)
    request = await asked(clerk, f"told {way}")
    found = await clerk.call("approvals.status", id=request)
    assert found.done, found.text
    assert '"state":"asked"' in found.text
    assert '{"from":["people"],"quorum":1,"approved":0}' in found.text
    await gateway.answer(request)
    assert '"state":"approved"' in (await clerk.call("approvals.status", id=request)).text
    assert "omar" not in found.text


async def test_what_was_withdrawn_cannot_be_approved_or_used(
    gateway: Running, upstream: Desk, clerk: Agent
) -> None:
    since, request = gateway.size, await asked(clerk)
    withdrawn = await clerk.call("approvals.withdraw", id=request)
    assert '"state":"withdrawn"' in withdrawn.text
    (entry,) = gateway.entries("approval.ended", since=since)
    assert (entry["state"], entry["by"]) == ("withdrawn", f"agent:{clerk.name}")
    shown = (await gateway.operate("GET", f"/api/approvals/{request}")).json()
    late = await gateway.operate(
        "POST",
        f"/api/approvals/{request}/approve",
        {"digest": shown["digest"]},
        by="omar",
        check=False,
    )
    assert late.json()["code"] == "approval.ended"
    anew = await clerk.call("desk.publish", text="out")
    assert (anew.code, anew.approval == request) == ("approval.pending", False)
    assert upstream.calls == []


async def test_an_approval_can_be_withdrawn_before_it_is_used(
    gateway: Running, upstream: Desk, clerk: Agent
) -> None:
    request = await asked(clerk)
    await gateway.answer(request)
    assert (await clerk.call("approvals.withdraw", id=request)).done
    assert (await clerk.call("desk.publish", text="out")).code == "approval.pending"
    assert upstream.calls == []


@pytest.mark.parametrize("verdict", ["approve", "deny"])
async def test_what_is_over_is_not_withdrawn(
    gateway: Running, upstream: Desk, clerk: Agent, verdict: str
) -> None:
    request = await asked(clerk)
    await gateway.answer(request, verdict)
    await clerk.call("desk.publish", text="out")
    late = await clerk.call("approvals.withdraw", id=request)
    assert "not open" in late.text
    assert len(upstream.calls) == (verdict == "approve")


async def others(gateway: Running, clerk: Agent) -> list[Agent]:
    """Another agent, the same one in another session, and the same one for somebody."""
    return [
        await gateway.agent(),
        await gateway.agent(clerk.name),
        await gateway.agent(clerk.name, user="ana"),
    ]


async def test_what_others_asked_is_answered_like_what_does_not_exist(
    gateway: Running, clerk: Agent
) -> None:
    request = await asked(clerk)
    for other in await others(gateway, clerk):
        for tool in ("approvals.status", "approvals.withdraw"):
            found = [await other.call(tool, id=name) for name in (request, "0" * 36, "x")]
            assert len({each.text for each in found}) == 1
            assert not any(each.done for each in found)
        absent = await other.get(f"/v1/approvals/{'0' * 36}")
        found_there = await other.get(f"/v1/approvals/{request}")
        assert (found_there.http, told(found_there)) == (404, told(absent))
    assert (await clerk.get(f"/v1/approvals/{request}")).http == 200


def told(answered: Answer) -> str:
    return answered.text


@pytest.mark.parametrize("tool", ["approvals.status", "approvals.withdraw"])
async def test_they_are_governed_like_any_tool(
    tmp_path_factory: pytest.TempPathFactory, tool: str
) -> None:
    policy = ASKER.replace("tools: [approvals.*]", "tools: [desk.look]")
    folder = tmp_path_factory.mktemp("denied")
    async with desk() as upstream, running(folder, policy, {"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        request = await asked(clerk)
        refused = await clerk.call(tool, id=request)
        assert not refused.done
        assert (await clerk.get(f"/v1/approvals/{request}")).http == 200

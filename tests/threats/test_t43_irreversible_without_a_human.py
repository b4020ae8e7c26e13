"""T43: what cannot be undone happens only after a person said yes, outside the agent's channel."""

import pytest

from tests.harness.agent import WAYS, Agent
from tests.harness.gateway import Running
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("way", WAYS)
async def test_t43_nothing_happens_until_somebody_agreed(
    gateway: Running, upstream: Desk, way: str
) -> None:
    clerk = await gateway.agent(way=way)
    for _ in range(3):
        assert (await clerk.call("desk.publish", text="out")).code == "approval.pending"
    assert upstream.calls == []
    asked = await clerk.call("desk.publish", text="out")
    await gateway.answer(asked.approval)
    assert (await clerk.call("desk.publish", text="out")).done
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("verb", ["approve", "deny"])
@pytest.mark.parametrize(
    "place", ["/api/approvals/{}/{}", "/approvals/{}/{}", "/v1/approvals/{}/{}"]
)
async def test_t43_the_agents_channel_takes_no_answer(
    gateway: Running, upstream: Desk, clerk: Agent, place: str, verb: str
) -> None:
    asked = await clerk.call("desk.publish", text="mine")
    answered = await clerk.post(b"{}", path=f"{place}/{asked.approval}/{verb}")
    assert answered.http >= 400
    assert (await clerk.call("desk.publish", text="mine")).code == "approval.pending"
    assert upstream.calls == []

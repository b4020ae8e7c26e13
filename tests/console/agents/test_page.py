"""The pages of agents: what they may do, what they do, and holding one up."""

from pathlib import Path

import pytest

from tests.harness.agent import Agent
from tests.harness.console import Person, console, person, said
from tests.harness.gateway import Running
from tests.harness.policy import DESK
from tests.harness.upstream import desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_agent_is_shown_with_what_it_may_do(vera: Person) -> None:
    page = (await vera.get("/agents/clerk-7")).text
    assert "desk.publish" in page
    assert "ask" in page
    assert "passavant token issue --agent clerk-7" in page
    assert "Suspend this agent" not in page


async def test_the_list_is_filtered_on_the_server(vera: Person) -> None:
    page = (await vera.get("/agents?q=CLERK-24")).text
    assert "/agents/clerk-249" in page
    assert "/agents/clerk-7" not in page
    assert "No agent has" in (await vera.get("/agents?q=<script>")).text


async def test_an_agent_is_suspended_and_resumed(
    gateway: Running, adam: Person, clerk: Agent
) -> None:
    path = f"/agents/{clerk.name}"
    page = await adam.get(path)
    held = await adam.send(
        page, "/stop/agent/suspend", name=clerk.name, reason="odd calls", back=path
    )
    assert held.url.path == path
    assert "Resume this agent" in held.text
    assert (await clerk.call("desk.look", at="x")).code == "auth.revoked"
    free = await adam.send(
        held, "/stop/agent/resume", name=clerk.name, reason="fine", back=path, word=clerk.name
    )
    assert "Suspend this agent" in free.text
    assert (await clerk.call("desk.look", at="x")).done


async def test_a_session_is_ended(adam: Person, clerk: Agent) -> None:
    path = f"/agents/{clerk.name}"
    page = await adam.get(path)
    assert clerk.session in page.text
    after = await adam.send(page, f"/sessions/{clerk.session}/end", back=path)
    assert clerk.session not in after.text
    assert not (await clerk.call("desk.look", at="x")).done


@pytest.mark.parametrize("name", ["nobody", "%3Cscript%3E", "a%2Fb"])
async def test_an_agent_that_is_not_there_is_not_found(vera: Person, name: str) -> None:
    page = await vera.get(f"/agents/{name}")
    assert page.status_code == 404
    assert "<script>" not in page.text


LIMITED = DESK.replace(
    "tools:\n",
    """\
limits:
  looks-a-day: {per: agent, rate: 3/day}
  at-once: {per: user, at_once: 2}
budgets:
  notes: {per: agent, amount: 9, window: 1d, unit: pages, unknown_cost: deny}
tools:
""",
    1,
).replace("[desk.look], effect: allow}", "[desk.look], effect: allow, limits: [looks-a-day]}")


async def test_what_an_agent_has_used_of_its_limits_is_shown(tmp_path: Path) -> None:
    async with (
        desk() as upstream,
        console(tmp_path, LIMITED, {"desk": upstream}) as gateway,
        person(gateway, "vera") as vera,
    ):
        clerk = await gateway.agent()
        for _ in range(4):
            await clerk.call("desk.look", at="x")
        text = said(await vera.get(f"/agents/{clerk.name}"))
        other = said(await vera.get("/agents/clerk-9"))
    assert "looks-a-day 3 calls 3 86400 s \u2715 denied" in text
    assert "notes 0 pages 9 86400 s \u2713 ok" in text
    assert "at-once" not in text
    assert "looks-a-day 0 calls 3 86400 s \u2713 ok" in other
    assert "limit:looks-a-day" in text


async def test_the_last_calls_of_an_agent_are_shown(vera: Person, clerk: Agent) -> None:
    await clerk.call("desk.pay", amount=400, to="paper")
    await clerk.call("desk.wipe", what="x")
    text = said(await vera.get(f"/agents/{clerk.name}"))
    assert "wants desk.pay" in text
    assert "desk.wipe - no rule matched" in text


async def test_an_agent_that_did_nothing_is_said_to(vera: Person) -> None:
    assert "It has called nothing for seven days" in said(await vera.get("/agents/idle"))

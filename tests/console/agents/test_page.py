"""The pages of agents: what they may do, what they do, and holding one up."""

import pytest

from tests.harness.agent import Agent
from tests.harness.console import Person
from tests.harness.gateway import Running

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
    free = await adam.send(held, "/stop/agent/resume", name=clerk.name, reason="fine", back=path)
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

"""T8: an MCP session id is no credential: whose token comes with it decides."""

import httpx
import pytest

from tests.harness.agent import LEGACY, MODERN, Agent
from tests.harness.gateway import Running
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_t08_the_session_id_of_another_is_not_found(gateway: Running, upstream: Desk) -> None:
    mine, other = await gateway.agent(way=LEGACY), await gateway.agent(way=LEGACY)
    await other.names()
    await mine.names()
    before = other.mcp_session
    mine.mcp_session = other.mcp_session
    assert (await mine.call("desk.look")).http == 404
    assert upstream.calls == []
    assert (await other.call("desk.look")).done  # it goes on undisturbed
    assert other.mcp_session == before


async def test_t08_another_cannot_end_a_session(gateway: Running, upstream: Desk) -> None:
    mine, other = await gateway.agent(way=LEGACY), await gateway.agent(way=LEGACY)
    await other.names()
    ended = await gateway.http.delete(
        f"{gateway.url}/mcp",
        headers={
            "authorization": f"Bearer {mine.token}",
            "mcp-session-id": str(other.mcp_session),
            "mcp-protocol-version": "2025-11-25",
        },
    )
    assert ended.status_code == 404
    assert (await other.call("desk.look")).done


async def test_t08_a_session_id_without_a_token_opens_nothing(
    gateway: Running, upstream: Desk
) -> None:
    other = await gateway.agent(way=LEGACY)
    await other.names()
    answered: httpx.Response = await gateway.http.post(
        f"{gateway.url}/mcp",
        json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
        headers={"mcp-session-id": str(other.mcp_session)},
    )
    assert answered.status_code == 401
    assert upstream.calls == []


async def test_t08_without_sessions_the_credential_of_each_request_decides(
    gateway: Running, upstream: Desk
) -> None:
    legacy, mine = await gateway.agent(way=LEGACY), await gateway.agent(way=MODERN)
    await legacy.names()
    stolen = {"mcp-session-id": str(legacy.mcp_session)}
    assert (await mine.call_raw("desk.look", b"{}", stolen)).done
    assert gateway.kinds(legacy) == ["session.open", "token.issue"]


async def test_t08_session_ids_cannot_be_guessed(gateway: Running) -> None:
    found: set[str] = set()
    agents: list[Agent] = [await gateway.agent(way=LEGACY) for _ in range(5)]
    for agent in agents:
        await agent.names()
        found.add(str(agent.mcp_session))
    assert len(found) == len(agents)
    assert all(len(session) >= 32 for session in found)

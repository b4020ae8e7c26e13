"""MCP 2025-11-25 and before: handshake, sessions, and who may use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from gateway.action import Outcome

if TYPE_CHECKING:
    from tests.gateway.faces.conftest import Agent, Clock, GateDouble

CALL: dict[str, Any] = {"name": "ledger__pay", "arguments": {"amount": 40}}
GREETING: dict[str, Any] = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "mcp", "version": "0.1.0"},
}


@pytest.mark.parametrize(
    ("wanted", "agreed"),
    [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("2099-01-01", "2025-11-25"),
        ("", "2025-11-25"),
    ],
)
async def test_the_handshake_agrees_on_a_version_of_this_era(
    agent: Agent, wanted: str, agreed: str
) -> None:
    answered = await agent.legacy("initialize", {**GREETING, "protocolVersion": wanted})
    result = answered.body["result"]
    assert answered.status == 200
    assert result["protocolVersion"] == agreed
    assert result["capabilities"] == {"tools": {}}
    assert result["serverInfo"] == {"name": "passavant", "version": "0.1.0"}
    assert answered.headers["mcp-session-id"]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"protocolVersion": None}, id="null-version"),
        pytest.param({"protocolVersion": 20251125}, id="version-number"),
        pytest.param({"protocolVersion": ["2025-11-25"]}, id="version-list"),
        pytest.param({"capabilities": []}, id="capabilities-list"),
        pytest.param({"capabilities": None}, id="null-capabilities"),
        pytest.param({"clientInfo": "mcp"}, id="client-text"),
        pytest.param({"clientInfo": None}, id="null-client"),
    ],
)
async def test_a_greeting_of_another_shape_opens_nothing(
    agent: Agent, gate: GateDouble, changed: dict[str, Any]
) -> None:
    answered = await agent.legacy("initialize", GREETING | changed)
    assert answered.error["code"] == -32602
    assert "mcp-session-id" not in answered.headers
    assert gate.refused == [("clerk", "request.malformed")]


async def test_tools_are_listed_and_called_in_a_session(agent: Agent, gate: GateDouble) -> None:
    session = await agent.open("2025-06-18")
    listed = await agent.legacy("tools/list", session=session, version="2025-06-18")
    assert len(listed.body["result"]["tools"]) == 5
    assert "resultType" not in listed.body["result"]
    called = await agent.legacy("tools/call", CALL, session=session, version="2025-06-18")
    assert called.body["result"]["unheard"] == {"of": "members"}
    assert "resultType" not in called.body["result"]
    assert called.headers["audit-receipt"].startswith("passavant/node-1;41;")
    [action] = gate.crossed
    assert (action.server, action.tool, action.face) == ("ledger", "pay", "mcp/2025-06-18")


async def test_a_client_of_the_first_revision_states_no_version(
    agent: Agent, gate: GateDouble
) -> None:
    session = await agent.open("2025-03-26")
    assert (await agent.legacy("tools/call", CALL, session=session)).status == 200
    assert gate.crossed[0].face == "mcp/2025-03-26"


async def test_a_pending_approval_is_an_ordinary_result(agent: Agent, gate: GateDouble) -> None:
    session = await agent.open()
    gate.outcome = Outcome("pending", "approval.pending", "Wait.", approval="r-7", expires=9)
    result = (await agent.legacy("tools/call", CALL, session=session)).body["result"]
    assert result == {
        "content": [{"type": "text", "text": "Wait."}],
        "isError": True,
        "_meta": {
            "passavant/status": "pending",
            "passavant/code": "approval.pending",
            "passavant/approval": "r-7",
            "passavant/expires": 9,
        },
    }


async def test_a_ping_is_answered(agent: Agent) -> None:
    session = await agent.open()
    answered = await agent.legacy("ping", session=session)
    assert answered.body == {"jsonrpc": "2.0", "id": 2, "result": {}}


@pytest.mark.parametrize("method", ["tools/list", "tools/call", "ping", "notifications/cancelled"])
async def test_without_a_session_nothing_is_answered(
    agent: Agent, gate: GateDouble, method: str
) -> None:
    answered = await agent.legacy(method, CALL, version="2025-11-25")
    assert (answered.status, answered.error["code"]) == (400, -32600)
    assert gate.refused == [("clerk", "request.malformed")]
    assert not gate.crossed


@pytest.mark.parametrize(
    ("thief", "path"),
    [
        pytest.param(b"mallory", "/mcp", id="another-agent"),
        pytest.param(b"clerk/session-2", "/mcp", id="another-session-of-the-same-agent"),
        pytest.param(b"clerk", "/mcp/ledger", id="another-endpoint"),
        pytest.param(b"Clerk", "/mcp", id="another-case"),
    ],
)
async def test_t8_a_session_exists_only_for_who_opened_it(
    agent: Agent, gate: GateDouble, thief: bytes, path: str
) -> None:
    session = await agent.open()
    other = agent.of(token=thief, path=path)
    answered = await other.legacy("tools/call", CALL, session=session)
    unknown = await other.legacy("tools/call", CALL, session="mcp-999")
    assert (answered.status, unknown.status) == (404, 404)
    assert answered.error == unknown.error
    assert (
        await other.send(headers=[(b"mcp-session-id", session.encode())], method="DELETE")
    ).status == 404
    assert not gate.crossed
    assert (await agent.legacy("ping", session=session)).status == 200


async def test_t8_a_session_is_no_credential(agent: Agent, gate: GateDouble) -> None:
    session = await agent.open()
    answered = await agent.of(token=None).legacy("tools/call", CALL, session=session)
    assert answered.status == 401
    answered = await agent.of(token=b"expired").legacy("tools/call", CALL, session=session)
    assert answered.status == 401
    assert not gate.crossed


@pytest.mark.parametrize("session", ["", " ", "mcp-", "../1", "mcp-1,mcp-1", "é", "x" * 4000])
async def test_t8_a_made_up_session_is_not_found(
    agent: Agent, gate: GateDouble, session: str
) -> None:
    await agent.open()
    answered = await agent.legacy("ping", session=session)
    assert (answered.status, answered.error["data"]["code"]) == (404, "request.session")


async def test_another_version_than_agreed_is_refused(agent: Agent, gate: GateDouble) -> None:
    session = await agent.open("2025-11-25")
    answered = await agent.legacy("tools/call", CALL, session=session, version="2025-06-18")
    assert (answered.status, answered.error["data"]["code"]) == (400, "request.mismatch")
    assert not gate.crossed


async def test_a_version_of_no_era_is_told_which_there_are(agent: Agent, gate: GateDouble) -> None:
    session = await agent.open()
    answered = await agent.legacy("tools/call", CALL, session=session, version="1.0")
    assert answered.status == 400
    assert answered.error["code"] in {-32602, -32022}
    assert not gate.crossed


async def test_a_session_ends_when_its_client_says_so(agent: Agent) -> None:
    session = await agent.open()
    header = [(b"mcp-session-id", session.encode()), (b"mcp-protocol-version", b"2025-11-25")]
    assert (await agent.send(headers=header, method="DELETE")).status == 204
    assert (await agent.send(headers=header, method="DELETE")).status == 404
    assert (await agent.legacy("ping", session=session)).status == 404


async def test_a_session_ends_when_nobody_uses_it(agent: Agent, clock: Clock) -> None:
    session = await agent.open()
    clock.now += 29 * 60
    assert (await agent.legacy("ping", session=session)).status == 200
    clock.now += 29 * 60
    assert (await agent.legacy("ping", session=session)).status == 200
    clock.now += 31 * 60
    assert (await agent.legacy("ping", session=session)).status == 404


async def test_a_stream_is_refused_and_asking_for_one_is_no_offence(
    agent: Agent, gate: GateDouble
) -> None:
    session = await agent.open()
    header = [(b"mcp-session-id", session.encode()), (b"accept", b"text/event-stream")]
    answered = await agent.send(headers=header, method="GET")
    assert (answered.status, answered.headers["allow"]) == (405, "POST, DELETE")
    assert not gate.refused
    answered = await agent.of(token=b"mallory").send(headers=header, method="GET")
    assert answered.status == 404
    assert gate.refused == [("mallory", "request.session")]


@pytest.mark.parametrize(
    "method",
    [
        "resources/list",
        "resources/read",
        "resources/subscribe",
        "prompts/get",
        "completion/complete",
        "sampling/createMessage",
        "elicitation/create",
        "roots/list",
        "tasks/list",
        "tasks/result",
        "logging/setLevel",
        "server/discover",
        "subscriptions/listen",
        "nonsense",
    ],
)
async def test_t25_no_method_but_those_of_tools_is_offered(
    agent: Agent, gate: GateDouble, method: str
) -> None:
    session = await agent.open()
    answered = await agent.legacy(method, {"uri": "file:///etc/passwd"}, session=session)
    assert (answered.status, answered.error["code"]) == (200, -32601)
    assert gate.refused == [("clerk", "request.unknown_method")]
    assert not gate.crossed


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({}, id="no-name"),
        pytest.param({"name": 7}, id="number-name"),
        pytest.param({"Name": "ledger__pay"}, id="name-in-another-case"),
        pytest.param({**CALL, "Name": "git__git_log"}, id="two-names"),
        pytest.param({"name": "ledger__pay", "arguments": []}, id="list-arguments"),
    ],
)
async def test_a_call_of_another_shape_is_refused(
    agent: Agent, gate: GateDouble, params: dict[str, Any]
) -> None:
    session = await agent.open()
    answered = await agent.legacy("tools/call", params, session=session)
    assert (answered.status, answered.error["code"]) == (200, -32602)
    assert gate.refused == [("clerk", "request.malformed")]
    assert not gate.crossed


async def test_a_task_is_not_made_of_a_call(agent: Agent, gate: GateDouble) -> None:
    session = await agent.open()
    params = {**CALL, "task": {"ttl": 60_000}}
    answered = await agent.legacy("tools/call", params, session=session)
    assert "content" in answered.body["result"]
    assert gate.crossed[0].args == CALL["arguments"]


async def test_a_call_without_id_is_not_made(agent: Agent, gate: GateDouble) -> None:
    session = await agent.open()
    body = orjson.dumps({"jsonrpc": "2.0", "method": "tools/call", "params": CALL})
    answered = await agent.send(body, [(b"mcp-session-id", session.encode())])
    assert (answered.status, answered.error["code"]) == (400, -32600)
    assert not gate.crossed


@pytest.mark.parametrize(
    "method", ["notifications/cancelled", "notifications/progress", "notifications/unheard"]
)
async def test_a_notification_is_taken_and_does_nothing(
    agent: Agent, gate: GateDouble, method: str
) -> None:
    session = await agent.open()
    answered = await agent.legacy(method, {"requestId": 1}, session=session)
    assert (answered.status, answered.raw) == (202, b"")
    assert not gate.refused


async def test_a_server_that_offers_nothing_opens_no_session(
    agent: Agent, gate: GateDouble
) -> None:
    for other in (agent.of(path="/mcp/nosuch"), agent.of(path="/mcp/git", token=b"stranger")):
        answered = await other.legacy("initialize", GREETING)
        assert (answered.status, answered.error["data"]["code"]) == (404, "server.unknown")
        assert "mcp-session-id" not in answered.headers

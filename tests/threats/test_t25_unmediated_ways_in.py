"""T25: what the gateway does not decide on does not exist, and past the gateway leads no way."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from audit.canonical import Json
from tests.gateway.links.http_upstream import answer, says
from tests.harness.agent import LEGACY, META, MODERN, WAYS, Agent
from tests.harness.gateway import Running, running
from tests.harness.upstream import Desk, desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

METHODS: dict[str, dict[str, Any]] = {
    "resources/list": {},
    "resources/templates/list": {},
    "resources/read": {"uri": "file:///etc/passwd"},
    "resources/subscribe": {"uri": "file:///etc/passwd"},
    "resources/unsubscribe": {"uri": "file:///etc/passwd"},
    "prompts/list": {},
    "prompts/get": {"name": "desk__look"},
    "completion/complete": {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {}},
    "sampling/createMessage": {"messages": [], "maxTokens": 1},
    "elicitation/create": {"message": "your password?", "requestedSchema": {}},
    "roots/list": {},
    "logging/setLevel": {"level": "debug"},
    "tasks/list": {},
    "tasks/get": {"taskId": "1"},
    "tasks/result": {"taskId": "1"},
    "tasks/cancel": {"taskId": "1"},
    "subscriptions/listen": {},
    "tools/subscribe": {},
    "tools/call/desk__wipe": {},
    "Tools/Call": {"name": "desk__look", "arguments": {}},
    "tools/call ": {"name": "desk__look", "arguments": {}},
    "rpc.discover": {},
    "admin/policy": {},
    "": {},
}
HEARD = {"server/discover", "tools/list", "tools/call"}


@pytest.mark.parametrize("way", [MODERN, LEGACY])
@pytest.mark.parametrize("server", [None, "desk"])
@pytest.mark.parametrize(("method", "params"), METHODS.items(), ids=list(METHODS))
async def test_t25_every_method_but_those_of_tools_is_refused_recorded_and_not_forwarded(
    gateway: Running,
    upstream: Desk,
    clerk: Agent,
    way: str,
    server: str | None,
    method: str,
    params: dict[str, Any],
) -> None:
    agent = clerk.by(way, server=server)
    headers = {}
    if "uri" in params or "name" in params:
        headers = {"mcp-name": str(params.get("uri") or params.get("name"))}
    answered = await agent.rpc(method, params, headers=headers if way == MODERN else {})
    assert answered.rpc in {-32601, -32600, -32020}
    assert answered.result is None
    assert {heard.method for heard in upstream.heard} <= HEARD
    assert upstream.calls == []
    assert gateway.entries("refusal", of=clerk)


@pytest.mark.parametrize("way", [MODERN, LEGACY])
@pytest.mark.parametrize(
    "notification",
    [
        "notifications/cancelled",
        "notifications/progress",
        "notifications/roots/list_changed",
        "notifications/message",
        "notifications/tools/list_changed",
        "notifications/elicitation/complete",
    ],
)
async def test_t25_a_notification_ends_at_the_gateway(
    upstream: Desk, clerk: Agent, way: str, notification: str
) -> None:
    agent = clerk.by(way)
    await agent.names()
    params: dict[str, Any] = {"requestId": 1, "reason": "x"}
    headers = {}
    if way == MODERN:
        params["_meta"] = META
        headers = {"mcp-protocol-version": MODERN, "mcp-method": notification}
    body = {"jsonrpc": "2.0", "method": notification, "params": params}
    answered = await agent.post(json.dumps(body).encode(), headers)
    assert (answered.http, answered.body) == (202, None)
    assert {heard.method for heard in upstream.heard} <= HEARD


@pytest.mark.parametrize("way", [MODERN, LEGACY])
async def test_t25_an_answer_to_a_question_that_nobody_asked_is_refused(
    upstream: Desk, clerk: Agent, way: str
) -> None:
    agent = clerk.by(way)
    await agent.names()
    for body in (
        {"jsonrpc": "2.0", "id": 1, "result": {"action": "accept"}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "x"}},
        {"jsonrpc": "2.0", "id": None, "method": "tools/call", "params": {"name": "desk__look"}},
    ):
        answered = await agent.post(json.dumps(body).encode())
        assert answered.rpc == -32600
    assert upstream.calls == []


@pytest.mark.parametrize("way", [MODERN, LEGACY])
async def test_t25_a_call_without_an_id_is_not_executed(
    upstream: Desk, clerk: Agent, way: str
) -> None:
    agent = clerk.by(way)
    await agent.names()
    headers = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "desk__look"}
    params = {
        "name": "desk__look",
        "arguments": {"at": "x"},
        **({"_meta": META} if way == MODERN else {}),
    }
    body = {"jsonrpc": "2.0", "method": "tools/call", "params": params}
    answered = await agent.post(json.dumps(body).encode(), headers if way == MODERN else {})
    assert answered.http in {202, 400}
    assert upstream.calls == []


@pytest.mark.parametrize(
    "verb", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "CONNECT", "QUERY"]
)
@pytest.mark.parametrize(
    "path", ["/mcp", "/mcp/desk", "/v1/tools/desk/look", "/v1/openapi.json", "/v1/session"]
)
async def test_t25_no_other_verb_calls_anything(
    gateway: Running, upstream: Desk, clerk: Agent, verb: str, path: str
) -> None:
    response = await clerk.http.request(
        verb,
        f"{gateway.url}{path}",
        content=b'{"at":"x"}',
        headers={"authorization": f"Bearer {clerk.token}", "content-type": "application/json"},
    )
    assert response.status_code in {200, 204, 400, 404, 405}
    assert upstream.calls == []
    if verb == "OPTIONS":
        assert not any(name.startswith("access-control") for name in response.headers)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/status",
        "/api/policy/apply",
        "/api/tokens",
        "/api/approvals",
        "/api/openapi.json",
        "/metrics",
        "/admin",
        "/docs",
        "/openapi.json",
        "/redoc",
        "/v1/policy",
        "/v1/memory",
        "/v1/tools",
        "/audit/log/gw.example/log/checkpoint",
        "/audit/log/gw.example/log/tile/entries/000.p/1",
        "/a2a/clerk",
        "/sse",
        "/messages",
        "/mcp/sse",
        "/debug/pprof",
        "/.git/config",
        "/static/../../etc/passwd",
    ],
)
@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_t25_the_agents_listener_has_no_other_door(
    gateway: Running, upstream: Desk, clerk: Agent, path: str, verb: str
) -> None:
    response = await clerk.http.request(
        verb,
        f"{gateway.url}{path}",
        json={"digest": "x"} if verb == "POST" else None,
        headers={"authorization": f"Bearer {clerk.token}"},
    )
    assert response.status_code in {400, 404, 405}
    assert upstream.calls == []


@pytest.mark.parametrize("way", WAYS)
async def test_t25_of_a_server_with_one_allowed_tool_only_that_tool_is_heard(
    tmp_path: Path, way: str
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent(way=way)
        assert (await clerk.call("desk.look", at="x")).done
        for tool in ("wipe", "hidden", "pay"):
            await clerk.call(f"desk.{tool}", what="x")
        assert [call.tool for call in upstream.calls] == ["look"]
        assert set(upstream.methods()) == HEARD


async def test_t25_what_a_server_asks_of_the_agent_is_not_passed_on(tmp_path: Path) -> None:
    """Sampling, elicitation and input that a server requests end as an answer it may not give."""
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent(way=MODERN)
        wants: dict[str, Json] = {
            "resultType": "input_required",
            "inputRequests": {"x": {"method": "elicitation/create"}},
        }
        upstream.then = says(lambda heard: answer(heard, wants))
        answered = await clerk.call("desk.look", at="x")
        assert answered.code == "upstream.unsupported"
        assert "elicitation" not in answered.text


async def test_t25_the_upstream_answers_only_who_has_the_gateways_own_credential(
    tmp_path: Path,
) -> None:
    (tmp_path / "secret").write_text("upstream-secret-1")
    (tmp_path / "secret").chmod(0o600)
    async with desk() as upstream:
        spec = {
            "url": upstream.url,
            "allow_private": True,
            "credential": {"bearer": f"file:{tmp_path / 'secret'}"},
        }
        async with running(tmp_path, servers={"desk": upstream}, specs={"desk": spec}) as gateway:
            clerk = await gateway.agent(way=MODERN)
            assert (await clerk.call("desk.look", at="x")).done
            (heard,) = [h for h in upstream.heard if h.method == "tools/call"]
            assert heard.headers["authorization"] == "Bearer upstream-secret-1"
            assert str(clerk.token) not in str(heard)


async def test_t25_without_a_token_there_is_nothing(gateway: Running, upstream: Desk) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        for path in ("/mcp", "/mcp/desk", "/v1/tools/desk/look", "/v1/openapi.json", "/v1/session"):
            response = await http.post(f"{gateway.url}{path}", json={"at": "x"})
            assert response.status_code == 401
            assert "resource_metadata" in response.headers["www-authenticate"]
    assert upstream.calls == []

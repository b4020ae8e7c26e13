"""The bridge against a gateway that restarts, forgets, refuses or is not there."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client as McpClient
from mcp.client.stdio import StdioServerParameters, stdio_client

from cli.bridge.bridge import Bridge
from cli.bridge.credential import Credential, NoToken
from cli.bridge.gateway import Endpoint, Gateway
from gateway.identity import private_files
from tests.harness.gateway import Running, running
from tests.harness.policy import DESK
from tests.harness.upstream import Desk, Turnstile, desk

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass
class Client:
    """What a desktop client says to a bridge, and hears."""

    gateway: Running
    credential: Credential
    said: "asyncio.Queue[bytes | None]" = field(default_factory=asyncio.Queue)
    heard: "asyncio.Queue[bytes]" = field(default_factory=asyncio.Queue)

    async def lines(self) -> AsyncIterator[bytes]:
        while (line := await self.said.get()) is not None:
            yield line

    def say(self, **message: Any) -> None:  # noqa: ANN401 - JSON
        self.said.put_nowait(json.dumps({"jsonrpc": "2.0", **message}).encode())

    async def hear(self) -> dict[str, Any]:
        line = await asyncio.wait_for(self.heard.get(), 20)
        found: dict[str, Any] = json.loads(line)
        return found

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        self.say(id=1, method=method, params=params)
        return await self.hear()

    async def greet(self) -> dict[str, Any]:
        info = {"name": "editor", "version": "1"}
        return await self.ask(
            "initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=info
        )

    async def pay(self, amount: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        arguments = {"amount": amount, "to": "paper"}
        return await self.ask("tools/call", name="desk__pay", arguments=arguments, **more)


def issuer(gateway: Running) -> Any:  # noqa: ANN401 - as `Issue`
    def issue(members: Mapping[str, object]) -> Mapping[str, Any]:
        headers = {"authorization": f"Bearer {gateway.keys['adam']}"}
        url = f"{gateway.operators_url}/api/tokens"
        answered = httpx.post(url, json=dict(members), headers=headers, trust_env=False)
        if not answered.is_success:
            raise NoToken
        found: Mapping[str, Any] = answered.json()
        return found

    return issue


@asynccontextmanager
async def bridged(gateway: Running, agent: str = "clerk-1") -> AsyncIterator[Client]:
    def now_s() -> float:
        return gateway.clock() / 1_000_000

    credential = Credential(issuer(gateway), {"agent": agent}, now_s)
    client = Client(gateway, credential)
    url = f"{gateway.url}/mcp"
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        bridge = Bridge(Gateway(Endpoint(url, url), credential, http), client.heard.put_nowait)
        task = asyncio.create_task(bridge.run(client.lines()))
        yield client
        client.said.put_nowait(None)
        await asyncio.wait_for(task, 20)


@pytest.fixture
async def upstream() -> AsyncIterator[Desk]:
    async with desk() as made:
        yield made


@pytest.fixture
async def gateway(tmp_path: Path, upstream: Desk) -> AsyncIterator[Running]:
    async with running(tmp_path, DESK, {"desk": upstream}) as made:
        yield made


@pytest.fixture
async def client(gateway: Running) -> AsyncIterator[Client]:
    async with bridged(gateway) as made:
        yield made


@pytest.mark.parametrize("era", ["auto", "2026-07-28", "legacy"])
async def test_the_official_client_lists_and_calls(
    era: str, gateway: Running, upstream: Desk, tmp_path: Path
) -> None:
    key = private_files.folder(tmp_path / "keys") / "adam.key"
    private_files.create(key, gateway.keys["adam"].encode())
    place = ["--url", gateway.operators_url, "--key-file", str(key)]
    arguments = ["-m", "cli.main", "connect", "--agent", "clerk-1", *place]
    parameters = StdioServerParameters(command=sys.executable, args=arguments)
    with (tmp_path / "said").open("w+") as said:
        async with McpClient(stdio_client(parameters, said), mode=era) as official:
            tools = {tool.name for tool in (await official.list_tools()).tools}
            assert "desk__pay" in tools
            paid = await official.call_tool("desk__pay", {"amount": 40, "to": "paper"})
            assert not paid.is_error
            refused = await official.call_tool("desk__pay", {"amount": 5000, "to": "paper"})
            assert refused.is_error
        said.seek(0)
        assert said.read() == ""
    assert upstream.paid == [40]
    await gateway.until(lambda: len(gateway.entries("session.end")) == 1)


async def test_its_token_is_bound_to_a_key_that_only_it_has(client: Client) -> None:
    await client.greet()
    assert "result" in await client.pay(40)
    [issued] = client.gateway.entries("token.issue")
    assert len(issued["bound_to"]) == 43
    token = client.credential._token
    for scheme in ("Bearer", "DPoP"):
        headers = {"authorization": f"{scheme} {token}"}
        answered = await client.gateway.http.post(
            f"{client.gateway.url}/v1/tools/desk/look", json={"at": "x"}, headers=headers
        )
        assert answered.status_code == 401


async def test_a_token_that_ends_is_renewed_in_the_same_session(
    client: Client, upstream: Desk
) -> None:
    await client.greet()
    for amount in (1, 2, 3):
        assert "result" in await client.pay(amount)
        client.gateway.clock.pass_s(860)
    assert upstream.paid == [1, 2, 3]
    assert len({each["session"] for each in client.gateway.entries("token.issue")}) == 1


async def test_a_token_that_was_withdrawn_is_replaced_and_nothing_is_done_twice(
    client: Client, upstream: Desk
) -> None:
    await client.greet()
    await client.gateway.operate("POST", "/api/tokens/revoke", {"token": client.credential._token})
    assert "result" in await client.pay(40)
    assert upstream.paid == [40]


async def test_a_session_that_was_ended_is_followed_by_another_one(
    client: Client, upstream: Desk
) -> None:
    await client.greet()
    before = client.credential.session
    await client.gateway.operate("POST", f"/api/sessions/{before}/end")
    assert "result" in await client.pay(40)
    assert client.credential.session != before
    assert upstream.paid == [40]


async def test_who_is_suspended_gets_an_error_and_nothing_is_done(
    client: Client, upstream: Desk
) -> None:
    await client.greet()
    await client.gateway.operate("POST", "/api/agents/clerk-1/suspend", {"reason": "odd"})
    answered = await client.pay(40)
    assert answered["error"]["data"]["code"] == "auth.revoked"
    assert upstream.paid == []


async def test_a_gateway_that_forgot_the_handshake_is_greeted_anew(
    client: Client, upstream: Desk
) -> None:
    """It is kept in memory; the client knows nothing of a restart."""
    await client.greet()
    [sessions] = [
        face._sessions  # type: ignore[attr-defined]  # its private room
        for _, face in client.gateway.gateway.agents._faces["mcp"]
    ]
    for session in list(sessions._by_id.values()):
        sessions._drop(session)
    assert "result" in await client.pay(40)
    assert upstream.paid == [40]
    assert len(sessions) == 1


async def test_in_the_newest_revision_headers_are_made_of_the_message(
    client: Client, upstream: Desk
) -> None:
    listed = await client.ask("tools/list", _meta=META)
    assert len(listed["result"]["tools"]) >= 5
    assert "result" in await client.pay(40, _meta=META)
    assert upstream.paid == [40]


async def test_many_are_asked_at_a_time_and_each_is_answered_once(client: Client) -> None:
    await client.greet()
    for number in range(100):
        client.say(id=f"n{number}", method="ping")
    heard = [(await client.hear())["id"] for _ in range(100)]
    assert sorted(heard) == sorted(f"n{number}" for number in range(100))


async def test_one_id_is_not_asked_twice_at_a_time(client: Client, upstream: Desk) -> None:
    await client.greet()
    upstream.then = turnstile = Turnstile()
    arguments = {"name": "desk__pay", "arguments": {"amount": 40, "to": "paper"}}
    client.say(id=5, method="tools/call", params=arguments)
    client.say(id=5, method="tools/call", params=arguments)
    refused = await client.hear()
    assert refused["error"]["code"] == -32600
    turnstile.open.set()
    assert "result" in await client.hear()
    assert upstream.paid == [40]


async def test_a_call_that_is_cancelled_is_answered_by_nothing(
    client: Client, upstream: Desk
) -> None:
    await client.greet()
    upstream.then = turnstile = Turnstile()
    client.say(
        id=5,
        method="tools/call",
        params={"name": "desk__pay", "arguments": {"amount": 40, "to": "paper"}},
    )
    await client.gateway.until(lambda: len(client.gateway.entries("decision")) == 1)
    client.say(method="notifications/cancelled", params={"requestId": 5})
    assert (await client.ask("ping"))["id"] == 1
    turnstile.open.set()
    assert client.heard.empty()


async def test_without_an_answer_the_message_is_not_sent_again(
    client: Client, upstream: Desk
) -> None:
    await client.greet()
    sent: list[httpx.Request] = []

    async def lost(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        raise httpx.ReadError("the connection ended")

    async with httpx.AsyncClient(transport=httpx.MockTransport(lost)) as http:
        url = f"{client.gateway.url}/mcp"
        alone = Gateway(Endpoint(url, url), client.credential, http)
        bridge = Bridge(alone, client.heard.put_nowait)
        client.said.put_nowait(None)
        await bridge._take(b'{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{}}')
        answered = await client.hear()
    assert answered["error"]["message"] == "the gateway does not answer (ReadError)"
    assert len(sent) == 1
    assert upstream.paid == []


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(httpx.Response(200, json=[]), id="a-list"),
        pytest.param(
            httpx.Response(200, json={"jsonrpc": "2.0", "id": 5, "result": {}}), id="another-id"
        ),
        pytest.param(httpx.Response(200, json={"jsonrpc": "2.0", "id": 4}), id="no-result"),
        pytest.param(httpx.Response(200, text="<html>"), id="a-page"),
        pytest.param(httpx.Response(502, text="bad gateway"), id="a-proxy"),
        pytest.param(httpx.Response(302, headers={"location": "/x"}), id="elsewhere"),
    ],
)
async def test_an_answer_that_is_none_is_an_error_of_that_message(
    response: httpx.Response, client: Client
) -> None:
    transport = httpx.MockTransport(lambda _: response)
    async with httpx.AsyncClient(transport=transport) as http:
        url = f"{client.gateway.url}/mcp"
        alone = Gateway(Endpoint(url, url), client.credential, http)
        bridge = Bridge(alone, client.heard.put_nowait)
        await bridge._take(b'{"jsonrpc":"2.0","id":4,"method":"ping"}')
        answered = await client.hear()
    assert (answered["id"], answered["error"]["code"]) == (4, -32603)

"""The official client against the faces, over a real server on loopback."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import anyio.to_thread
import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from gateway.action import Outcome
from gateway.faces.exchange import Exchange
from gateway.faces.http import EdgeRules
from gateway.faces.listener import answering
from gateway.listeners import address_of, bind

if TYPE_CHECKING:
    from tests.gateway.faces.conftest import GateDouble

Mode: TypeAlias = Literal["auto", "legacy", "2026-07-28"]
MODES: list[Mode] = ["auto", "legacy", "2026-07-28"]


@dataclass
class Served:
    address: str

    def client(
        self, mode: Mode, *, path: str = "/mcp", token: str = "clerk"
    ) -> AbstractAsyncContextManager[Client]:
        @asynccontextmanager
        async def connected() -> AsyncIterator[Client]:
            headers = {"authorization": f"Bearer {token}"}
            async with (
                httpx2.AsyncClient(headers=headers, trust_env=False) as web,
                Client(
                    streamable_http_client(f"http://{self.address}{path}", http_client=web),
                    mode=mode,
                ) as client,
            ):
                yield client

        return connected()


@pytest.fixture
async def served(
    face_of: Callable[[EdgeRules], Any],
) -> AsyncIterator[Served]:
    listener = bind("127.0.0.1:0")
    address = address_of(listener)
    face = face_of(EdgeRules(f"http://{address}", frozenset({address.encode()})))
    async with answering(face, listener):
        yield Served(address)


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
@pytest.mark.parametrize("mode", MODES)
async def test_the_official_client_lists_and_calls(
    served: Served, gate: GateDouble, mode: Mode, path: str
) -> None:
    async with served.client(mode, path=path) as client:
        listed = await client.list_tools()
        assert [tool.name for tool in listed.tools] == [
            "git__git_log",
            "ledger__book",
            "ledger__pay",
            "ledger__refund",
            "short",
        ]
        gate.outcome = Outcome("done", None, "", {"content": [{"type": "text", "text": "paid"}]})
        result = await client.call_tool("ledger__pay", {"amount": 40})
    assert [part.model_dump()["text"] for part in result.content] == ["paid"]
    assert not result.is_error
    [action] = gate.crossed
    assert (action.server, action.tool, action.args) == ("ledger", "pay", {"amount": 40})
    assert not gate.refused


@pytest.mark.parametrize("mode", MODES)
async def test_one_server_is_reached_under_its_own_names(
    served: Served, gate: GateDouble, mode: Mode
) -> None:
    gate.outcome = Outcome("done", None, "", {"content": []})
    async with served.client(mode, path="/mcp/git") as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["git_log"]
        await client.call_tool("git_log", {"paths": ["ä", "b"]})
    assert gate.crossed[0].args == {"paths": ["ä", "b"]}


@pytest.mark.parametrize("mode", MODES)
async def test_a_denial_reaches_the_model_as_text(
    served: Served, gate: GateDouble, mode: Mode
) -> None:
    gate.outcome = Outcome("denied", "policy.denied", "Denied: rule no-pay refuses this call.")
    async with served.client(mode) as client:
        result = await client.call_tool("ledger__pay", {})
    assert result.is_error
    assert result.content[0].model_dump()["text"] == "Denied: rule no-pay refuses this call."


@pytest.mark.parametrize("mode", ["auto", "2026-07-28"])
async def test_marked_arguments_agree_with_what_the_client_mirrors(
    served: Served, gate: GateDouble, mode: Mode
) -> None:
    gate.outcome = Outcome("done", None, "", {"content": []})
    arguments = {"region": "Köln ", "limit": {"amount": 60}}
    async with served.client(mode) as client:
        await client.list_tools()
        await client.call_tool("ledger__book", arguments)
    assert gate.crossed[0].args == arguments
    assert not gate.refused


@pytest.mark.parametrize("mode", MODES)
async def test_what_is_not_offered_is_not_found(
    served: Served, gate: GateDouble, mode: Mode
) -> None:
    async with served.client(mode) as client:
        for ask in (client.list_prompts, client.list_resources):
            with pytest.raises(MCPError) as refused:
                await ask()
            assert refused.value.code == -32601
    assert not gate.crossed


async def test_a_server_that_offers_nothing_says_so_at_once(served: Served) -> None:
    with pytest.RaisesGroup(
        pytest.RaisesExc(MCPError), flatten_subgroups=True, allow_unwrapped=True
    ):
        async with served.client("auto", path="/mcp/nosuch"):
            pytest.fail("connected")


async def test_a_client_without_a_good_token_does_not_connect(
    served: Served, gate: GateDouble
) -> None:
    with pytest.RaisesGroup(
        pytest.RaisesExc(MCPError), flatten_subgroups=True, allow_unwrapped=True
    ):
        async with served.client("auto", token="expired"):
            pytest.fail("connected")
    assert {code for _, code in gate.refused} == {"auth.expired"}


def _raw(address: str, request: bytes) -> int:
    """The status of what a server answers to bytes of ours."""
    host, _, port = address.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    connection.connect()
    connection.sock.sendall(request)
    answer = http.client.HTTPResponse(connection.sock)
    answer.begin()
    status = answer.status
    answer.close()
    connection.close()
    return status


CALL = (
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ledger__pay","_meta":{'
    b'"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
    b'"io.modelcontextprotocol/clientCapabilities":{}}}}'
)
HEAD = (
    b"POST /mcp HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer clerk\r\n"
    b"Content-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\n"
    b"Mcp-Method: tools/call\r\nMcp-Name: ledger__pay\r\n"
)
LENGTH = b"Content-Length: %d\r\n" % len(CALL)


@pytest.mark.parametrize(
    ("lines", "statuses"),
    [
        pytest.param(LENGTH, {200}, id="good"),
        pytest.param(LENGTH + b"Mcp-Method: tools/list\r\n", {400}, id="two-methods"),
        pytest.param(LENGTH + b"mcp-name: git__git_log\r\n", {400}, id="two-names-in-two-cases"),
        pytest.param(LENGTH + b"Authorization: Bearer mallory\r\n", {400}, id="two-tokens"),
        pytest.param(LENGTH + b"Host: evil.example\r\n", {400}, id="two-hosts"),
        pytest.param(LENGTH + LENGTH, {400}, id="two-lengths"),
        pytest.param(LENGTH + b"Content-Length: 5\r\n", {400}, id="two-other-lengths"),
        pytest.param(LENGTH + b"Transfer-Encoding: chunked\r\n", {400}, id="length-and-chunked"),
        pytest.param(b"Content-Length: +%d\r\n" % len(CALL), {400}, id="signed-length"),
        pytest.param(LENGTH + b"Mcp-Name : git__git_log\r\n", {400}, id="space-before-colon"),
        pytest.param(LENGTH + b"X: a\r\n Mcp-Name: b\r\n", {200, 400}, id="folded"),
    ],
)
async def test_t24_a_request_that_two_servers_would_read_differently_is_refused(
    served: Served, gate: GateDouble, lines: bytes, statuses: set[int]
) -> None:
    request = HEAD % served.address.encode() + lines + b"\r\n" + CALL
    status = await anyio.to_thread.run_sync(_raw, served.address, request)
    assert status in statuses
    assert len(gate.crossed) == (status == 200)
    assert all(action.tool == "pay" for action in gate.crossed)


async def test_a_client_that_hangs_up_in_the_middle_of_a_call_was_not_answered(
    served: Served, gate: GateDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    crossing, hung_up = asyncio.Event(), asyncio.Event()
    disconnect = Exchange.disconnect

    async def cross(*_: object) -> Outcome:
        crossing.set()
        await hung_up.wait()
        return gate.outcome

    def notice(exchange: Exchange) -> None:
        disconnect(exchange)
        hung_up.set()

    monkeypatch.setattr(Exchange, "disconnect", notice)
    monkeypatch.setattr(gate, "cross", cross)
    host, _, port = served.address.partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(HEAD % served.address.encode() + LENGTH + b"\r\n" + CALL)
    await crossing.wait()
    writer.close()
    await writer.wait_closed()
    await asyncio.wait_for(hung_up.wait(), 10)
    for _ in range(20):  # turns of the loop, in which the face ends
        await asyncio.sleep(0)
    assert gate.answered == []

"""T24: one request is one decision, on what its body says."""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.harness.agent import LEGACY, META, MODERN, WAYS, Agent
from tests.harness.gateway import Running
from tests.harness.policy import DESK
from tests.harness.upstream import TOOLS as DESK_TOOLS
from tests.harness.upstream import Desk, tool

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOOLS = (
    *DESK_TOOLS,
    tool("book", region={"type": "string", "x-mcp-header": "Region"}, amount="integer"),
)
POLICY = (
    DESK.replace("rules:\n", "  desk.book: {risk: write, emits: []}\nrules:\n")
    + """\
  - {id: books, roles: [clerk], tools: [desk.book], effect: allow, when: "args.region == 'eu'"}
"""
)

SILENCE_S = 0.3
LOOK = {"name": "desk__look", "arguments": {"at": "x"}}
WIPE = {"name": "desk__wipe", "arguments": {"what": "x"}}


def message(params: dict[str, Any], number: int = 1, method: str = "tools/call") -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, "_meta": META}}


def modern(method: str = "tools/call", name: str = "desk__look") -> dict[str, str]:
    return {"mcp-protocol-version": MODERN, "mcp-method": method, "mcp-name": name}


@pytest.mark.parametrize("way", [MODERN, LEGACY])
@pytest.mark.parametrize(
    "batch",
    [
        pytest.param([message(LOOK), message(WIPE, 2)], id="one-allowed-and-one-denied"),
        pytest.param([message(LOOK)], id="one-allowed"),
        pytest.param([], id="none"),
        pytest.param([[message(LOOK)]], id="nested"),
    ],
)
async def test_t24_of_a_batch_nothing_is_executed(
    gateway: Running, upstream: Desk, clerk: Agent, way: str, batch: list[Any]
) -> None:
    agent = clerk.by(way)
    await agent.names()
    answered = await agent.post(json.dumps(batch).encode(), modern() if way == MODERN else {})
    assert (answered.http, answered.rpc, answered.code) == (400, -32600, "request.malformed")
    assert upstream.calls == []
    assert gateway.entries("refusal", of=clerk)


async def test_t24_the_arguments_of_rest_are_one_object(upstream: Desk, clerk: Agent) -> None:
    answered = await clerk.call_raw("desk.look", b'[{"at":"x"},{"at":"y"}]')
    assert answered.code == "request.malformed"
    assert upstream.calls == []


@pytest.mark.parametrize(
    ("params", "headers"),
    [
        pytest.param(WIPE, modern(), id="allowed-name-above-a-denied-one"),
        pytest.param(LOOK, modern(name="desk__wipe"), id="denied-name-above-an-allowed-one"),
        pytest.param(LOOK, modern(name="DESK__LOOK"), id="name-in-capitals"),
        pytest.param(LOOK, modern(name="desk__look,desk__wipe"), id="two-names-in-one"),
        pytest.param(LOOK, modern(name="=?base64?ZGVza19fd2lwZQ==?="), id="name-encoded"),
        pytest.param(LOOK, modern(name="=?base64?ZGVza19fbG9vaw?="), id="name-encoded-loosely"),
        pytest.param(LOOK, modern(method="tools/list"), id="other-method"),
        pytest.param(LOOK, modern(method="Tools/Call"), id="method-in-capitals"),
        pytest.param(LOOK, {**modern(), "mcp-protocol-version": LEGACY}, id="other-version"),
        pytest.param(LOOK, {k: v for k, v in modern().items() if k != "mcp-name"}, id="no-name"),
        pytest.param(
            LOOK, {k: v for k, v in modern().items() if k != "mcp-method"}, id="no-method"
        ),
        pytest.param(LOOK, {}, id="no-header-at-all"),
    ],
)
async def test_t24_headers_that_tell_another_story_than_the_body_are_refused(
    gateway: Running, upstream: Desk, clerk: Agent, params: dict[str, Any], headers: dict[str, str]
) -> None:
    answered = await clerk.by(MODERN).post(json.dumps(message(params)).encode(), headers)
    assert (answered.http, answered.code) == (400, "request.mismatch")
    assert upstream.calls == []
    (entry,) = gateway.entries("refusal", of=clerk)
    assert entry["code"] == "request.mismatch"


@pytest.mark.parametrize(
    ("region", "headers"),
    [
        pytest.param("eu", {"mcp-param-region": "us"}, id="another-value"),
        pytest.param("us", {"mcp-param-region": "eu"}, id="the-allowed-value-above-a-denied-one"),
        pytest.param("eu", {}, id="none"),
        pytest.param("eu", {"mcp-param-region": "=?base64?dXM=?="}, id="another-value-encoded"),
    ],
)
async def test_t24_a_mirrored_argument_must_agree_with_the_body(
    upstream: Desk, clerk: Agent, region: str, headers: dict[str, str]
) -> None:
    args = json.dumps({"region": region, "amount": 1}).encode()
    answered = await clerk.by(MODERN).call_raw("desk.book", args, headers)
    assert answered.code == "request.mismatch"
    assert upstream.calls == []


async def test_t24_a_mirrored_argument_that_agrees_is_decided_by_the_body(
    upstream: Desk, clerk: Agent
) -> None:
    agent, headers = clerk.by(MODERN), {"mcp-param-region": "eu"}
    assert (await agent.call_raw("desk.book", b'{"region":"eu"}', headers)).done
    headers = {"mcp-param-region": "us"}
    denied = await agent.call_raw("desk.book", b'{"region":"us"}', headers)
    assert denied.code == "policy.denied"
    assert len(upstream.calls) == 1


@pytest.mark.parametrize(
    ("path", "header"),
    [
        pytest.param("/v1/tools/desk/look", "x-http-method-override: DELETE", id="method-override"),
        pytest.param(
            "/v1/tools/desk/look", "x-original-url: /v1/tools/desk/wipe", id="url-override"
        ),
        pytest.param("/v1/tools/desk/look", "x-forwarded-host: evil.test", id="forwarded-host"),
        pytest.param(
            "/v1/tools/desk/look", "forwarded: for=1.2.3.4;host=evil.test", id="forwarded"
        ),
    ],
)
async def test_t24_headers_that_rewrite_a_request_elsewhere_are_nothing_here(
    gateway: Running, upstream: Desk, clerk: Agent, path: str, header: str
) -> None:
    body = b'{"at":"x"}'
    raw = _request(gateway, clerk, path, f"{header}\r\ncontent-length: {len(body)}") + body
    assert [status for status, _ in await _answers(gateway, raw)] == [200]
    assert [call.tool for call in upstream.calls] == ["look"]


TWICE = [
    pytest.param("authorization: Bearer x", id="authorization"),
    pytest.param("content-length: 10", id="length"),
    pytest.param("content-length: 11", id="other-length"),
    pytest.param("content-type: application/json", id="type"),
    pytest.param("host: evil.test", id="host"),
    pytest.param("accept: text/html", id="accept"),
    pytest.param("transfer-encoding: chunked", id="length-and-chunks"),
    pytest.param("transfer-encoding: identity", id="length-and-identity"),
]


@pytest.mark.parametrize("header", TWICE)
@pytest.mark.parametrize("path", ["/v1/tools/desk/look", "/mcp"])
async def test_t24_a_header_that_somebody_decides_on_may_stand_once(
    gateway: Running, upstream: Desk, clerk: Agent, path: str, header: str
) -> None:
    body = b'{"at":"x"}' if path != "/mcp" else json.dumps(message(LOOK)).encode()
    lines = f"{header}\r\ncontent-length: {len(body)}"
    if path == "/mcp":
        lines += "".join(f"\r\n{name}: {value}" for name, value in modern().items())
    answers = await _answers(gateway, _request(gateway, clerk, path, lines) + body)
    assert all(status in {400, 403, 411, 413} for status, _ in answers)
    assert upstream.calls == []


@pytest.mark.parametrize(
    "name", ["mcp-name", "mcp-method", "mcp-protocol-version", "mcp-session-id"]
)
async def test_t24_a_mirror_may_stand_once(
    gateway: Running, upstream: Desk, clerk: Agent, name: str
) -> None:
    body = json.dumps(message(LOOK)).encode()
    lines = {**modern(), "mcp-session-id": "a"}
    text = "".join(f"{key}: {value}\r\n" for key, value in lines.items())
    raw = _request(
        gateway, clerk, "/mcp", f"{text}{name}: {lines[name]}\r\ncontent-length: {len(body)}"
    )
    assert [status for status, _ in await _answers(gateway, raw + body)] == [400]
    assert upstream.calls == []


@pytest.mark.parametrize(
    "framing",
    [
        pytest.param("content-length: 10\r\ntransfer-encoding: chunked", id="both"),
        pytest.param("transfer-encoding: chunked\r\ncontent-length: 10", id="both-turned-round"),
        pytest.param("transfer-encoding: chunked, identity", id="chunked-is-not-last"),
        pytest.param("transfer-encoding: xchunked", id="nearly-chunked"),
        pytest.param(
            "transfer-encoding : chunked\r\ncontent-length: 10", id="blank-before-the-colon"
        ),
        pytest.param(" transfer-encoding: chunked\r\ncontent-length: 10", id="folded"),
        pytest.param("content-length: +10", id="signed-length"),
        pytest.param("content-length: 0x0a", id="hexadecimal-length"),
        pytest.param("content-length: 10, 10", id="list-of-lengths"),
        pytest.param("content-length: 1_0", id="grouped-length"),
        pytest.param("content-length: -1", id="negative-length"),
    ],
)
async def test_t24_a_second_request_does_not_hide_behind_the_first(
    gateway: Running, upstream: Desk, clerk: Agent, framing: str
) -> None:
    """Whatever a proxy in front made of the framing: nothing is executed by mistake."""
    hidden = _request(gateway, clerk, "/v1/tools/desk/look", "content-length: 12") + b'{"at":"hid"}'
    first = _request(gateway, clerk, "/v1/tools/desk/wipe", framing, "keep-alive") + b"0\r\n\r\n"
    await _answers(gateway, first + hidden)
    assert "hid" not in [call.args.get("at") for call in upstream.calls]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/tools/desk/look/../wipe",
        "/v1/tools/desk/look%2f..%2fwipe",
        "/v1/tools/desk//look",
        "//v1/tools/desk/look",
        "/v1/tools/desk/look;x=1",
        "/v1/tools/desk/look/",
        "/v1/tools/Desk/look",
        "/v1/tools/desk/look?tool=wipe",
        "/v1/tools/desk/look%00",
        "/mcp/desk/look",
        "/mcp/../v1/tools/desk/look",
    ],
)
async def test_t24_a_path_has_one_spelling(
    gateway: Running, upstream: Desk, clerk: Agent, path: str
) -> None:
    body = b'{"at":"x"}'
    raw = _request(gateway, clerk, path, f"content-length: {len(body)}") + body
    assert all(status in {400, 404} for status, _ in await _answers(gateway, raw))
    assert upstream.calls == []


@pytest.mark.parametrize("way", [MODERN, LEGACY])
async def test_t24_the_tool_is_the_one_in_the_body_whatever_the_endpoint(
    upstream: Desk, clerk: Agent, way: str
) -> None:
    agent = clerk.by(way, server="desk")
    assert (await agent.call("desk.look", at="x")).done
    assert [call.tool for call in upstream.calls] == ["look"]
    other = await agent.rpc("tools/call", {"name": "desk__look"}, arguments=b"{}")
    assert other.code == "policy.denied"  # on this endpoint tools have their own names
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_t24_a_compressed_body_is_refused(upstream: Desk, clerk: Agent, way: str) -> None:
    agent = clerk.by(way)
    await agent.names()
    for coding in ("gzip", "identity, gzip", "br"):
        answered = await agent.call_raw("desk.look", b'{"at":"x"}', {"content-encoding": coding})
        assert answered.http == 415
    assert upstream.calls == []


def _request(
    gateway: Running, agent: Agent, path: str, lines: str, connection: str = "close"
) -> bytes:
    host = gateway.url.removeprefix("http://")
    return (
        f"POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {agent.token}\r\n"
        "content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
        f"connection: {connection}\r\n{lines}\r\n\r\n"
    ).encode()


async def _answers(gateway: Running, raw: bytes) -> list[tuple[int, bytes]]:
    """Send bytes and read every answer, until the server ends the connection or nothing comes."""
    address = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    found: list[tuple[int, bytes]] = []
    try:
        writer.write(raw)
        async with asyncio.timeout(SILENCE_S) as silence:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                sizes = [line for line in lines if line.lower().startswith("content-length:")]
                size = int(sizes[0].split(":")[1]) if sizes else 0
                found.append((int(lines[0].split()[1]), await reader.readexactly(size)))
                silence.reschedule(asyncio.get_running_loop().time() + SILENCE_S)
    except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
        pass
    finally:
        writer.transport.abort()
    return found

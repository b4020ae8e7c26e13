"""What happens before a face reads anything: place, headers, credential, body."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from gateway.action import Outcome
from gateway.errors import RequestRefused
from gateway.faces import http
from gateway.faces.http import EdgeRules, Head, Headers, read_body, trace_id

if TYPE_CHECKING:
    from tests.gateway.faces.conftest import Agent, GateDouble

CALL: dict[str, Any] = {"name": "ledger__pay", "arguments": {"amount": 40}}


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        pytest.param([(b"host", b"evil.example")], "request.host", id="another-host"),
        pytest.param([(b"host", b"127.0.0.1:7301")], "request.host", id="operators-port"),
        pytest.param([(b"host", b"127.0.0.1")], "request.host", id="no-port"),
        pytest.param([(b"host", b"127.0.0.1:7300.evil.example")], "request.host", id="longer"),
        pytest.param([(b"host", b"")], "request.host", id="empty-host"),
        pytest.param([(b"origin", b"https://evil.example")], "request.origin", id="another-origin"),
        pytest.param([(b"origin", b"null")], "request.origin", id="null-origin"),
        pytest.param([(b"origin", b"http://127.0.0.1:7301")], "request.origin", id="console"),
        pytest.param([(b"origin", b"http://127.0.0.1")], "request.origin", id="origin-no-port"),
        pytest.param([(b"origin", b"ftp://127.0.0.1:7300")], "request.origin", id="origin-scheme"),
        pytest.param([(b"origin", b"")], "request.origin", id="empty-origin"),
    ],
)
async def test_a_browser_from_elsewhere_is_refused_before_its_token_is_looked_at(
    agent: Agent, gate: GateDouble, headers: Headers, code: str
) -> None:
    answered = await agent.of(token=None).modern("tools/call", CALL, headers=headers)
    assert (answered.status, answered.body["code"]) == (403, code)
    assert gate.refused == [(None, code)]
    assert not gate.crossed


async def test_a_request_without_host_is_refused(agent: Agent, gate: GateDouble) -> None:
    answered = await agent.modern("tools/call", CALL, drop=[b"host"])
    assert (answered.status, answered.body["code"]) == (403, "request.host")
    assert not gate.crossed


@pytest.mark.parametrize("origin", [b"https://console.example", b"http://127.0.0.1:7300"])
async def test_a_listed_origin_and_our_own_may_call(
    agent: Agent, gate: GateDouble, origin: bytes
) -> None:
    answered = await agent.modern("tools/call", CALL, headers=[(b"origin", origin)])
    assert answered.status == 200
    assert len(gate.crossed) == 1


@pytest.mark.parametrize(
    "name",
    [
        b"authorization",
        b"host",
        b"origin",
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"transfer-encoding",
        b"mcp-method",
        b"mcp-name",
        b"mcp-protocol-version",
        b"mcp-session-id",
        b"dpop",
    ],
)
async def test_a_header_that_is_decided_on_may_not_stand_twice(
    agent: Agent, gate: GateDouble, name: bytes
) -> None:
    answered = await agent.modern("tools/call", CALL, headers=[(name, b"x"), (name, b"x")])
    assert (answered.status, answered.body["code"]) == (400, "request.malformed")
    assert name.decode() in answered.body["detail"]
    assert gate.refused == [(None, "request.malformed")]
    assert not gate.crossed


async def test_a_header_that_nobody_decides_on_may_stand_twice(
    agent: Agent, gate: GateDouble
) -> None:
    twice = [(b"via", b"a"), (b"via", b"b")]
    assert (await agent.modern("tools/call", CALL, headers=twice)).status == 200
    hidden = [*twice, (b"dpop", b"x"), (b"dpop", b"x")]
    answered = await agent.modern("tools/call", CALL, headers=hidden)
    assert (answered.status, answered.body["code"]) == (400, "request.malformed")
    assert len(gate.crossed) == 1


async def test_headers_beyond_the_limit_are_refused(agent: Agent, gate: GateDouble) -> None:
    many = [(b"x-%d" % number, b"v" * 1000) for number in range(33)]
    answered = await agent.modern("tools/call", CALL, headers=many)
    assert (answered.status, answered.body["code"]) == (431, "request.headers")
    assert not gate.crossed


async def test_a_body_with_two_lengths_is_refused(agent: Agent, gate: GateDouble) -> None:
    lengths = [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")]
    answered = await agent.modern("tools/call", CALL, headers=lengths)
    assert (answered.status, answered.body["code"]) == (400, "request.malformed")
    assert not gate.crossed


@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/mcp/git", "/mcp/git/"])
async def test_without_a_token_the_answer_says_where_to_ask_for_one(
    agent: Agent, gate: GateDouble, path: str
) -> None:
    answered = await agent.of(token=None, path=path).modern("tools/call", CALL)
    assert answered.status == 401
    assert answered.headers["content-type"] == "application/problem+json"
    assert answered.headers["www-authenticate"] == (
        "Bearer resource_metadata="
        f'"http://127.0.0.1:7300/.well-known/oauth-protected-resource{path.rstrip("/")}"'
    )
    assert gate.refused == [(None, "auth.missing")]


async def test_a_bad_token_is_called_invalid(agent: Agent, gate: GateDouble) -> None:
    answered = await agent.of(token=b"expired").modern("tools/call", CALL)
    assert (answered.status, answered.body["code"]) == (401, "auth.expired")
    assert answered.headers["www-authenticate"].endswith(', error="invalid_token"')
    assert gate.refused == [(None, "auth.expired")]


async def test_a_body_is_not_read_before_its_sender_is_known(agent: Agent) -> None:
    async def never() -> None:
        pytest.fail("the body was asked for")

    answered = await agent.of(token=None).send([], after=never)
    assert answered.status == 401


async def test_a_token_in_the_query_is_not_looked_at(agent: Agent, gate: GateDouble) -> None:
    answered = await agent.of(token=None).send(b"{}", query=b"access_token=clerk")
    assert (answered.status, answered.body["code"]) == (401, "auth.missing")
    answered = await agent.send(b"{}", query=b"access_token=clerk")
    assert (answered.status, answered.body["code"]) == (400, "request.malformed")
    assert not gate.crossed


@pytest.mark.parametrize(
    "path",
    ["/", "/mcp//", "/mcp/Git", "/mcp/git/tools", "/mcp/g it", "/MCP", "/mcp\r\nx: y", "/mcp/ä"],
)
async def test_there_is_nothing_beside_the_endpoints(
    agent: Agent, gate: GateDouble, path: str
) -> None:
    answered = await agent.of(path=path).modern("tools/call", CALL)
    assert (answered.status, answered.body["code"]) == (404, "request.path")
    assert not gate.crossed


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "HEAD", "OPTIONS", "DELETE", "post"])
async def test_other_http_methods_are_refused(agent: Agent, gate: GateDouble, method: str) -> None:
    answered = await agent.send(method=method)
    assert (answered.status, answered.headers["allow"]) == (405, "POST")
    assert gate.refused == [("clerk", "request.method")]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        pytest.param(b"application/json", 200, id="plain"),
        pytest.param(b"application/json; charset=utf-8", 200, id="charset"),
        pytest.param(b'Application/JSON;charset="UTF-8"', 200, id="case"),
        pytest.param(b"application/json; charset=utf-16", 415, id="utf-16"),
        pytest.param(b"text/plain", 415, id="text"),
        pytest.param(b"application/jsonp", 415, id="longer"),
        pytest.param(b"application/json, text/plain", 415, id="two"),
        pytest.param(b"application/x-www-form-urlencoded", 415, id="form"),
        pytest.param(b"", 415, id="empty"),
    ],
)
async def test_the_body_must_be_json(
    agent: Agent, gate: GateDouble, kind: bytes, status: int
) -> None:
    answered = await agent.modern("tools/call", CALL, headers=[(b"content-type", kind)])
    assert answered.status == status
    assert len(gate.crossed) == (status == 200)


async def test_a_compressed_body_is_refused(agent: Agent, gate: GateDouble) -> None:
    answered = await agent.modern("tools/call", CALL, headers=[(b"content-encoding", b"gzip")])
    assert (answered.status, answered.error["data"]["code"]) == (415, "request.media_type")
    assert not gate.crossed


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        pytest.param(b"application/json, text/event-stream", 200, id="official-client"),
        pytest.param(b"text/event-stream, application/json", 200, id="other-order"),
        pytest.param(b"application/json", 200, id="json"),
        pytest.param(b"text/event-stream;q=0.5,application/json;q=0.9", 200, id="weights"),
        pytest.param(b"*/*", 200, id="anything"),
        pytest.param(b"application/*", 200, id="any-application"),
        pytest.param(b"", 200, id="empty"),
        pytest.param(b"text/event-stream", 406, id="streams-alone"),
        pytest.param(b"text/html", 406, id="html"),
        pytest.param(b"application/jsonp", 406, id="longer"),
    ],
)
async def test_who_takes_no_json_is_told_so(agent: Agent, accept: bytes, status: int) -> None:
    answered = await agent.modern("tools/call", CALL, headers=[(b"accept", accept)])
    assert answered.status == status


async def test_a_client_that_names_no_accept_gets_json(agent: Agent) -> None:
    assert (await agent.modern("tools/call", CALL, drop=[b"accept"])).status == 200


@pytest.mark.parametrize(
    ("length", "status", "code"),
    [
        pytest.param(b"3", 400, "request.malformed", id="shorter"),
        pytest.param(b"9999", 400, "request.malformed", id="longer"),
        pytest.param(b"-1", 400, "request.malformed", id="negative"),
        pytest.param(b"+2", 400, "request.malformed", id="plus"),
        pytest.param(b"0x10", 400, "request.malformed", id="hex"),
        pytest.param(b"02", 400, "request.malformed", id="leading-zero"),
        pytest.param(b"1, 1", 400, "request.malformed", id="list"),
        pytest.param("²".encode("latin-1"), 400, "request.malformed", id="superscript"),
        pytest.param(b"", 400, "request.malformed", id="empty"),
        pytest.param(b"4194305", 413, "request.too_large", id="too-large"),
        pytest.param(b"9" * 19, 413, "request.too_large", id="huge"),
        pytest.param(b"9" * 5000, 400, "request.malformed", id="absurd"),
    ],
)
async def test_a_content_length_that_is_not_so_is_refused(
    agent: Agent, gate: GateDouble, length: bytes, status: int, code: str
) -> None:
    answered = await agent.modern("tools/call", CALL, headers=[(b"content-length", length)])
    assert (answered.status, answered.error["data"]["code"]) == (status, code)
    assert gate.refused == [("clerk", code)]
    assert not gate.crossed


def padded(size: int) -> bytes:
    """A good ping of exactly `size` bytes, in the middle of white space."""
    message = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    return message + b" " * (size - len(message))


async def test_a_body_may_have_four_mebibytes_and_not_a_byte_more(
    agent: Agent, gate: GateDouble
) -> None:
    session = await agent.open()
    headers = [(b"mcp-session-id", session.encode())]
    whole = padded(4 << 20)
    halves = [whole[: 2 << 20], whole[2 << 20 :]]
    assert (await agent.send(halves, headers)).status == 200
    answered = await agent.send([*halves, b" "], headers)
    assert (answered.status, answered.error["data"]["code"]) == (413, "request.too_large")
    assert gate.refused == [("clerk", "request.too_large")]


async def test_who_leaves_in_the_middle_of_a_body_gets_no_answer(
    agent: Agent, gate: GateDouble
) -> None:
    answered = await agent.of(stays=False).send([])
    assert answered.status == 0
    assert not gate.refused
    assert not gate.crossed


async def test_a_body_that_does_not_arrive_is_given_up() -> None:
    async def silence() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    head = Head("POST", "/mcp", "peer", {}, [])
    rules = EdgeRules("http://x", frozenset(), body_seconds=0.01)
    with pytest.raises(RequestRefused) as refused:
        await read_body(silence, head, rules)
    assert refused.value.code == "request.timeout"


async def test_a_request_that_is_ended_while_its_body_arrives_ends() -> None:
    arriving = asyncio.Event()

    async def silence() -> dict[str, Any]:
        arriving.set()
        await asyncio.Event().wait()
        return {}

    rules = EdgeRules("http://x", frozenset())
    reading = asyncio.create_task(read_body(silence, Head("POST", "/mcp", "peer", {}, []), rules))
    await arriving.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_a_fault_of_ours_is_answered_without_its_words(
    agent: Agent, gate: GateDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("secret-of-ours")

    monkeypatch.setattr(gate, "cross", fail)
    answered = await agent.modern("tools/call", CALL)
    assert (answered.status, answered.body["code"]) == (500, "internal")
    assert b"secret-of-ours" not in answered.raw
    assert gate.answered == []


async def test_answers_are_never_stored_nor_guessed_at(agent: Agent) -> None:
    for answered in (await agent.modern("tools/list"), await agent.of(token=None).send()):
        assert answered.headers["cache-control"] == "no-store"
        assert answered.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("value", "trace"),
    [
        pytest.param(b"00-" + b"a1" * 16 + b"-" + b"b2" * 8 + b"-01", "a1" * 16, id="version-00"),
        pytest.param(b"cc-" + b"a1" * 16 + b"-" + b"b2" * 8 + b"-01-x", "a1" * 16, id="later"),
        pytest.param(b"ff-" + b"a1" * 16 + b"-" + b"b2" * 8 + b"-01", None, id="version-ff"),
        pytest.param(b"00-" + b"00" * 16 + b"-" + b"b2" * 8 + b"-01", None, id="all-zero"),
        pytest.param(b"00-" + b"A1" * 16 + b"-" + b"b2" * 8 + b"-01", None, id="upper-case"),
        pytest.param(b"spoof", None, id="anything"),
    ],
)
def test_a_trace_id_is_taken_only_in_its_form(value: bytes, trace: str | None) -> None:
    assert trace_id(Head("POST", "/mcp", "peer", {b"traceparent": value}, [])) == trace


def test_a_peer_without_address_is_unknown() -> None:
    assert http.source({"client": None}) == "unknown"


# -- whether an answer reached somebody: the gate must know, to give it to a resent call


async def test_a_delivered_answer_is_reported_once(agent: Agent, gate: GateDouble) -> None:
    await agent.modern("tools/call", CALL)
    assert gate.answered == ["call-1"]


async def test_an_answer_to_nobody_is_not_reported(
    agent: Agent, caller: Agent, gate: GateDouble
) -> None:
    leaver = agent.of(stays=False)
    await leaver.modern("tools/call", CALL)
    await leaver.of(path="/mcp/ledger").modern("tools/call", {"name": "pay"})
    await caller.of(stays=False).send(b"{}")
    assert len(gate.crossed) == 3
    assert gate.answered == []


async def test_who_goes_while_the_answer_waits_to_be_written_did_not_get_it(
    agent: Agent, gate: GateDouble
) -> None:
    await agent.of(reads=False).modern("tools/call", CALL)
    assert gate.answered == []


async def test_what_was_never_forwarded_owes_no_answer(agent: Agent, gate: GateDouble) -> None:
    gate.outcome = Outcome("denied", "policy.denied", "No.")
    await agent.modern("tools/call", CALL)
    assert gate.answered == []

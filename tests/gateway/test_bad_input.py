"""Bad input over every way in: a clear error in its protocol, an entry, nothing forwarded."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.harness.agent import LEGACY, META, MODERN, REST, WAYS, Agent, Answer
from tests.harness.gateway import Running, running
from tests.harness.policy import DESK, crowded
from tests.harness.upstream import Desk, desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1 << 20


@dataclass(frozen=True)
class Expected:
    """What one piece of bad input gets over each way in.

    code   our stable code
    rest   HTTP status over REST
    rpc    number of the JSON-RPC error over MCP; None: an ordinary result with `isError`
    """

    code: str
    rest: int
    rpc: int | None = None


MALFORMED = Expected("request.malformed", 400, -32700)
TOO_LARGE = Expected("request.too_large", 413, -32600)
TOO_DEEP = Expected("request.too_deep", 400, -32700)
INVALID = Expected("args.invalid", 422)
UNKNOWN_FIELD = Expected("args.unknown_field", 422)
DENIED = Expected("policy.denied", 403)

ARGUMENTS = [
    pytest.param("desk.pay", b'{"amount":1,"amount":2}', MALFORMED, id="duplicate-key"),
    pytest.param("desk.pay", b'{"amount":NaN}', MALFORMED, id="nan"),
    pytest.param("desk.pay", b'{"amount":Infinity}', MALFORMED, id="infinity"),
    pytest.param("desk.pay", b'{"amount":-Infinity}', MALFORMED, id="minus-infinity"),
    pytest.param("desk.pay", b'{"amount":1e400}', MALFORMED, id="beyond-doubles"),
    pytest.param("desk.pay", b'{"amount":1} {}', MALFORMED, id="trailing-data"),
    pytest.param("desk.pay", b'{"amount":1,"note":"\xc3\x28"}', MALFORMED, id="invalid-utf-8"),
    pytest.param("desk.pay", b'{"amount":1,"note":"\\ud83d"}', MALFORMED, id="lone-surrogate"),
    pytest.param("desk.pay", b'{"amount":9007199254740993}', MALFORMED, id="beyond-2-53"),
    pytest.param("desk.pay", b"", MALFORMED, id="nothing"),
    pytest.param("desk.pay", b'{"note":"' + b"a" * 4 * MIB + b'"}', TOO_LARGE, id="over-4-mib"),
    pytest.param("desk.pay", b'{"amount":' + b"[" * 65 + b"]" * 65 + b"}", TOO_DEEP, id="depth-65"),
    pytest.param("desk.pay", b'{"amount":"100"}', INVALID, id="text-for-an-integer"),
    pytest.param("desk.pay", b'{"amount":true}', INVALID, id="truth-for-an-integer"),
    pytest.param("desk.pay", b'{"amount":1.5}', INVALID, id="fraction-for-an-integer"),
    pytest.param("desk.pay", b'{"amount":null}', INVALID, id="null-for-an-integer"),
    pytest.param("desk.pay", b'{"to":"paper"}', INVALID, id="argument-missing"),
    pytest.param("desk.pay", b'{"amount":1,"bcc":"x"}', UNKNOWN_FIELD, id="unknown-argument"),
    pytest.param("desk.open", b'{"path":"/data/reports/../../etc/passwd"}', DENIED, id="path-up"),
    pytest.param("desk.open", b'{"path":"/data/reports/%2e%2e/x"}', DENIED, id="path-encoded"),
    pytest.param("desk.p4y", b'{"amount":1}', DENIED, id="look-alike-name"),
    pytest.param("desk.Pay", b'{"amount":1}', DENIED, id="other-case-name"),
    pytest.param("desk.pay_", b'{"amount":1}', DENIED, id="longer-name"),
    pytest.param("Desk.pay", b'{"amount":1}', DENIED, id="other-case-server"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Running, Desk]]:
    folder = tmp_path_factory.mktemp("input")
    policy = crowded(DESK)
    async with desk() as upstream, running(folder, policy, {"desk": upstream}) as gateway:
        yield gateway, upstream


def recorded(gateway: Running, clerk: Agent, code: str) -> None:
    """There is an entry of this agent that says the code; a denial says it by its effect."""
    last = gateway.entries(of=clerk)[-1]
    assert last["kind"] in {"refusal", "decision"}
    said = last["code"] if last["kind"] == "refusal" else f"policy.{last['decision']['effect']}"
    assert said in {code, "policy.deny"}


def speaks(answered: Answer, way: str, expected: Expected) -> None:
    """It is an answer of that protocol, and one that a model or a person can read."""
    assert answered.code == expected.code
    assert answered.result is None
    assert len(answered.text) > 10
    if way == REST:
        assert answered.http == expected.rest
        assert answered.headers["content-type"] == "application/problem+json"
        assert answered.body["status"] == expected.rest
    elif expected.rpc is None:
        assert answered.http == 200
        assert answered.body["result"]["isError"] is True
    else:
        assert answered.rpc == expected.rpc
        assert answered.body["jsonrpc"] == "2.0"
        assert answered.http == expected.rest


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("tool", "args", "expected"), ARGUMENTS)
async def test_bad_arguments_get_a_clear_error_an_entry_and_nothing_else(
    place: tuple[Running, Desk], way: str, tool: str, args: bytes, expected: Expected
) -> None:
    gateway, upstream = place
    clerk = await gateway.agent(way=way)
    await clerk.names()
    upstream.forget()
    if way == REST and tool.startswith("Desk"):
        expected = Expected("request.path", 404)
    answered = await clerk.call_raw(tool, args)
    speaks(answered, way, expected)
    assert upstream.heard == []
    if expected.code != "request.path":
        recorded(gateway, clerk, expected.code)


def message(**changes: Any) -> bytes:  # noqa: ANN401 - JSON of any kind
    body = {
        "jsonrpc": "2.0",
        "id": 7,
        "method": "tools/call",
        "params": {"name": "desk__look", "arguments": {"at": "x"}, "_meta": META},
        **changes,
    }
    return json.dumps({name: value for name, value in body.items() if value is not ...}).encode()


NAMED = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "desk__look"}
ENVELOPES = [
    pytest.param(b"[" + message() + b"]", -32600, id="batch"),
    pytest.param(b"null", -32600, id="null"),
    pytest.param(b'"tools/call"', -32600, id="text"),
    pytest.param(b"{}", -32600, id="empty"),
    pytest.param(message(jsonrpc="1.0"), -32600, id="other-version"),
    pytest.param(message(jsonrpc=...), -32600, id="no-version"),
    pytest.param(message(method=7), -32600, id="number-for-a-method"),
    pytest.param(message(method=...), -32600, id="no-method"),
    pytest.param(message(id=None), -32600, id="null-for-an-id"),
    pytest.param(message(id=1.5), -32600, id="fraction-for-an-id"),
    pytest.param(message(id={"x": 1}), -32600, id="object-for-an-id"),
    pytest.param(message(id=True), -32600, id="truth-for-an-id"),
    pytest.param(message(id="x" * 300), -32600, id="long-id"),
    pytest.param(message(extra=1), -32600, id="member-too-many"),
    pytest.param(message(params=[1]), -32602, id="list-for-params"),
    pytest.param(message(params=None), -32602, id="null-for-params"),
]
PARAMS = [
    pytest.param({"arguments": {}}, id="no-name"),
    pytest.param({"name": 7, "arguments": {}}, id="number-for-a-name"),
    pytest.param({"name": "", "arguments": {}}, id="empty-name"),
    pytest.param({"name": "x" * 500, "arguments": {}}, id="long-name"),
    pytest.param({"name": "desk__look", "arguments": []}, id="list-for-arguments"),
    pytest.param({"name": "desk__look", "arguments": "x"}, id="text-for-arguments"),
    pytest.param({"name": "desk__look", "arguments": {}, "x": 1}, id="member-too-many"),
]


@pytest.mark.parametrize("way", [MODERN, LEGACY])
@pytest.mark.parametrize(("body", "rpc"), ENVELOPES)
async def test_a_message_that_is_none_is_refused_in_its_own_protocol(
    place: tuple[Running, Desk], way: str, body: bytes, rpc: int
) -> None:
    gateway, upstream = place
    clerk = await gateway.agent(way=way)
    await clerk.names()
    upstream.forget()
    answered = await clerk.post(body, NAMED if way == MODERN else {})
    assert answered.rpc == rpc
    assert answered.body["jsonrpc"] == "2.0"
    assert upstream.heard == []
    recorded(gateway, clerk, "request.malformed")


@pytest.mark.parametrize("way", [MODERN, LEGACY])
@pytest.mark.parametrize("params", PARAMS)
async def test_params_that_are_no_call_are_refused(
    place: tuple[Running, Desk], way: str, params: dict[str, Any]
) -> None:
    gateway, upstream = place
    clerk = await gateway.agent(way=way)
    await clerk.names()
    upstream.forget()
    meta = {"_meta": META} if way == MODERN else {}
    headers = {**NAMED, "mcp-name": str(params.get("name", ""))} if way == MODERN else {}
    answered = await clerk.post(message(params={**params, **meta}), headers)
    assert answered.rpc in {-32602, -32020}
    assert upstream.heard == []
    recorded(gateway, clerk, str(answered.code))


@pytest.mark.parametrize(
    ("headers", "http"),
    [
        pytest.param({"content-type": "text/plain"}, 415, id="text"),
        pytest.param({"content-type": "application/x-www-form-urlencoded"}, 415, id="form"),
        pytest.param({"content-type": "multipart/form-data; boundary=x"}, 415, id="multipart"),
        pytest.param({"content-type": "application/json; charset=latin-1"}, 415, id="latin-1"),
        pytest.param({"content-encoding": "gzip"}, 415, id="compressed"),
        pytest.param({"accept": "text/html"}, 406, id="accepts-pages-alone"),
    ],
)
@pytest.mark.parametrize("way", WAYS)
async def test_a_body_of_another_kind_is_refused(
    place: tuple[Running, Desk], way: str, headers: dict[str, str], http: int
) -> None:
    gateway, upstream = place
    clerk = await gateway.agent(way=way)
    await clerk.names()
    upstream.forget()
    answered = await clerk.call_raw("desk.look", b'{"at":"x"}', headers)
    assert answered.http == http
    assert upstream.heard == []
    recorded(gateway, clerk, str(answered.code))


async def test_a_session_of_the_earlier_era_is_needed_known_and_ones_own(
    place: tuple[Running, Desk],
) -> None:
    gateway, upstream = place
    one, other = await gateway.agent(way=LEGACY), await gateway.agent(way=LEGACY)
    await one.names()
    upstream.forget()
    for session in (None, "nothing", one.mcp_session):
        headers = {} if session is None else {"mcp-session-id": session}
        answered = await other.post(message(), headers)
        assert answered.http in {400, 404}
        assert answered.result is None
    assert upstream.heard == []


@pytest.mark.parametrize("way", WAYS)
async def test_hundreds_of_bad_requests_leave_true_counts_and_few_entries(
    place: tuple[Running, Desk], way: str
) -> None:
    gateway, upstream = place
    clerk = await gateway.agent(way=way)
    await clerk.names()
    upstream.forget()
    before, size = gateway.refusals("request.malformed"), gateway.size
    await asyncio.gather(*(clerk.call_raw("desk.pay", b"{") for _ in range(300)))
    assert gateway.refusals("request.malformed") == before + 300
    assert gateway.size - size < 100
    await gateway.gateway.services.refusals.flush(gateway.clock(), everything=True)
    entries = gateway.entries("refusal", of=clerk)
    assert sum(body["count"] for body in entries) == 300
    assert upstream.heard == []

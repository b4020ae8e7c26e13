"""Reading one message: what is no message gets an error, an entry, and goes nowhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.gateway.faces.conftest import Agent, GateDouble

MODERN = "2026-07-28"
META: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
HEADERS = [
    (b"mcp-protocol-version", MODERN.encode()),
    (b"mcp-method", b"tools/call"),
    (b"mcp-name", b"ledger__pay"),
]


def call(arguments: str = '{"amount":40}', **changed: str) -> bytes:
    """A good call as text, with members replaced by the text given for them."""
    members = {
        "jsonrpc": '"2.0"',
        "id": "1",
        "method": '"tools/call"',
        "params": f'{{"name":"ledger__pay","arguments":{arguments},"_meta":{json.dumps(META)}}}',
        **changed,
    }
    return ("{" + ",".join(f'"{name}":{text}' for name, text in members.items()) + "}").encode()


def nested(depth: int) -> bytes:
    """A call whose text is `depth` deep: the message, `params` and `arguments` are three."""
    return call('{"a":' + "[" * (depth - 3) + "]" * (depth - 3) + "}")


BAD_JSON = {
    "empty": b"",
    "white space": b" \r\n",
    "no JSON": b"hello",
    "half": call()[:-1],
    "trailing brace": call() + b"}",
    "trailing message": call() + call(),
    "trailing comma": call().replace(b"40}", b"40,}"),
    "comment": b"/* pay */" + call(),
    "single quotes": call().replace(b'"', b"'"),
    "byte order mark": b"\xef\xbb\xbf" + call(),
    "utf-16": call().decode().encode("utf-16"),
    "invalid utf-8": call('{"to":"\\u00e9"}').replace(b"\\u00e9", b"\xe9"),
    "overlong utf-8": call('{"to":"?"}').replace(b"?", b"\xc0\xaf"),
    "raw control character": call('{"to":"?"}').replace(b"?", b"\x01"),
    "lone surrogate": call('{"to":"\\ud800"}'),
    "duplicate method": call().replace(b'"id"', b'"method":"ping","id"'),
    "duplicate name": call().replace(b'"name"', b'"name":"git__git_log","name"'),
    "duplicate argument": call('{"amount":40,"amount":400}'),
    "duplicate deep": call('{"a":[{"b":1,"b":2}]}'),
    "duplicate by escape": call('{"amount":40,"\\u0061mount":400}'),
    "NaN": call('{"amount":NaN}'),
    "infinity": call('{"amount":-Infinity}'),
    "1e400": call('{"amount":1e400}'),
    "beyond 2**53": call('{"amount":9007199254740993}'),
    "hex": call('{"amount":0x28}'),
    "leading zero": call('{"amount":040}'),
    "plus": call('{"amount":+40}'),
}
BAD_MESSAGES = {
    "null": b"null",
    "text": b'"tools/call"',
    "batch": b"[" + call() + b"]",
    "batch of two": b"[" + call() + b"," + call(id="2") + b"]",
    "empty batch": b"[]",
    "no version": call().replace(b'"jsonrpc":"2.0",', b""),
    "version 1.0": call(jsonrpc='"1.0"'),
    "version number": call(jsonrpc="2.0"),
    "null id": call(id="null"),
    "true id": call(id="true"),
    "fraction id": call(id="1.5"),
    "list id": call(id="[1]"),
    "object id": call(id='{"a":1}'),
    "long id": call(id='"' + "i" * 257 + '"'),
    "no method": call().replace(b'"method":"tools/call",', b""),
    "null method": call(method="null"),
    "number method": call(method="7"),
    "empty method": call(method='""'),
    "long method": call(method='"' + "m" * 129 + '"'),
    "Method": call().replace(b'"method"', b'"Method"'),
    "method and Method": call(Method='"ping"'),
    "result": call(result="{}"),
    "an answer": b'{"jsonrpc":"2.0","id":1,"result":{}}',
    "an error": b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}',
    "further member": call(auth='"token"'),
    "call without id": call().replace(b'"id":1,', b""),
    "notification with id": call(method='"notifications/cancelled"'),
}
BAD_PARAMS = {
    "null params": call(params="null"),
    "list params": call(params='["ledger__pay"]'),
    "text params": call(params='"ledger__pay"'),
}


@pytest.mark.parametrize("raw", BAD_JSON.values(), ids=BAD_JSON.keys())
async def test_t17_what_two_readers_could_read_differently_is_refused(
    agent: Agent, gate: GateDouble, raw: bytes
) -> None:
    answered = await agent.send(raw, HEADERS)
    assert (answered.status, answered.error["code"]) == (400, -32700)
    assert answered.error["data"] == {"code": "request.malformed"}
    assert answered.body["id"] is None
    assert gate.refused == [("clerk", "request.malformed")]
    assert not gate.crossed


@pytest.mark.parametrize("raw", BAD_MESSAGES.values(), ids=BAD_MESSAGES.keys())
async def test_t24_what_is_not_exactly_one_message_is_refused(
    agent: Agent, gate: GateDouble, raw: bytes
) -> None:
    answered = await agent.send(raw, HEADERS)
    assert (answered.status, answered.error["code"]) == (400, -32600)
    assert gate.refused == [("clerk", "request.malformed")]
    assert not gate.crossed


@pytest.mark.parametrize("raw", BAD_PARAMS.values(), ids=BAD_PARAMS.keys())
async def test_params_are_an_object(agent: Agent, gate: GateDouble, raw: bytes) -> None:
    answered = await agent.send(raw, HEADERS)
    assert (answered.status, answered.error["code"], answered.body["id"]) == (400, -32602, 1)
    assert gate.refused == [("clerk", "request.malformed")]
    assert not gate.crossed


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        pytest.param(nested(65), "request.too_deep", id="65"),
        pytest.param(nested(500), "request.too_deep", id="500"),
        pytest.param(nested(100_000), "request.too_deep", id="100000"),
        pytest.param(b"[" * 1_000_000, "request.too_deep", id="never-closed"),
    ],
)
async def test_t22_a_body_deeper_than_64_is_refused(
    agent: Agent, gate: GateDouble, raw: bytes, code: str
) -> None:
    answered = await agent.send(raw, HEADERS)
    assert (answered.status, answered.error["code"]) == (400, -32700)
    assert answered.error["data"]["code"] == code
    assert gate.refused == [("clerk", code)]
    assert not gate.crossed


async def test_a_body_may_be_64_deep(agent: Agent, gate: GateDouble) -> None:
    assert (await agent.send(nested(64), HEADERS)).status == 200
    assert len(gate.crossed) == 1


async def test_a_good_call_in_any_spelling_of_json_is_the_same_action(
    agent: Agent, gate: GateDouble
) -> None:
    for raw in (
        call(),
        b" \t\r\n" + call() + b"\n",
        call('{"\\u0061mount":40}'),
        call('{"amount":40.0}'),
        call('{"amount":4e1}'),
        call(id='"one"'),
    ):
        assert (await agent.send(raw, HEADERS)).status == 200
    assert {orjson.dumps(action.args) for action in gate.crossed} == {b'{"amount":40}'}
    assert {type(action.args["amount"]) for action in gate.crossed} == {int}


@pytest.mark.parametrize("number", ["0", "-1", "9007199254740991", '""', '"é"', '"1"'])
async def test_an_answer_carries_the_id_of_its_request(agent: Agent, number: str) -> None:
    answered = await agent.send(call(id=number), HEADERS)
    assert answered.body["id"] == json.loads(number)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
_near = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.sampled_from(["2.0", "1.0", 2.0]),
        "id": st.integers() | st.text() | _json,
        "method": st.sampled_from(["tools/call", "tools/list", "ping", "initialize"]) | st.text(),
        "params": st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(["ledger__pay", "git__git_log"]) | _json,
                "arguments": st.dictionaries(st.text(), _json) | _json,
                "_meta": st.just(META) | _json,
                "Name": st.just("ledger__pay"),
            },
        )
        | _json,
        "extra": _json,
    },
).map(lambda message: json.dumps(message).encode())
_cut = st.tuples(st.just(call()), st.integers(0, len(call())), st.binary(max_size=3)).map(
    lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
)


@given(raw=st.binary(max_size=300) | _json.map(lambda v: json.dumps(v).encode()) | _near | _cut)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
async def test_no_body_makes_a_face_fail_and_only_a_valid_call_crosses(
    agent: Agent, gate: GateDouble, raw: bytes
) -> None:
    crossed, refused = len(gate.crossed), len(gate.refused)
    answered = await agent.send(raw, HEADERS)
    assert answered.status in {200, 202, 400, 404}
    failed = answered.status != 202 and "error" in answered.body
    assert failed or answered.status < 400
    assert len(gate.refused) - refused == failed
    if failed:
        assert answered.error["code"] in {-32700, -32600, -32601, -32602, -32020, -32022}
    if len(gate.crossed) > crossed:
        message = json.loads(raw)
        assert message["method"] == "tools/call"
        assert message["params"]["name"] == "ledger__pay"
        assert gate.crossed[-1].args == (message["params"].get("arguments") or {})


@given(
    raw=st.binary(max_size=300),
    headers=st.lists(
        st.tuples(
            st.sampled_from(
                [
                    b"content-length",
                    b"content-type",
                    b"mcp-method",
                    b"mcp-name",
                    b"mcp-session-id",
                    b"mcp-protocol-version",
                    b"origin",
                    b"traceparent",
                    b"accept",
                    b"mcp-param-region",
                ]
            ),
            st.binary(max_size=20),
        ),
        max_size=6,
    ),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
async def test_no_header_makes_a_face_fail(
    agent: Agent, gate: GateDouble, raw: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    answered = await agent.send(raw, headers)
    assert 400 <= answered.status < 500
    assert not gate.crossed

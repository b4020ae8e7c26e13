"""T17: what two readers could read differently is refused; what was decided on is what is sent."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.harness.agent import LEGACY, META, MODERN, REST, WAYS, Agent
from tests.harness.gateway import Running
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "written",
    [
        pytest.param(b'{"amount":1,"amount":1000000}', id="duplicate-key"),
        pytest.param(b'{"amount":1000000,"amount":1}', id="duplicate-key-harmless-last"),
        pytest.param(b'{"amount":1,"amount":1}', id="duplicate-key-of-equal-value"),
        pytest.param(b'{"amount":1,"\\u0061mount":1000000}', id="duplicate-key-escaped"),
        pytest.param(b'{"amount":1,"x":{"a":1,"a":2}}', id="duplicate-key-nested"),
        pytest.param(b'{"amount":1,"x":[{"a":1,"a":2}]}', id="duplicate-key-in-a-list"),
        pytest.param(b'{"amount":1}{"amount":1000000}', id="two-values"),
        pytest.param(b'{"amount":1} x', id="trailing-text"),
        pytest.param(b'{"amount":1}\x00', id="trailing-nul"),
        pytest.param(b'{"amount":1,}', id="trailing-comma"),
        pytest.param(b'{"amount":1/*00*/}', id="comment"),
        pytest.param(b'{"amount":1//00\n}', id="line-comment"),
        pytest.param(b"{'amount':1}", id="single-quotes"),
        pytest.param(b"{amount:1}", id="bare-key"),
        pytest.param(b'{"amount":1,"note":"\xff"}', id="invalid-utf-8"),
        pytest.param(b'{"amount":1,"note":"\xc0\xaf"}', id="overlong-utf-8"),
        pytest.param(b'{"amount":1,"note":"\xed\xa0\x80"}', id="surrogate-in-utf-8"),
        pytest.param(b'{"amount":1,"note":"\\ud800"}', id="lone-surrogate"),
        pytest.param(b'{"amount":1,"note":"\\udc00\\ud800"}', id="surrogates-in-wrong-order"),
        pytest.param(b'{"amount":1,"\\ud800":1}', id="lone-surrogate-in-a-key"),
        pytest.param(b'{"amount":1,"note":"a\nb"}', id="raw-control-character"),
        pytest.param(b'{"amount":1,"note":"\\x41"}', id="escape-that-is-none"),
        pytest.param(b'{"amount":1', id="cut-off"),
    ],
)
async def test_t17_ambiguous_arguments_are_refused_recorded_and_not_forwarded(
    gateway: Running, upstream: Desk, clerk: Agent, way: str, written: bytes
) -> None:
    answered = await clerk.by(way).call_raw("desk.pay", written)
    assert answered.code == "request.malformed"
    assert upstream.calls == []
    (entry,) = gateway.entries("refusal", of=clerk)
    assert entry["code"] == "request.malformed"


@pytest.mark.parametrize(
    ("way", "prefix", "suffix"),
    [
        pytest.param(REST, b"\xef\xbb\xbf", b"", id="byte-order-mark"),
        pytest.param(MODERN, b"\xef\xbb\xbf", b"", id="byte-order-mark-over-mcp"),
        pytest.param(LEGACY, b"", b"\n{}", id="two-messages"),
        pytest.param(MODERN, b"", b'{"jsonrpc":"2.0"}', id="two-messages-in-the-new-era"),
        pytest.param(REST, b"[", b"]", id="list-of-one"),
    ],
)
async def test_t17_a_body_that_is_more_than_one_plain_value_is_refused(
    upstream: Desk, clerk: Agent, way: str, prefix: bytes, suffix: bytes
) -> None:
    agent = clerk.by(way)
    await agent.names()
    body, headers, path = _message(way, '{"amount":40,"to":"paper"}')
    answered = await agent.post(prefix + body + suffix, headers, path=path)
    assert answered.code == "request.malformed"
    assert upstream.calls == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-7"])
async def test_t17_another_encoding_is_refused_where_it_is_another(
    upstream: Desk, clerk: Agent, encoding: str
) -> None:
    body = '{"amount":40,"to":"péper"}'.encode(encoding)
    answered = await clerk.post(body, path="/v1/tools/desk/pay")
    assert not answered.done or upstream.calls[0].args["to"] != "péper"
    assert encoding == "utf-7" or upstream.calls == []


@pytest.mark.parametrize("charset", ["utf-16", "iso-8859-1", "utf-7", "utf-8; x=1"])
async def test_t17_a_body_that_announces_another_encoding_is_refused(
    upstream: Desk, clerk: Agent, charset: str
) -> None:
    headers = {"content-type": f"application/json; charset={charset}"}
    answered = await clerk.call_raw("desk.pay", b'{"amount":40}', headers)
    assert answered.code == "request.media_type"
    assert upstream.calls == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "written",
    [
        pytest.param(b'{"Amount":1000000,"amount":1}', id="other-case-beside"),
        pytest.param(b'{"amount ":1000000,"amount":1}', id="blank-beside"),
        pytest.param('{"amóunt":1000000,"amount":1}'.encode(), id="look-alike-beside"),
        pytest.param(b'{"amount\\u0000":1000000,"amount":1}', id="nul-beside"),
    ],
)
async def test_t17_a_key_that_a_lenient_reader_takes_for_another_is_refused(
    upstream: Desk, clerk: Agent, way: str, written: bytes
) -> None:
    answered = await clerk.by(way).call_raw("desk.pay", written)
    assert answered.code == "args.unknown_field"
    assert upstream.calls == []


@pytest.mark.parametrize("way", [MODERN, LEGACY])
@pytest.mark.parametrize(
    "member",
    [
        pytest.param('"Name":"desk__wipe"', id="second-name"),
        pytest.param('"Arguments":{"amount":1}', id="second-arguments"),
        pytest.param('"tool":"desk__wipe"', id="member-of-another-protocol"),
    ],
)
async def test_t17_members_beside_name_and_arguments_are_refused(
    upstream: Desk, clerk: Agent, way: str, member: str
) -> None:
    agent = clerk.by(way)
    await agent.names()
    body, headers, path = _message(way, '{"amount":40,"to":"paper"}', member)
    answered = await agent.post(body, headers, path=path)
    assert answered.rpc == -32602
    assert upstream.calls == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "written",
    [
        pytest.param(b' {\n"to" : "paper",\t"amount":1e1 } ', id="blanks-and-order"),
        pytest.param(b'{"amount":10.0,"to":"\\u0070aper"}', id="escapes"),
        pytest.param(
            '{"amount":10,"to":"päper","note":"\\u00e4\\ud83d\\ude00"}'.encode(), id="beyond-ascii"
        ),
        pytest.param(
            b'{"amount":10,"note":"</script>\\u2028\\u0000\\"\\\\"}',
            id="characters-that-some-escape",
        ),
    ],
)
async def test_t17_what_was_decided_on_is_byte_for_byte_what_is_forwarded(
    gateway: Running, upstream: Desk, clerk: Agent, way: str, written: bytes
) -> None:
    answered = await clerk.by(way).call_raw("desk.pay", written)
    assert answered.done
    (call,) = upstream.calls
    assert call.args == json.loads(written)
    words = gateway.gateway.services.recorder.words(answered.entry, "args")
    assert words is not None
    assert call.raw.count(b'"arguments":' + words) == 1
    assert call.raw.count(b'"arguments"') == 1


texts = st.text(st.characters(codec="utf-8"), max_size=20)


@given(to=texts, note=texts)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_t17_any_text_arrives_as_it_was_sent(
    upstream: Desk, clerk: Agent, to: str, note: str
) -> None:
    upstream.calls.clear()
    answered = await clerk.call("desk.pay", amount=40, to=to, note=note)
    assert answered.done
    assert [call.args for call in upstream.calls] == [{"amount": 40, "to": to, "note": note}]


def _message(way: str, arguments: str, *members: str) -> tuple[bytes, dict[str, str], str | None]:
    """Body, headers and path of one call of desk.pay."""
    if way == REST:
        return arguments.encode(), {}, "/v1/tools/desk/pay"
    meta: dict[str, Any] = META if way == MODERN else {}
    parts = [
        '"name":"desk__pay"',
        f'"arguments":{arguments}',
        f'"_meta":{json.dumps(meta)}',
        *members,
    ]
    body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{",".join(parts)}}}}}'
    if way == LEGACY:
        return body.encode(), {}, None
    headers = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "desk__pay"}
    return body.encode(), headers, None

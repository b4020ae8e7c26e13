import asyncio
import json

import pytest
import structlog

from audit.canonical import Json
from gateway.catalogue.servers import Equipment, ServerSpec, build_link
from gateway.errors import (
    LinkDown,
    LinkError,
    LinkGarbage,
    LinkLost,
    LinkRefused,
    LinkTimeout,
    LinkUnsupported,
    ToolChanged,
)
from gateway.links import jsonrpc
from tests.gateway.links.conftest import Reach, up
from tests.gateway.links.http_upstream import (
    ECHO,
    RESULT,
    Behaviour,
    Heard,
    Upstream,
    answer,
    chunked,
    event,
    eventually,
    hangs_up_after,
    http,
    permit,
    refusal,
    says,
    stays_silent,
)
from tests.harness.authorization_server import issuer

LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")


def reply(heard: Heard, **result: Json) -> dict[str, Json]:
    return {"jsonrpc": "2.0", "id": heard.message["id"], "result": dict(result)}


# -- both eras ------------------------------------------------------------------------------


async def test_a_modern_server_is_called_without_handshake(
    upstream: Upstream, reach: Reach
) -> None:
    upstream.is_modern()
    link = await reach(ServerSpec(url=upstream.url))
    result = (await link.call(permit(), timeout_s=5)).result
    assert result == {**RESULT, "resultType": "complete"}
    assert upstream.methods() == ["server/discover", "tools/list", "tools/call"]
    call = upstream.heard[-1]
    assert call.headers["mcp-protocol-version"] == "2026-07-28"
    assert (call.headers["mcp-method"], call.headers["mcp-name"]) == ("tools/call", "echo")
    meta = call.message["params"]["_meta"]
    assert meta["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert meta["io.modelcontextprotocol/clientCapabilities"] == {}
    assert "mcp-session-id" not in call.headers


@pytest.mark.parametrize("version", LEGACY)
async def test_an_older_server_is_greeted_and_its_session_kept(
    version: str, upstream: Upstream, reach: Reach
) -> None:
    upstream.is_legacy(version)
    link = await reach(ServerSpec(url=upstream.url))
    assert (await link.call(permit(), timeout_s=5)).result == RESULT
    assert upstream.methods() == [
        "server/discover",
        "initialize",
        "notifications/initialized",
        "tools/list",
        "tools/call",
    ]
    call = upstream.heard[-1]
    assert call.headers["mcp-session-id"] == "abc"
    assert call.headers.get("mcp-protocol-version") in (version, None)
    assert "_meta" not in call.message["params"]
    assert "mcp-name" not in call.headers
    greeting = next(heard for heard in upstream.heard if heard.method == "initialize")
    assert greeting.message["params"]["capabilities"] == {}
    await link.close()
    assert upstream.heard[-1].verb == "DELETE"
    assert upstream.heard[-1].headers["mcp-session-id"] == "abc"


async def test_a_server_without_sessions_is_sent_none(upstream: Upstream, reach: Reach) -> None:
    upstream.is_legacy(session=None)
    link = await reach(ServerSpec(url=upstream.url))
    await link.call(permit(), timeout_s=5)
    assert not any("mcp-session-id" in heard.headers for heard in upstream.heard)


async def test_a_session_that_ended_is_begun_anew_and_the_call_not_repeated(
    upstream: Upstream, reach: Reach
) -> None:
    upstream.is_legacy()
    link = await reach(ServerSpec(url=upstream.url))
    again = asyncio.Event()
    upstream.behaviours["tools/call"] = says(lambda heard: refusal(heard, -32600, "404 Not Found"))
    with pytest.raises(LinkRefused):
        await link.call(permit(), timeout_s=5)
    link.on_change = lambda _name: again.set()
    async with asyncio.timeout(5):
        await again.wait()
    assert upstream.methods().count("initialize") == 2
    assert upstream.methods().count("tools/call") == 1


async def test_a_version_that_the_configuration_does_not_name_is_refused(
    upstream: Upstream, equipment: Equipment
) -> None:
    upstream.is_legacy("2024-11-05")
    spec = ServerSpec(url=upstream.url, versions=["2026-07-28", "2025-11-25"])
    link = build_link("s", spec, equipment)
    await link.start()
    await eventually(lambda: link.trouble is not None)
    assert link.state == "down"
    assert "not allowed" in str(link.trouble)
    assert "tools/list" not in upstream.methods()
    await link.close()


async def test_a_server_that_dies_of_the_probe_is_greeted_without_it(
    upstream: Upstream, reach: Reach
) -> None:
    upstream.is_legacy()
    upstream.behaviours["server/discover"] = hangs_up_after(lambda _: b"")
    link = await reach(ServerSpec(url=upstream.url))
    assert (await link.call(permit(), timeout_s=5)).result == RESULT
    assert upstream.methods()[:2] == ["server/discover", "initialize"]


async def test_a_server_whose_version_changed_is_greeted_anew(
    upstream: Upstream, reach: Reach
) -> None:
    upstream.is_legacy(session=None)
    link = await reach(ServerSpec(url=upstream.url))
    upstream.is_modern()
    upstream.behaviours["tools/call"] = says(
        lambda heard: refusal(heard, -32022, "400 Bad Request")
    )
    with pytest.raises(LinkRefused):
        await link.call(permit(), timeout_s=5)
    await eventually(lambda: upstream.methods().count("tools/list") == 2)
    assert upstream.methods().count("tools/call") == 1


# -- what travels ---------------------------------------------------------------------------


async def test_the_arguments_travel_byte_for_byte(upstream: Upstream, reach: Reach) -> None:
    upstream.is_modern()
    link = await reach(ServerSpec(url=upstream.url))
    arguments = '{"a":1,"text":"\u00e9\\u0000 %s","z":[1.5,-0]}'.encode()
    await link.call(permit(arguments=arguments), timeout_s=5)
    assert arguments in upstream.heard[-1].body


async def test_our_own_credential_travels_and_is_shown_nowhere(
    upstream: Upstream, reach: Reach
) -> None:
    upstream.is_modern()
    spec = ServerSpec.model_validate({"url": upstream.url, "credential": {"bearer": "env:TOKEN"}})
    with structlog.testing.capture_logs() as logs:
        link = await reach(spec)
        await link.call(permit(), timeout_s=5)
    for heard in upstream.heard:
        assert heard.headers["authorization"] == "Bearer secret-of-token"
    assert "secret-of" not in repr([logs, link, vars(link), link._conversation])


async def test_only_known_headers_are_sent(upstream: Upstream, reach: Reach) -> None:
    upstream.is_modern()
    link = await reach(ServerSpec(url=upstream.url))
    await link.call(permit(), timeout_s=5)
    assert set(upstream.heard[-1].headers) == {
        "host",
        "content-type",
        "accept",
        "user-agent",
        "content-length",
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
    }


async def test_marked_parameters_are_mirrored_in_headers(upstream: Upstream, reach: Reach) -> None:
    tool: dict[str, Json] = {
        "name": "query",
        "inputSchema": {
            "type": "object",
            "properties": {
                "region": {"type": "string", "x-mcp-header": "Region"},
                "deep": {
                    "type": "object",
                    "properties": {"dry": {"type": "boolean", "x-mcp-header": "Dry"}},
                },
                "count": {"type": "integer", "x-mcp-header": "Count"},
            },
        },
    }
    upstream.is_modern(tool)
    link = await reach(ServerSpec(url=upstream.url))
    arguments = '{"deep":{"dry":true},"region":"Z\u00fcrich"}'.encode()
    await link.call(permit(tool, arguments), timeout_s=5)
    headers = upstream.heard[-1].headers
    assert headers["mcp-param-region"] == "=?base64?WsO8cmljaA==?="
    assert headers["mcp-param-dry"] == "true"
    assert "mcp-param-count" not in headers


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param({"a": {"type": "number", "x-mcp-header": "A"}}, id="number"),
        pytest.param({"a": {"type": "string", "x-mcp-header": "A\r\nX: y"}}, id="no-token"),
        pytest.param({"a": {"type": "string", "x-mcp-header": 1}}, id="no-text"),
        pytest.param(
            {
                "a": {"type": "string", "x-mcp-header": "A"},
                "b": {"type": "string", "x-mcp-header": "a"},
            },
            id="twice",
        ),
        pytest.param(
            {"a": {"type": "array", "items": {"type": "string", "x-mcp-header": "A"}}}, id="in-list"
        ),
    ],
)
async def test_a_tool_with_an_invalid_mark_is_left_out(
    properties: Json, upstream: Upstream, reach: Reach
) -> None:
    bad: dict[str, Json] = {
        "name": "bad",
        "inputSchema": {"type": "object", "properties": properties},
    }
    upstream.is_modern(bad, ECHO)
    link = await reach(ServerSpec(url=upstream.url))
    assert await link.definitions() == (ECHO,)
    with pytest.raises(ToolChanged):
        await link.call(permit(bad), timeout_s=5)


# -- what comes back ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "result",
    [
        pytest.param('{"content":[{"type":"hologram","x":[1]}]}', id="unknown-content-type"),
        pytest.param('{"content":[],"isError":true,"extra":{"a":null}}', id="unknown-members"),
        pytest.param(
            '{"content":[],"structuredContent":{"n":123456789012345678901234567890}}', id="big"
        ),
        pytest.param('{"content":[],"structuredContent":[1.0,2e3,-0.0,0.1]}', id="floats"),
        pytest.param('{"content":[],"_meta":{"é":"\\ud83d\\ude00"}}', id="unicode"),
    ],
)
async def test_a_result_comes_back_equal_as_json(
    result: str, upstream: Upstream, reach: Reach
) -> None:
    upstream.is_modern()
    upstream.behaviours["tools/call"] = says(
        lambda heard: http(
            b'{"jsonrpc":"2.0","id":%d,"result":%s}' % (heard.message["id"], result.encode())
        )
    )
    link = await reach(ServerSpec(url=upstream.url))
    found = (await link.call(permit(), timeout_s=5)).result
    assert repr(found) == repr(json.loads(result))
    assert repr(json.loads(jsonrpc.dump(found))) == repr(json.loads(result))


async def test_definitions_come_back_equal_as_json_from_all_pages(
    upstream: Upstream, reach: Reach
) -> None:
    other: dict[str, Json] = {**ECHO, "name": "other", "x-unknown": {"b": 1, "a": [1.0]}}

    def page(heard: Heard) -> bytes:
        if heard.message["params"].get("cursor") == "next":
            return answer(heard, {"tools": [other]})
        return answer(heard, {"tools": [ECHO], "nextCursor": "next"})

    upstream.is_modern()
    upstream.behaviours["tools/list"] = says(page)
    link = await reach(ServerSpec(url=upstream.url))
    assert await link.definitions() == (ECHO, other)


def broken(text: bytes) -> Behaviour:
    return says(lambda heard: http(text.replace(b"ID", b"%d" % heard.message["id"])))


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(broken(b"hello"), id="no-json"),
        pytest.param(broken(b"[]"), id="batch"),
        pytest.param(broken(b'{"jsonrpc":"2.0","id":ID}'), id="neither"),
        pytest.param(
            broken(b'{"jsonrpc":"2.0","id":ID,"result":{"content":[]},"error":{}}'), id="both"
        ),
        pytest.param(broken(b'{"jsonrpc":"1.0","id":ID,"result":{"content":[]}}'), id="version"),
        pytest.param(broken(b'{"jsonrpc":"2.0","id":9,"result":{"content":[]}}'), id="wrong-id"),
        pytest.param(
            broken(b'{"jsonrpc":"2.0","id":"ID","result":{"content":[]}}'), id="id-as-text"
        ),
        pytest.param(
            broken(b'{"jsonrpc":"2.0","id":ID,"id":ID,"result":{"content":[]}}'), id="duplicate"
        ),
        pytest.param(
            broken(b'{"jsonrpc":"2.0","id":ID,"result":{"content":[],"content":[]}}'),
            id="duplicate-inside",
        ),
        pytest.param(
            broken(b'{"jsonrpc":"2.0","id":ID,"result":{"content":[NaN]}}'), id="not-a-number"
        ),
        pytest.param(
            broken(b'{"jsonrpc":"2.0","id":ID,"result":{"content":[],"x":1e999}}'), id="infinite"
        ),
        pytest.param(
            broken(b'{"jsonrpc":"2.0","id":ID,"result":{"content":[],"x":"\xff"}}'), id="utf-8"
        ),
        pytest.param(
            broken(b'{"jsonrpc":"2.0","id":ID,"result":{"content":[],"x":"\\ud800"}}'),
            id="surrogate",
        ),
        pytest.param(
            broken(
                b'{"jsonrpc":"2.0","id":ID,"result":{"content":[],"x":'
                + b"[" * 100
                + b"]" * 100
                + b"}}"
            ),
            id="deep",
        ),
        pytest.param(
            broken(b'{"jsonrpc":"2.0","id":ID,"result":{"content":[]}} {}'), id="trailing"
        ),
        pytest.param(broken(b'{"jsonrpc":"2.0","id":ID,"result":{}}'), id="no-content"),
        pytest.param(
            broken(b'{"jsonrpc":"2.0","id":ID,"result":{"content":["x"]}}'), id="content-of-texts"
        ),
        pytest.param(
            broken(b'{"jsonrpc":"2.0","id":ID,"result":{"content":[],"isError":"no"}}'),
            id="error-as-text",
        ),
        pytest.param(says(lambda heard: http(b"", "202 Accepted")), id="accepted"),
        pytest.param(says(lambda heard: http(b"", "204 No Content")), id="no-content-status"),
        pytest.param(
            says(lambda heard: answer(heard, RESULT, kind="text/html")), id="content-type"
        ),
        pytest.param(
            says(lambda _: http(b"", "307 Temporary", extra="Location: /other\r\n")), id="redirect"
        ),
        pytest.param(says(lambda _: http(b"oops", "502 Bad Gateway")), id="bad-gateway"),
        pytest.param(
            says(lambda heard: chunked(event(reply(heard, content=1)))), id="stream-bad-result"
        ),
        pytest.param(says(lambda _: chunked(b"data: {\n\n")), id="stream-no-json"),
        pytest.param(
            says(lambda _: chunked(event({"jsonrpc": "2.0", "id": 99, "result": {}}))),
            id="stream-wrong-id",
        ),
        pytest.param(says(lambda _: chunked(b"")), id="stream-empty"),
        pytest.param(
            says(
                lambda _: chunked(
                    *[event({"jsonrpc": "2.0", "method": "notifications/progress"})] * 5000
                )
            ),
            id="stream-flood",
        ),
    ],
)
async def test_garbage_is_refused_and_the_call_not_repeated(
    behaviour: Behaviour, upstream: Upstream, reach: Reach
) -> None:
    upstream.is_modern()
    upstream.behaviours["tools/call"] = behaviour
    link = await reach(ServerSpec(url=upstream.url))
    with pytest.raises(LinkGarbage) as caught:
        await link.call(permit(), timeout_s=5)
    assert (caught.value.code, caught.value.acted) == ("upstream.garbage", None)
    assert upstream.methods().count("tools/call") == 1


async def test_a_server_that_answers_twice_is_answered_for_once(
    upstream: Upstream, reach: Reach
) -> None:
    upstream.is_modern()
    upstream.behaviours["tools/call"] = says(
        lambda heard: answer(heard, {"content": [], "n": heard.message["id"]}) * 2
    )
    link = await reach(ServerSpec(url=upstream.url))
    first = (await link.call(permit(), timeout_s=5)).result
    second = (await link.call(permit(), timeout_s=5)).result
    assert (first["n"], second["n"]) == (3, 4)


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        pytest.param(hangs_up_after(lambda _: b""), LinkLost, id="closed-at-once"),
        pytest.param(
            hangs_up_after(lambda heard: answer(heard, RESULT)[:-5]), LinkLost, id="closed-in-body"
        ),
        pytest.param(
            hangs_up_after(lambda _: chunked(b": wait\n\n", end=False)), LinkLost, id="in-stream"
        ),
        pytest.param(stays_silent, LinkTimeout, id="silent"),
        pytest.param(
            says(lambda _: chunked(b": wait\n\n", end=False)), LinkTimeout, id="silent-stream"
        ),
    ],
)
async def test_a_lost_answer_leaves_open_what_the_server_did(
    behaviour: Behaviour, error: type[LinkError], upstream: Upstream, reach: Reach
) -> None:
    upstream.is_modern()
    upstream.behaviours["tools/call"] = behaviour
    link = await reach(ServerSpec(url=upstream.url))
    with pytest.raises(error) as caught:
        await link.call(permit(), timeout_s=0.5)
    assert caught.value.acted is None
    assert upstream.methods().count("tools/call") == 1


@pytest.mark.parametrize("kind", ["input_required", "task", "later", 1, None])
async def test_a_result_that_wants_something_from_us_is_refused(
    kind: Json, upstream: Upstream, reach: Reach
) -> None:
    upstream.is_modern()
    upstream.behaviours["tools/call"] = says(
        lambda heard: answer(heard, {**RESULT, "resultType": kind})
    )
    link = await reach(ServerSpec(url=upstream.url))
    with pytest.raises(LinkUnsupported) as caught:
        await link.call(permit(), timeout_s=5)
    assert caught.value.code == "upstream.unsupported"


@pytest.mark.parametrize(
    ("behaviour", "number"),
    [
        pytest.param(says(lambda heard: refusal(heard, -32602)), -32602, id="200"),
        pytest.param(
            says(lambda heard: refusal(heard, -32020, "400 Bad Request")), -32020, id="400"
        ),
        pytest.param(says(lambda heard: refusal(heard, -32601, "404 Not Found")), -32601, id="404"),
        pytest.param(
            says(lambda heard: refusal(heard, -32603, "500 Oops")), -32603, id="500-with-error"
        ),
        pytest.param(says(lambda _: http(b"", "401 Unauthorized")), 401, id="401-bare"),
        pytest.param(says(lambda _: http(b"{}", "403 Forbidden")), 403, id="403-bare"),
        pytest.param(says(lambda _: http(b"<p>", "429 Slow down", "text/html")), 429, id="429"),
    ],
)
async def test_a_refusal_of_the_server_is_told_from_a_failure(
    behaviour: Behaviour, number: int, upstream: Upstream, reach: Reach
) -> None:
    upstream.is_modern()
    upstream.behaviours["tools/call"] = behaviour
    link = await reach(ServerSpec(url=upstream.url))
    with pytest.raises(LinkRefused) as caught:
        await link.call(permit(), timeout_s=5)
    assert caught.value.error_code == number


# -- streams --------------------------------------------------------------------------------


async def test_the_answer_is_found_among_events(upstream: Upstream, reach: Reach) -> None:
    progress = event({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}})
    upstream.is_modern()
    upstream.behaviours["tools/call"] = says(
        lambda heard: chunked(
            b"id: 1\ndata:\n\n", progress[:9], progress[9:], event(reply(heard, content=[]))
        )
    )
    link = await reach(ServerSpec(url=upstream.url))
    assert (await link.call(permit(), timeout_s=5)).result == {"content": []}


@pytest.mark.parametrize("method", ["sampling/createMessage", "elicitation/create", "roots/list"])
async def test_what_a_server_asks_of_us_is_refused(
    method: str, upstream: Upstream, reach: Reach
) -> None:
    upstream.is_legacy()
    replies: asyncio.Queue[Heard] = asyncio.Queue()

    async def take(heard: Heard, writer: asyncio.StreamWriter) -> None:
        replies.put_nowait(heard)
        writer.write(http(b"", "202 Accepted"))

    async def ask(heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(chunked(event({"jsonrpc": "2.0", "id": "q", "method": method}), end=False))
        await replies.get()
        body = event(reply(heard, content=[]))
        writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    upstream.behaviours["tools/call"] = ask
    upstream.behaviours[""] = take
    link = await reach(ServerSpec(url=upstream.url))
    assert (await link.call(permit(), timeout_s=5)).result == {"content": []}
    refused = next(heard for heard in upstream.heard if heard.method == "")
    assert refused.message["error"]["code"] == -32601
    assert refused.message["id"] == "q"
    assert refused.headers["mcp-session-id"] == "abc"


async def test_a_notice_of_changed_tools_is_handed_on_once(
    upstream: Upstream, reach: Reach
) -> None:
    notice = event({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
    upstream.is_modern()
    upstream.behaviours["tools/call"] = says(
        lambda heard: chunked(*[notice] * 50, event(reply(heard, content=[])))
    )
    link = await reach(ServerSpec(url=upstream.url))
    told: list[str] = []
    again = asyncio.Event()

    def tell(name: str) -> None:
        told.append(name)
        again.set()

    link.on_change = tell
    await link.call(permit(), timeout_s=5)
    await asyncio.wait_for(again.wait(), 5)
    assert told == ["s"]


@pytest.mark.parametrize("modern", [True, False])
async def test_a_call_that_is_given_up_is_cancelled_as_its_era_says(
    modern: bool, upstream: Upstream, reach: Reach
) -> None:
    if modern:
        upstream.is_modern()
    else:
        upstream.is_legacy()
    upstream.behaviours["tools/call"] = stays_silent
    link = await reach(ServerSpec(url=upstream.url))
    with pytest.raises(LinkTimeout):
        await link.call(permit(), timeout_s=0.5)
    if not modern:
        await eventually(lambda: "notifications/cancelled" in upstream.methods())
        call = next(heard for heard in upstream.heard if heard.method == "tools/call")
        params = upstream.heard[-1].message["params"]
        assert params["requestId"] == call.message["id"]


async def test_a_conversation_that_is_renewed_lets_other_calls_finish(
    upstream: Upstream, reach: Reach
) -> None:
    upstream.is_legacy()
    link = await reach(ServerSpec(url=upstream.url))
    answering = asyncio.Event()

    async def later(heard: Heard, writer: asyncio.StreamWriter) -> None:
        await answering.wait()
        writer.write(answer(heard, RESULT))

    upstream.behaviours["tools/call"] = later
    waiting = asyncio.create_task(link.call(permit(), timeout_s=5))
    await eventually(lambda: "tools/call" in upstream.methods())
    upstream.behaviours["tools/call"] = says(lambda heard: refusal(heard, -32600, "404 Not Found"))
    with pytest.raises(LinkRefused):
        await link.call(permit(), timeout_s=5)
    await eventually(lambda: upstream.methods().count("initialize") == 2)
    answering.set()
    assert (await waiting).result == RESULT


async def test_a_permit_for_another_server_is_not_used(upstream: Upstream, reach: Reach) -> None:
    upstream.is_modern()
    link = await reach(ServerSpec(url=upstream.url))
    with pytest.raises(ToolChanged):
        await link.call(permit(server="pay"), timeout_s=5)
    assert "tools/call" not in upstream.methods()


# -- being away -----------------------------------------------------------------------------


async def test_a_server_that_is_away_is_reached_when_it_is_back(
    equipment: Equipment,
) -> None:
    async with Upstream() as first:
        first.is_modern()
        port = first.port
        link = build_link("s", ServerSpec(url=first.url), equipment)
        link._backoff = (0.01,)
        await up(link)
        await link.call(permit(), timeout_s=5)
    with pytest.raises(LinkError):
        await link.call(permit(), timeout_s=5)
    with pytest.raises(LinkDown) as caught:
        await link.call(permit(), timeout_s=5)
    assert caught.value.acted is False
    await eventually(lambda: link.state == "down")
    back = Upstream()
    back.is_modern()
    back._server = await asyncio.start_server(back._serve, "127.0.0.1", port)
    try:
        await eventually(lambda: link.state == "up")
        await link.call(permit(), timeout_s=5)
    finally:
        await link.close()
        await back.__aexit__()


async def test_a_link_that_was_never_up_refuses_at_once(equipment: Equipment) -> None:
    async with Upstream() as silent:
        link = build_link("s", ServerSpec(url=silent.url), equipment)
        await link.start()
        assert link.state == "starting"
        with pytest.raises(LinkDown) as caught:
            await link.call(permit(), timeout_s=5)
        assert caught.value.acted is False
        with pytest.raises(LinkDown):
            await link.definitions()
        await link.close()


async def test_an_error_of_ours_does_not_end_the_supervision(
    upstream: Upstream, equipment: Equipment, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.is_modern()
    link = build_link("s", ServerSpec(url=upstream.url), equipment)
    link._backoff = (0.01,)
    with monkeypatch.context() as broken, structlog.testing.capture_logs() as logs:
        broken.setattr(link, "_take", None)
        await link.start()
        await eventually(lambda: len(upstream.heard) > 4)
    await eventually(lambda: link.state == "up")
    assert any(entry["event"] == "link.failed" for entry in logs)
    await link.close()


async def test_a_tool_that_changed_while_the_server_was_away_is_not_called(
    upstream: Upstream, reach: Reach
) -> None:
    upstream.is_modern()
    link = await reach(ServerSpec(url=upstream.url))
    await link.call(permit(), timeout_s=5)
    changed: dict[str, Json] = {**ECHO, "description": "Now with more."}
    upstream.is_modern(changed)
    await link.definitions()
    with pytest.raises(ToolChanged):
        await link.call(permit(), timeout_s=5)
    await link.call(permit(changed), timeout_s=5)
    assert upstream.methods().count("tools/call") == 2


@pytest.mark.parametrize(
    "tools",
    [
        pytest.param({"tools": [ECHO, ECHO]}, id="two-of-a-name"),
        pytest.param({"tools": [{}]}, id="no-name"),
        pytest.param({"tools": ["echo"]}, id="no-object"),
        pytest.param({"tools": None}, id="no-list"),
        pytest.param({"tools": [], "nextCursor": 1}, id="cursor-no-text"),
        pytest.param({"tools": [], "nextCursor": "again"}, id="pages-without-end"),
        pytest.param({"tools": [{"name": str(n)} for n in range(1025)]}, id="too-many"),
    ],
)
async def test_a_list_of_tools_that_makes_no_sense_keeps_the_link_down(
    tools: dict[str, Json], upstream: Upstream, equipment: Equipment
) -> None:
    upstream.is_modern()
    upstream.behaviours["tools/list"] = says(lambda heard: answer(heard, tools))
    link = build_link("s", ServerSpec(url=upstream.url), equipment)
    await link.start()
    await eventually(lambda: link.trouble is not None)
    assert link.state == "down"
    with pytest.raises(LinkDown):
        await link.call(permit(), timeout_s=5)
    await link.close()


async def test_a_credential_that_is_missing_keeps_the_link_down(
    upstream: Upstream, equipment: Equipment
) -> None:
    spec = ServerSpec.model_validate({"url": upstream.url, "credential": {"bearer": "env:NO"}})
    link = build_link("s", spec, equipment)
    await link.start()
    await eventually(lambda: link.trouble is not None)
    assert link.trouble == "s: env:NO: nothing there"
    assert not upstream.heard
    await link.close()


@pytest.mark.parametrize("session", ["", "a b", "x" * 1025, "\u00e9"])
async def test_a_session_id_that_is_no_plain_text_is_refused(
    session: str, upstream: Upstream, equipment: Equipment
) -> None:
    upstream.is_legacy(session=session)
    link = build_link("s", ServerSpec(url=upstream.url), equipment)
    await link.start()
    await eventually(lambda: link.trouble is not None)
    assert "session id" in str(link.trouble)
    await link.close()


@pytest.mark.parametrize(
    ("session", "up"),
    [pytest.param("abc", False, id="session"), pytest.param(None, True, id="none")],
)
async def test_callers_with_tokens_of_their_own_share_no_session_of_a_server(
    session: str | None, up: bool, upstream: Upstream, equipment: Equipment
) -> None:
    upstream.is_legacy(session=session)
    async with issuer() as idp:
        idp.secrets["gw"] = "secret-of-token"
        exchange = {"issuer": idp.url, "client": "gw", "secret": "env:TOKEN"}
        spec = {"url": upstream.url, "credential": {"token_exchange": exchange}}
        link = build_link("s", ServerSpec.model_validate(spec), equipment)
        await link.start()
        await eventually(lambda: link.state == "up" or link.trouble is not None)
        assert (link.state == "up") is up
        assert ("cannot share" in str(link.trouble)) is not up
        await link.close()

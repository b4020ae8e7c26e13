"""MCP 2026-07-28: what is answered, and what is refused."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson
import pytest

from audit.entry import Receipt
from gateway.action import Outcome, Status
from gateway.faces.http import Headers

if TYPE_CHECKING:
    from tests.gateway.faces.conftest import Agent, GateDouble

Value: TypeAlias = Any  # JSON whose shape is what a test is about

MODERN = "2026-07-28"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
META: dict[str, Any] = {VERSION_KEY: MODERN, CAPABILITIES_KEY: {}}
CALL: dict[str, Any] = {"name": "ledger__pay", "arguments": {"amount": 40, "to": "acc-1"}}


async def test_discovery_offers_tools_and_nothing_else(agent: Agent) -> None:
    result = (await agent.modern("server/discover")).body["result"]
    assert result["supportedVersions"][0] == MODERN
    assert result["capabilities"] == {"tools": {}}
    assert result["resultType"] == "complete"
    assert result["cacheScope"] == "private"
    assert result["ttlMs"] <= 10_000
    identity = result["_meta"]["io.modelcontextprotocol/serverInfo"]
    assert identity == {"name": "passavant", "version": "0.1.0"}


async def test_the_list_holds_published_names_in_order_and_definitions_unchanged(
    agent: Agent, gate: GateDouble
) -> None:
    result = (await agent.modern("tools/list")).body["result"]
    names = [tool["name"] for tool in result["tools"]]
    assert names == ["git__git_log", "ledger__book", "ledger__pay", "ledger__refund", "short"]
    assert (result["resultType"], result["cacheScope"]) == ("complete", "private")
    originals = {tool.published: dict(tool.definition) for tool in gate.tools}
    for tool in result["tools"]:
        assert tool == {**originals[tool["name"]], "name": tool["name"]}


async def test_one_server_is_listed_under_its_own_names(agent: Agent, gate: GateDouble) -> None:
    result = (await agent.of(path="/mcp/ledger").modern("tools/list")).body["result"]
    listed = sorted(
        (dict(tool.definition) for tool in gate.tools if tool.server == "ledger"),
        key=lambda definition: str(definition["name"]),
    )
    assert result["tools"] == listed


async def test_what_a_caller_may_not_see_is_not_listed(agent: Agent) -> None:
    answered = await agent.of(token=b"stranger").modern("tools/list")
    assert answered.body["result"]["tools"] == []


@pytest.mark.parametrize("method", ["tools/list", "server/discover"])
async def test_a_server_unknown_and_one_not_permitted_are_answered_alike(
    agent: Agent, gate: GateDouble, method: str
) -> None:
    unknown = await agent.of(path="/mcp/nosuch").modern(method)
    forbidden = await agent.of(path="/mcp/ledger", token=b"stranger").modern(method)
    assert (unknown.status, unknown.error["data"]["code"]) == (404, "server.unknown")
    for answered in (unknown, forbidden):
        message = answered.error.pop("message")
        assert message.replace("nosuch", "ledger") == "no server ledger offers you any tool now"
    assert gate.refused == [("clerk", "server.unknown"), ("stranger", "server.unknown")]


async def test_a_cursor_that_was_not_given_out_is_refused(agent: Agent, gate: GateDouble) -> None:
    answered = await agent.modern("tools/list", {"cursor": "page-2"})
    assert (answered.status, answered.error["code"]) == (400, -32602)
    assert gate.refused == [("clerk", "request.malformed")]
    assert (await agent.modern("tools/list", {"cursor": None})).status == 200


async def test_an_action_is_made_of_the_body_and_nothing_else(
    agent: Agent, gate: GateDouble
) -> None:
    meta = {**META, "progressToken": 7, "baggage": "role=admin", "traceparent": "spoof"}
    await agent.modern("tools/call", CALL, meta=meta)
    [action] = gate.crossed
    assert (action.server, action.tool, action.args) == ("ledger", "pay", CALL["arguments"])
    assert (action.face, action.request_id) == ("mcp/2026-07-28", "request-1")
    assert (action.trace, action.source) == (None, "127.0.0.1:40001")
    assert gate.by[0].agent == "clerk"


async def test_an_action_keeps_the_trace_id_for_finding(agent: Agent, gate: GateDouble) -> None:
    parent = b"00-" + b"a1" * 16 + b"-" + b"b2" * 8 + b"-01"
    await agent.modern("tools/call", CALL, headers=[(b"traceparent", parent)])
    assert gate.crossed[0].trace == "a1" * 16


@pytest.mark.parametrize("path", ["/mcp/ledger", "/mcp/ledger/"])
async def test_one_server_is_called_by_its_own_names(
    agent: Agent, gate: GateDouble, path: str
) -> None:
    await agent.of(path=path).modern("tools/call", {"name": "pay"})
    [action] = gate.crossed
    assert (action.server, action.tool, action.args) == ("ledger", "pay", {})


@pytest.mark.parametrize(
    ("path", "name", "reached"),
    [
        pytest.param("/mcp", "ledger__fly", ("ledger", "fly"), id="no-such-tool"),
        pytest.param("/mcp", "pay", ("", "pay"), id="own-name-on-the-common-endpoint"),
        pytest.param("/mcp", "ledger.pay", ("", "ledger.pay"), id="policy-spelling"),
        pytest.param("/mcp", "ledger__pаy", ("ledger", "pаy"), id="cyrillic-a"),
        pytest.param("/mcp", "Ledger__Pay", ("Ledger", "Pay"), id="another-case"),
        pytest.param("/mcp", "ledger__pay ", ("ledger", "pay "), id="trailing-space"),
        pytest.param("/mcp", "ledger__git__git_log", ("ledger", "git__git_log"), id="two-servers"),
        pytest.param("/mcp/git", "pay", ("git", "pay"), id="another-servers-tool"),
        pytest.param("/mcp/ledger", "ledger__pay", ("ledger", "ledger__pay"), id="published"),
        pytest.param("/mcp/nosuch", "pay", ("nosuch", "pay"), id="no-such-server"),
    ],
)
async def test_a_name_that_is_none_reaches_the_gate_as_such(
    agent: Agent, gate: GateDouble, path: str, name: str, reached: tuple[str, str]
) -> None:
    encoded = b"=?base64?" + base64.b64encode(name.encode()) + b"?="
    headers = [(b"mcp-name", encoded)]
    await agent.of(path=path).modern("tools/call", {"name": name}, headers=headers)
    [action] = gate.crossed
    assert (action.server, action.tool) == reached
    assert all((tool.server, tool.name) != reached for tool in gate.tools)


async def test_t70_the_gate_is_told_the_name_that_was_called(
    agent: Agent, gate: GateDouble
) -> None:
    for name in ("ledger__pay", "ledger__fly", "short", "brief"):
        await agent.modern("tools/call", {"name": name})
    assert [(action.server, action.tool, action.called) for action in gate.crossed] == [
        ("ledger", "pay", "ledger__pay"),
        ("ledger", "fly", "ledger__fly"),
        ("ledger", "a_long_name", "short"),
        ("", "brief", "brief"),
    ]


async def test_a_result_comes_back_equal_as_json(agent: Agent, gate: GateDouble) -> None:
    answered = await agent.modern("tools/call", CALL)
    assert gate.outcome.result is not None
    result = json.loads(answered.raw)["result"]
    assert result == {"resultType": "complete", **gate.outcome.result}
    assert type(result["content"][1]["depth"]) is float
    assert result["structuredContent"]["paid"] == 2**70


async def test_a_result_that_names_its_type_keeps_it(agent: Agent, gate: GateDouble) -> None:
    gate.outcome = Outcome("done", None, "", {"content": [], "resultType": "complete"})
    assert (await agent.modern("tools/call", CALL)).body["result"] == {
        "content": [],
        "resultType": "complete",
    }


async def test_a_recorded_call_answers_with_its_receipt(agent: Agent, gate: GateDouble) -> None:
    answered = await agent.modern("tools/call", CALL)
    receipt = "passavant/node-1;41;" + bytes(range(32)).hex()
    assert answered.headers["audit-receipt"] == receipt
    gate.outcome = Outcome("denied", "policy.denied", "Denied.")
    assert "audit-receipt" not in (await agent.modern("tools/call", CALL)).headers


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("denied", "policy.denied"),
        ("denied", "limit:payments"),
        ("refused", "args.invalid"),
        ("unknown", "upstream.timeout"),
        ("unavailable", "audit_unavailable"),
    ],
)
async def test_a_call_that_was_not_made_is_an_ordinary_result_that_says_so(
    agent: Agent, gate: GateDouble, status: Status, code: str
) -> None:
    gate.outcome = Outcome(status, code, "Why, in a sentence.", receipt=Receipt("o", 1, bytes(32)))
    answered = await agent.modern("tools/call", CALL)
    assert answered.status == 200
    assert answered.body["result"] == {
        "resultType": "complete",
        "content": [{"type": "text", "text": "Why, in a sentence."}],
        "isError": True,
        "_meta": {"passavant/status": status, "passavant/code": code},
    }


async def test_a_pending_approval_names_its_request(agent: Agent, gate: GateDouble) -> None:
    gate.outcome = Outcome(
        "pending", "approval.pending", "Wait.", approval="request-7", expires=1_795_154_745
    )
    result = (await agent.modern("tools/call", CALL)).body["result"]
    assert result["isError"] is True
    assert "structuredContent" not in result
    assert result["_meta"]["passavant/approval"] == "request-7"
    assert result["_meta"]["passavant/expires"] == 1_795_154_745


async def test_a_session_id_is_neither_minted_nor_looked_at(agent: Agent, gate: GateDouble) -> None:
    answered = await agent.modern("tools/call", CALL, headers=[(b"mcp-session-id", b"stolen")])
    assert answered.status == 200
    assert "mcp-session-id" not in answered.headers
    assert len(gate.crossed) == 1


async def test_there_is_no_session_to_end(agent: Agent) -> None:
    headers = [(b"mcp-protocol-version", MODERN.encode()), (b"mcp-session-id", b"any")]
    answered = await agent.send(headers=headers, method="DELETE")
    assert (answered.status, answered.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "method",
    [
        "resources/list",
        "resources/templates/list",
        "prompts/list",
        "completion/complete",
        "sampling/createMessage",
        "elicitation/create",
        "roots/list",
        "tasks/get",
        "tasks/cancel",
        "tasks/update",
        "logging/setLevel",
        "subscriptions/listen",
        "initialize",
        "ping",
        "tools/call2",
        "Tools/Call",
        "__class__",
    ],
)
async def test_every_method_but_those_of_tools_is_unknown(
    agent: Agent, gate: GateDouble, method: str
) -> None:
    answered = await agent.modern(method, {"arguments": {}})
    assert (answered.status, answered.error["code"]) == (404, -32601)
    assert answered.error["data"] == {"code": "request.unknown_method"}
    assert answered.body["id"] == 1
    assert gate.refused == [("clerk", "request.unknown_method")]
    assert not gate.crossed


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([(b"mcp-method", b"tools/list")], id="another-method"),
        pytest.param([(b"mcp-method", b"Tools/call")], id="method-in-another-case"),
        pytest.param([(b"mcp-name", b"git__git_log")], id="another-name"),
        pytest.param([(b"mcp-name", b"ledger__pay,x")], id="two-names"),
        pytest.param([(b"mcp-name", b"=?base64?bGVkZ2VyX19wYXl?=")], id="broken-base64"),
        pytest.param([(b"mcp-name", b"=?base64?bGVkZ2VyX19wYXk?=")], id="unpadded-base64"),
        pytest.param([(b"mcp-name", b"=?base64?/////w==?=")], id="base64-of-no-text"),
        pytest.param([(b"mcp-name", b"=?base64?bGVkZ2\xe9yX19wYXk=?=")], id="no-base64-letter"),
        pytest.param([(b"mcp-name", b"ledger__p\xc3\xa4y")], id="raw-bytes"),
        pytest.param([(b"mcp-protocol-version", b"2025-11-25")], id="an-earlier-version"),
        pytest.param([(b"mcp-protocol-version", b"2027-01-01")], id="a-later-version"),
        pytest.param([(b"mcp-protocol-version", b"")], id="empty-version"),
    ],
)
async def test_headers_that_say_something_else_are_refused(
    agent: Agent, gate: GateDouble, headers: Headers
) -> None:
    answered = await agent.modern("tools/call", CALL, headers=headers)
    assert (answered.status, answered.error["code"]) == (400, -32020)
    assert gate.refused == [("clerk", "request.mismatch")]
    assert not gate.crossed


@pytest.mark.parametrize("name", [b"mcp-method", b"mcp-name", b"mcp-protocol-version"])
async def test_a_header_that_proxies_route_by_may_not_be_missing(
    agent: Agent, gate: GateDouble, name: bytes
) -> None:
    answered = await agent.modern("tools/call", CALL, drop=[name])
    assert (answered.status, answered.error["code"]) == (400, -32020)
    assert not gate.crossed


async def test_a_version_that_is_empty_agrees_with_no_header_that_is_missing(
    agent: Agent, gate: GateDouble
) -> None:
    meta = {**META, VERSION_KEY: ""}
    answered = await agent.modern("tools/call", CALL, meta=meta, drop=[b"mcp-protocol-version"])
    assert (answered.status, answered.error["code"]) == (400, -32020)
    assert not gate.crossed


@pytest.mark.parametrize("name", [b"=?base64?bGVkZ2VyX19wYXk=?=", b" \tledger__pay \t"])
async def test_an_encoded_or_padded_name_is_the_name(
    agent: Agent, gate: GateDouble, name: bytes
) -> None:
    headers = [(b"mcp-name", name)]
    assert (await agent.modern("tools/call", CALL, headers=headers)).status == 200
    assert len(gate.crossed) == 1


async def test_an_unknown_version_is_told_which_are_known(agent: Agent, gate: GateDouble) -> None:
    meta = {**META, VERSION_KEY: "2027-01-01"}
    headers = [(b"mcp-protocol-version", b"2027-01-01")]
    answered = await agent.modern("tools/call", CALL, meta=meta, headers=headers)
    assert (answered.status, answered.error["code"]) == (400, -32022)
    data = answered.error["data"]
    assert data["requested"] == "2027-01-01"
    assert data["supported"] == [MODERN, "2025-11-25", "2025-06-18", "2025-03-26"]
    assert gate.refused == [("clerk", "request.version")]


@pytest.mark.parametrize(
    "meta",
    [
        pytest.param(None, id="null"),
        pytest.param([], id="list"),
        pytest.param({}, id="empty"),
        pytest.param({VERSION_KEY: MODERN}, id="no-capabilities"),
        pytest.param({VERSION_KEY: MODERN, CAPABILITIES_KEY: []}, id="capabilities-list"),
        pytest.param({CAPABILITIES_KEY: {}}, id="no-version"),
        pytest.param({**META, VERSION_KEY: None}, id="null-version"),
        pytest.param({**META, VERSION_KEY: 20260728}, id="version-number"),
    ],
)
async def test_a_request_must_state_version_and_capabilities(
    agent: Agent, gate: GateDouble, meta: Value
) -> None:
    answered = await agent.modern("tools/call", CALL, meta=meta)
    assert (answered.status, answered.error["code"]) == (400, -32602)
    assert not gate.crossed


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({}, id="no-name"),
        pytest.param({"name": None}, id="null-name"),
        pytest.param({"name": 7}, id="number-name"),
        pytest.param({"name": ["ledger__pay"]}, id="list-name"),
        pytest.param({"name": ""}, id="empty-name"),
        pytest.param({"name": "x" * 129}, id="long-name"),
        pytest.param({"Name": "ledger__pay"}, id="name-in-another-case"),
        pytest.param({**CALL, "Name": "git__git_log"}, id="two-names"),
        pytest.param({**CALL, "Arguments": {}}, id="two-arguments"),
        pytest.param({"name": "ledger__pay", "arguments": []}, id="list-arguments"),
        pytest.param({"name": "ledger__pay", "arguments": "{}"}, id="text-arguments"),
        pytest.param({"name": "ledger__pay", "arguments": 0}, id="number-arguments"),
        pytest.param({**CALL, "requestState": "sealed"}, id="state-that-was-not-given-out"),
        pytest.param({**CALL, "inputResponses": {}}, id="answers-to-no-question"),
    ],
)
async def test_a_call_of_another_shape_is_refused(
    agent: Agent, gate: GateDouble, params: dict[str, Any]
) -> None:
    answered = await agent.modern("tools/call", params)
    assert answered.status == 400
    assert answered.error["code"] in {-32602, -32020}
    assert gate.refused[0][1] in {"request.malformed", "request.mismatch"}
    assert not gate.crossed


async def test_a_notification_is_taken_and_does_nothing(agent: Agent, gate: GateDouble) -> None:
    body = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    headers = [(b"mcp-protocol-version", MODERN.encode())]
    answered = await agent.send(orjson.dumps(body), headers)
    assert (answered.status, answered.raw) == (202, b"")
    assert not gate.refused


async def test_a_notification_of_an_unknown_version_is_refused(
    agent: Agent, gate: GateDouble
) -> None:
    body = {"jsonrpc": "2.0", "method": "notifications/cancelled"}
    answered = await agent.send(orjson.dumps(body), [(b"mcp-protocol-version", b"1999-01-01")])
    assert (answered.status, answered.error["code"]) == (400, -32022)


class TestMirroredArguments:
    """Arguments that the schema marks with `x-mcp-header`."""

    ARGUMENTS: dict[str, Any] = {"region": "eu", "limit": {"amount": 60}}  # noqa: RUF012
    AGREEING: Headers = [(b"mcp-param-region", b"eu"), (b"mcp-param-limit-amount", b"60")]  # noqa: RUF012

    async def book(self, agent: Agent, arguments: Value, headers: Headers) -> Value:
        params = {"name": "ledger__book", "arguments": arguments}
        return await agent.modern("tools/call", params, headers=headers)

    async def test_agreeing_headers_pass(self, agent: Agent, gate: GateDouble) -> None:
        assert (await self.book(agent, self.ARGUMENTS, self.AGREEING)).status == 200
        assert gate.crossed[0].args == self.ARGUMENTS

    async def test_neither_header_nor_argument_is_agreement(self, agent: Agent) -> None:
        assert (await self.book(agent, {"plain": "x"}, [])).status == 200
        assert (await self.book(agent, {"region": None}, [])).status == 200

    async def test_a_fraction_of_nothing_is_the_same_number(self, agent: Agent) -> None:
        headers = [(b"mcp-param-limit-amount", b"60.0")]
        assert (await self.book(agent, {"limit": {"amount": 60.0}}, headers)).status == 200

    async def test_headers_for_unmarked_arguments_are_not_looked_at(self, agent: Agent) -> None:
        headers = [(b"mcp-param-plain", b"y")]
        assert (await self.book(agent, {"plain": "x"}, headers)).status == 200

    @pytest.mark.parametrize(
        ("arguments", "headers"),
        [
            pytest.param({"region": "eu"}, [], id="header-missing"),
            pytest.param({}, [(b"mcp-param-region", b"eu")], id="argument-missing"),
            pytest.param({"region": "eu"}, [(b"mcp-param-region", b"us")], id="another-value"),
            pytest.param({"region": "eu"}, [(b"mcp-param-region", b"EU")], id="another-case"),
            pytest.param(
                {"region": "eu"},
                [(b"mcp-param-region", b"eu"), (b"mcp-param-region", b"us")],
                id="twice",
            ),
            pytest.param(
                {"limit": {"amount": 60}}, [(b"mcp-param-limit-amount", b"61")], id="nested"
            ),
            pytest.param(
                {"limit": {"amount": 60}}, [(b"mcp-param-limit-amount", b"6e1")], id="exponent"
            ),
            pytest.param({"limit": 60}, [(b"mcp-param-limit-amount", b"60")], id="no-object"),
            pytest.param({"region": ["eu"]}, [(b"mcp-param-region", b"eu")], id="list"),
            pytest.param(
                {"region": "eu"}, [(b"mcp-param-region", b"=?base64?Z?=")], id="broken-base64"
            ),
        ],
    )
    async def test_disagreeing_headers_are_refused(
        self, agent: Agent, gate: GateDouble, arguments: Value, headers: Headers
    ) -> None:
        answered = await self.book(agent, arguments, headers)
        assert (answered.status, answered.error["code"]) == (400, -32020)
        assert gate.refused == [("clerk", "request.mismatch")]
        assert not gate.crossed

    async def test_to_whom_may_not_see_a_tool_its_marks_are_not_shown(
        self, agent: Agent, gate: GateDouble
    ) -> None:
        stranger = agent.of(token=b"stranger")
        assert (await self.book(stranger, {"region": "eu"}, [])).status == 200
        assert len(gate.crossed) == 1  # where it is denied like any unknown tool

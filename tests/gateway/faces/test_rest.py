"""Plain REST: the same calls, with HTTP statuses and problem details."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.action import Outcome, Status

if TYPE_CHECKING:
    from tests.gateway.faces.conftest import Agent, GateDouble

Document: TypeAlias = Any  # an OpenAPI document


async def test_the_body_is_the_arguments(caller: Agent, gate: GateDouble) -> None:
    answered = await caller.send(b'{"amount":40.0,"to":"acc-1"}')
    assert answered.status == 200
    [action] = gate.crossed
    assert (action.server, action.tool, action.face) == ("ledger", "pay", "rest")
    assert action.args == {"amount": 40, "to": "acc-1"}
    assert type(action.args["amount"]) is int
    assert (action.request_id, action.source) == ("request-1", "127.0.0.1:40001")


async def test_the_answer_is_the_result_as_it_came(caller: Agent, gate: GateDouble) -> None:
    answered = await caller.send(b"{}")
    assert json.loads(answered.raw) == gate.outcome.result
    assert answered.headers["content-type"] == "application/json"
    assert answered.headers["audit-receipt"] == "passavant/node-1;41;" + bytes(range(32)).hex()
    assert gate.answered == ["call-1"]


async def test_a_tool_that_says_it_failed_was_called_all_the_same(
    caller: Agent, gate: GateDouble
) -> None:
    gate.outcome = Outcome("error", None, "", {"content": [], "isError": True})
    answered = await caller.send(b"{}")
    assert (answered.status, answered.body) == (200, {"content": [], "isError": True})


@pytest.mark.parametrize(
    ("outcome", "code", "status"),
    [
        ("denied", "policy.denied", 403),
        ("denied", "limit:payments", 429),
        ("denied", "approval.denied", 403),
        ("refused", "args.invalid", 422),
        ("refused", "args.unknown_field", 422),
        ("refused", "tool.changed", 409),
        ("refused", "policy.changed", 409),
        ("refused", "session.ended", 403),
        ("unavailable", "audit_unavailable", 503),
        ("unavailable", "upstream.down", 503),
        ("unknown", "upstream.timeout", 504),
        ("unknown", "upstream.garbage", 502),
        ("unknown", "upstream.unknown_outcome", 502),
        ("unknown", "upstream.unheard", 502),
        ("refused", "something.new", 400),
    ],
)
async def test_what_was_not_done_is_a_problem_with_the_status_of_its_code(
    caller: Agent, gate: GateDouble, outcome: Status, code: str, status: int
) -> None:
    gate.outcome = Outcome(outcome, code, "Why, in a sentence.")
    answered = await caller.send(b"{}")
    assert answered.status == status
    assert answered.headers["content-type"] == "application/problem+json"
    assert answered.body["status"] == status
    assert answered.body["code"] == code
    assert answered.body["type"] == f"urn:passavant:problem:{code}"
    assert answered.body["detail"] == "Why, in a sentence."
    assert answered.body["title"]


async def test_a_pending_approval_says_where_to_look(caller: Agent, gate: GateDouble) -> None:
    gate.outcome = Outcome("pending", "approval.pending", "Wait.", approval="r-7", expires=9)
    answered = await caller.send(b"{}")
    assert (answered.status, answered.headers["location"]) == (202, "/v1/approvals/r-7")
    assert (answered.body["approval"], answered.body["expires"]) == ("r-7", 9)


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        pytest.param(b"", 400, "request.malformed", id="empty"),
        pytest.param(b"[]", 400, "request.malformed", id="list"),
        pytest.param(b'"{}"', 400, "request.malformed", id="text"),
        pytest.param(b"null", 400, "request.malformed", id="null"),
        pytest.param(b'{"a":1,"a":2}', 400, "request.malformed", id="duplicate"),
        pytest.param(b'{"a":NaN}', 400, "request.malformed", id="nan"),
        pytest.param(b"{} {}", 400, "request.malformed", id="trailing"),
        pytest.param(b'{"a":"\xff"}', 400, "request.malformed", id="utf-8"),
        pytest.param(b'{"a":' * 65 + b"1" + b"}" * 65, 400, "request.too_deep", id="deep"),
        pytest.param(b" " * (4 << 20) + b"{}", 413, "request.too_large", id="large"),
    ],
)
async def test_a_body_that_is_no_object_is_refused(
    caller: Agent, gate: GateDouble, raw: bytes, status: int, code: str
) -> None:
    answered = await caller.send(raw)
    assert (answered.status, answered.body["code"]) == (status, code)
    assert gate.refused == [("clerk", code)]
    assert not gate.crossed


@pytest.mark.parametrize(
    "path",
    [
        "/v1/tools",
        "/v1/tools/ledger",
        "/v1/tools/ledger/",
        "/v1/tools/ledger/pay/",
        "/v1/tools/ledger/pay/x",
        "/v1/tools/Ledger/pay",
        "/v1/tools/ledger/p ay",
        "/v1/tools/ledger/p\ny",
        "/v1/tools/ledger/" + "x" * 129,
        "/v1/tools//pay",
        "/v1/approvals/r-7",
        "/v1/openapi.json/",
        "/v2/tools/ledger/pay",
    ],
)
async def test_there_is_nothing_beside_the_endpoints(
    caller: Agent, gate: GateDouble, path: str
) -> None:
    answered = await caller.of(path=path).send(b"{}")
    assert (answered.status, answered.body["code"]) == (404, "request.path")
    assert not gate.crossed


async def test_a_path_is_no_way_out_of_its_server(caller: Agent, gate: GateDouble) -> None:
    await caller.of(path="/v1/tools/ledger/..").send(b"{}")
    [action] = gate.crossed
    assert (action.server, action.tool) == ("ledger", "..")  # a name like any: there is none


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_a_call_is_a_post(caller: Agent, gate: GateDouble, method: str) -> None:
    answered = await caller.send(b"{}", method=method)
    assert (answered.status, answered.headers["allow"]) == (405, "POST")
    assert not gate.crossed


async def test_without_a_token_the_answer_says_where_to_ask_for_one(
    caller: Agent, gate: GateDouble
) -> None:
    for path in (caller.path, "/v1/openapi.json"):
        answered = await caller.of(token=None, path=path).send(b"{}")
        assert answered.status == 401
        where = '"http://127.0.0.1:7300/.well-known/oauth-protected-resource/v1"'
        assert answered.headers["www-authenticate"] == f"Bearer resource_metadata={where}"
    assert gate.refused == [(None, "auth.missing")] * 2


@pytest.mark.parametrize("drop", [b"host", b"content-type"])
async def test_the_edge_is_the_same_as_of_mcp(caller: Agent, gate: GateDouble, drop: bytes) -> None:
    assert (await caller.send(b"{}", drop=[drop])).status in {403, 415}
    assert not gate.crossed


@given(raw=st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_body_makes_the_face_fail_and_only_an_object_crosses(
    caller: Agent, gate: GateDouble, raw: bytes
) -> None:
    crossed = len(gate.crossed)
    answered = await caller.send(raw)
    assert answered.status in {200, 400}
    if answered.status == 200:
        assert gate.crossed[-1].args == json.loads(raw)
    else:
        assert len(gate.crossed) == crossed


class TestOpenapi:
    """`GET /v1/openapi.json`."""

    async def document(self, caller: Agent) -> Document:
        answered = await caller.of(path="/v1/openapi.json").send(method="GET")
        assert answered.status == 200
        return answered.body

    async def test_it_describes_the_callers_tools_and_their_schemas(
        self, caller: Agent, gate: GateDouble
    ) -> None:
        document = await self.document(caller)
        assert document["openapi"] == "3.1.0"
        assert document["servers"] == [{"url": "http://127.0.0.1:7300"}]
        assert len(document["paths"]) == len(gate.tools)
        pay = document["paths"]["/v1/tools/ledger/pay"]["post"]
        assert (pay["operationId"], pay["summary"]) == ("ledger__pay", "Pay")
        schema = pay["requestBody"]["content"]["application/json"]["schema"]
        assert schema == {"type": "object", "properties": {}}

    async def test_it_is_a_get(self, caller: Agent) -> None:
        answered = await caller.of(path="/v1/openapi.json").send(b"{}")
        assert (answered.status, answered.headers["allow"]) == (405, "GET")

    async def test_what_a_caller_may_not_see_is_not_described(self, caller: Agent) -> None:
        assert (await self.document(caller.of(token=b"stranger")))["paths"] == {}

    async def test_references_within_a_schema_still_lead_into_it(
        self, caller: Agent, gate: GateDouble
    ) -> None:
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/a"}},
            "$defs": {"a": {"type": "string"}},
        }
        changed = gate.tools[0]
        definition = {**changed.definition, "inputSchema": schema}
        gate.tools = (type(changed)("ledger", "x", "ledger__x", definition, "pin-of-x"),)
        post = (await self.document(caller))["paths"]["/v1/tools/ledger/x"]["post"]
        found = post["requestBody"]["content"]["application/json"]["schema"]
        assert found == {"$id": "urn:passavant:schema:pin-of-x", **schema}
        definition["inputSchema"] = {**schema, "$id": "https://example.com/own"}
        post = (await self.document(caller))["paths"]["/v1/tools/ledger/x"]["post"]
        found = post["requestBody"]["content"]["application/json"]["schema"]
        assert found["$id"] == "https://example.com/own"

    async def test_every_reference_of_the_document_has_its_target(self, caller: Agent) -> None:
        document = await self.document(caller)
        text = orjson.dumps(document).decode()
        for name in ("CallToolResult", "Problem"):
            assert f'"#/components/schemas/{name}"' in text
            assert name in document["components"]["schemas"]

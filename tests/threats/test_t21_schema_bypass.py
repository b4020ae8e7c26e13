"""T21: arguments are what the pinned schema says, at every depth, and nothing beside."""

import json
from typing import Any

import pytest

from audit.canonical import Json
from tests.harness.agent import LEGACY, MODERN, WAYS, Agent
from tests.harness.gateway import Running
from tests.harness.policy import HEAD
from tests.harness.upstream import TOOLS as DESK_TOOLS
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADDRESS: dict[str, Json] = {
    "type": "object",
    "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
    "required": ["city"],
}
ORDER: dict[str, Json] = {
    "name": "order",
    "inputSchema": {
        "type": "object",
        "properties": {
            "to": {"type": "string", "maxLength": 20, "pattern": "^[a-z]+$"},
            "kind": {"enum": ["small", "large"]},
            "address": {"$ref": "#/$defs/address"},
            "lines": {
                "type": "array",
                "maxItems": 3,
                "items": {"type": "object", "properties": {"of": {"type": "integer"}}},
            },
            "way": {
                "oneOf": [
                    {
                        "type": "object",
                        "properties": {"mail": {"type": "string"}},
                        "required": ["mail"],
                    },
                    {
                        "type": "object",
                        "properties": {"call": {"type": "string"}},
                        "required": ["call"],
                    },
                ]
            },
            "extra": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
        "required": ["to"],
        "$defs": {"address": ADDRESS},
    },
}
DRAFT_7: dict[str, Json] = {
    "name": "older",
    "inputSchema": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"address": {"$ref": "#/definitions/address"}, "to": {"type": "string"}},
        "definitions": {"address": ADDRESS},
    },
}
BARE: dict[str, Json] = {"name": "bare", "inputSchema": {"type": "object"}}
TOOLS = (*DESK_TOOLS, ORDER, DRAFT_7, BARE)
POLICY = (
    HEAD
    + """\
tools:
  desk.order: {risk: write, emits: []}
  desk.older: {risk: write, emits: []}
  desk.bare: {risk: write, emits: []}
  desk.send: {risk: write, emits: []}
rules:
  - {id: all, roles: [clerk], tools: [desk.order, desk.older, desk.bare, desk.send], effect: allow}
"""
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("tool", "args"),
    [
        pytest.param("desk.send", {"to": "a", "bcc": "mallory"}, id="top"),
        pytest.param("desk.send", {"to": "a", "_meta": {}}, id="member-of-the-protocol"),
        pytest.param(
            "desk.send", {"to": "a", "_policy": "allow", "role": "admin"}, id="member-of-ours"
        ),
        pytest.param("desk.send", {"to": "a", "__proto__": {}}, id="prototype"),
        pytest.param("desk.send", {"to": "a", "": 1}, id="empty-name"),
        pytest.param(
            "desk.send", {"to": "a", "options": {"urgent": True, "bcc": "m"}}, id="nested"
        ),
        pytest.param(
            "desk.send",
            {"to": "a", "copies": [{"to": "b"}, {"to": "c", "bcc": "m"}]},
            id="in-a-list",
        ),
        pytest.param(
            "desk.order", {"to": "a", "address": {"city": "x", "bcc": "m"}}, id="behind-a-reference"
        ),
        pytest.param("desk.order", {"to": "a", "lines": [{"of": 1, "bcc": "m"}]}, id="in-a-line"),
        pytest.param("desk.older", {"to": "a", "bcc": "m"}, id="top-of-an-older-draft"),
        pytest.param(
            "desk.older", {"address": {"city": "x", "bcc": "m"}}, id="nested-in-an-older-draft"
        ),
        pytest.param("desk.bare", {"anything": 1}, id="where-the-schema-lists-nothing"),
    ],
)
async def test_t21_a_field_that_is_not_in_the_schema_is_refused_and_recorded(
    gateway: Running, upstream: Desk, clerk: Agent, way: str, tool: str, args: dict[str, Any]
) -> None:
    answered = await clerk.by(way).call(tool, **args)
    assert answered.code == "args.unknown_field"
    assert upstream.calls == []
    (entry,) = gateway.entries("refusal", of=clerk)
    assert (entry["code"], entry["tool"]["name"]) == ("args.unknown_field", tool)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "args",
    [
        pytest.param({}, id="required-missing"),
        pytest.param({"to": None}, id="null"),
        pytest.param({"to": 1}, id="number-for-text"),
        pytest.param({"to": ["a"]}, id="list-for-text"),
        pytest.param({"to": "a" * 21}, id="too-long"),
        pytest.param({"to": "A"}, id="not-the-pattern"),
        pytest.param({"to": "a\n"}, id="line-end-after-the-pattern"),
        pytest.param({"to": "a\nB"}, id="second-line-beside-the-pattern"),
        pytest.param({"to": "a", "kind": "LARGE"}, id="not-in-the-list"),
        pytest.param({"to": "a", "kind": ["small"]}, id="list-of-one-of-the-list"),
        pytest.param({"to": "a", "address": {}}, id="nested-required-missing"),
        pytest.param({"to": "a", "address": "x"}, id="text-for-an-object"),
        pytest.param({"to": "a", "lines": [{"of": "1"}]}, id="nested-text-for-a-number"),
        pytest.param({"to": "a", "lines": [{"of": 1.5}]}, id="fraction-for-an-integer"),
        pytest.param({"to": "a", "lines": [{"of": True}]}, id="truth-for-an-integer"),
        pytest.param({"to": "a", "lines": [{}] * 4}, id="too-many"),
        pytest.param({"to": "a", "lines": {"0": {"of": 1}}}, id="object-for-a-list"),
        pytest.param({"to": "a", "way": {"mail": "x", "call": "y"}}, id="both-of-one-or-the-other"),
        pytest.param({"to": "a", "way": {}}, id="neither-of-one-or-the-other"),
        pytest.param({"to": "a", "extra": {"x": "1"}}, id="open-object-of-another-type"),
    ],
)
async def test_t21_a_value_of_another_kind_is_refused_and_recorded(
    gateway: Running, upstream: Desk, clerk: Agent, way: str, args: dict[str, Any]
) -> None:
    answered = await clerk.by(way).call("desk.order", **args)
    assert answered.code is not None
    assert answered.code.startswith("args.")
    assert upstream.calls == []
    (entry,) = gateway.entries("refusal", of=clerk)
    assert entry["code"] == answered.code


async def test_t21_what_fits_arrives_without_defaults_or_anything_else_added(
    upstream: Desk, clerk: Agent
) -> None:
    args = {
        "to": "a",
        "kind": "small",
        "address": {"city": "x"},
        "lines": [{"of": 1}, {}],
        "way": {"mail": "x"},
        "extra": {"anything": 1},
    }
    assert (await clerk.call("desk.order", **args)).done
    assert [call.args for call in upstream.calls] == [args]


@pytest.mark.parametrize("way", [MODERN, LEGACY])
async def test_t21_what_a_caller_sends_beside_the_arguments_does_not_travel(
    upstream: Desk, clerk: Agent, way: str
) -> None:
    agent = clerk.by(way)
    headers = {"baggage": "k=travels", "x-secret": "travels", "tracestate": "a=travels"}
    answered = await agent.rpc(
        "tools/call",
        {"name": "desk__send", "task": {"ttl": 1}, "_meta": {"progressToken": "travels"}},
        arguments=b'{"to":"a"}',
        headers=headers,
    )
    assert answered.done
    (heard,) = [h for h in upstream.heard if h.method == "tools/call"]
    assert b"travels" not in heard.body
    assert "travels" not in json.dumps(dict(heard.headers))


async def test_t21_the_message_says_where_and_never_repeats_the_value(clerk: Agent) -> None:
    answered = await clerk.call("desk.order", to="a", address={"city": 12, "street": "hunter2"})
    assert "/address/city" in answered.text
    assert "hunter2" not in answered.text
    assert "12" not in answered.text.split("Reference")[0]


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": "object", "$ref": "https://evil.test/schema.json"}, id="elsewhere"),
        pytest.param({"type": "object", "$ref": "file:///etc/passwd"}, id="on-disk"),
        pytest.param(
            {"type": "object", "properties": {"x": {"pattern": "(a+)+\\1$"}}},
            id="without-linear-form",
        ),
        pytest.param({"type": "string"}, id="no-object"),
        pytest.param({"type": "object", "properties": {"x": {"type": "nothing"}}}, id="broken"),
    ],
)
async def test_t21_a_tool_whose_schema_cannot_be_checked_against_is_not_accepted(
    gateway: Running, upstream: Desk, schema: dict[str, Json]
) -> None:
    upstream.offer(*TOOLS, {"name": "trap", "inputSchema": schema})
    try:
        await gateway.look_again("desk")
        shown = (await gateway.operate("GET", "/api/servers/desk/review")).json()
        (trap,) = [change for change in shown["changes"] if change["tool"] == "trap"]
        assert trap["refused"]
        refused = await gateway.operate(
            "POST", "/api/servers/desk/accept", {"digest": shown["digest"]}, check=False
        )
        assert refused.status_code == 400
    finally:
        upstream.offer(*TOOLS)
        await gateway.look_again("desk")

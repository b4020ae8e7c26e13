"""T13: a tool that may be used may be used only as far as its conditions go."""

from typing import Any

import pytest

from tests.harness.agent import MODERN, WAYS, Agent
from tests.harness.gateway import Running
from tests.harness.policy import HEAD
from tests.harness.upstream import TOOLS as DESK_TOOLS
from tests.harness.upstream import Desk, tool

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOOLS = (
    *DESK_TOOLS,
    tool("order", amount="number", to="string", code="string", express="boolean"),
    tool("browse", topic="string"),
)
POLICY = (
    HEAD.replace("agents:\n", "agents:\n  reader: {roles: [clerk], owner: team, max_risk: read}\n")
    + """\
tools:
  desk.order: {risk: write, emits: []}
  desk.browse: {risk: read, emits: [web]}
  desk.look: {risk: read, emits: []}
  desk.send: {risk: write, emits: []}
  desk.publish: {risk: write, emits: []}
guardrails:
  - id: no-way-out
    why: Text from the web steers nothing.
    tools: [desk.send]
    when: "'web' in labels"
rules:
  - id: orders
    roles: [clerk]
    tools: [desk.order]
    effect: allow
    when: "args.amount >= 1 && args.amount <= 100 && args.to in ['paper', 'coffee'] &&
      args.code.matches('^[a-z]{3}-[0-9]{2}$') && args.express == false"
  - {id: browses, roles: [clerk], tools: [desk.browse], effect: allow}
  - {id: sends-for-ana, roles: [clerk], tools: [desk.send], effect: allow, when: "user == 'ana'"}
  - {id: looks, roles: [clerk], tools: [desk.look], effect: allow, until: 2020-01-01}
  - {id: publishes, agents: [clerk-1], tools: [desk.publish], effect: allow}
"""
)
GOOD: dict[str, Any] = {"amount": 40, "to": "paper", "code": "abc-12", "express": False}


@pytest.mark.parametrize("way", WAYS)
async def test_t13_what_lies_inside_every_condition_passes(
    upstream: Desk, clerk: Agent, way: str
) -> None:
    assert (await clerk.by(way).call("desk.order", **GOOD)).done
    assert [call.args for call in upstream.calls] == [GOOD]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "outside",
    [
        pytest.param({"amount": 100.01}, id="above-the-range"),
        pytest.param({"amount": 0.99}, id="below-the-range"),
        pytest.param({"amount": -40}, id="negative"),
        pytest.param({"to": "mallory"}, id="not-in-the-set"),
        pytest.param({"to": ""}, id="nobody"),
        pytest.param({"to": "Paper"}, id="other-case"),
        pytest.param({"to": "paper "}, id="with-a-blank"),
        pytest.param({"code": "abc-123"}, id="longer-than-the-pattern"),
        pytest.param({"code": "xabc-12"}, id="before-the-pattern"),
        pytest.param({"code": "abc-12\nabc-12"}, id="two-lines-for-the-pattern"),
        pytest.param({"code": "abc-12\n"}, id="line-end-after-the-pattern"),
        pytest.param({"express": True}, id="other-value"),
    ],
)
async def test_t13_an_argument_outside_a_condition_is_denied_and_nothing_is_forwarded(
    gateway: Running, upstream: Desk, clerk: Agent, way: str, outside: dict[str, Any]
) -> None:
    answered = await clerk.by(way).call("desk.order", **{**GOOD, **outside})
    assert answered.code == "policy.denied"
    assert upstream.calls == []
    assert gateway.entry(answered.entry)["decision"]["effect"] == "deny"


@pytest.mark.parametrize("missing", GOOD)
async def test_t13_an_argument_that_a_condition_reads_and_that_is_missing_is_denied(
    upstream: Desk, clerk: Agent, missing: str
) -> None:
    args = {name: value for name, value in GOOD.items() if name != missing}
    assert (await clerk.call("desk.order", **args)).code == "policy.denied"
    assert upstream.calls == []


async def test_t13_a_rule_for_one_agent_serves_no_other(gateway: Running, upstream: Desk) -> None:
    one, other = await gateway.agent("clerk-1"), await gateway.agent("clerk-2")
    assert (await one.call("desk.publish", text="hello")).done
    assert (await other.call("desk.publish", text="hello")).code == "policy.denied"
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("user", [None, "omar", "Ana", "ana2"])
async def test_t13_a_rule_for_one_user_serves_no_other(
    gateway: Running, upstream: Desk, user: str | None
) -> None:
    own = await gateway.agent(user="ana")
    assert (await own.call("desk.send", to="x")).done
    other = await gateway.agent(user=user)
    assert (await other.call("desk.send", to="x")).code == "policy.denied"
    assert len(upstream.calls) == 1


async def test_t13_what_a_session_has_touched_closes_what_was_open_before(
    gateway: Running, upstream: Desk
) -> None:
    clerk = await gateway.agent(user="ana")
    assert (await clerk.call("desk.send", to="x")).done
    assert (await clerk.call("desk.browse", topic="news")).done
    answered = await clerk.call("desk.send", to="x")
    assert answered.code == "policy.denied"
    assert "no-way-out" in answered.text
    assert [call.tool for call in upstream.calls] == ["send", "browse"]


async def test_t13_a_rule_whose_last_day_is_over_gives_nothing(
    upstream: Desk, clerk: Agent
) -> None:
    assert (await clerk.call("desk.look")).code == "policy.denied"
    assert upstream.calls == []


async def test_t13_an_agent_that_may_only_read_does_not_write_by_any_rule(
    gateway: Running, upstream: Desk
) -> None:
    reader = await gateway.agent("reader", way=MODERN)
    answered = await reader.call("desk.order", **GOOD)
    assert answered.code == "policy.denied"
    assert gateway.entry(answered.entry)["decision"]["rules"] == ["agent:max-risk"]
    assert "desk__order" not in await reader.names()
    assert (await reader.call("desk.browse", topic="news")).done


@pytest.mark.parametrize(
    ("scope", "tool"),
    [
        pytest.param(["desk.look"], "desk.browse", id="one-tool"),
        pytest.param(["other.*"], "desk.browse", id="one-server"),
    ],
)
async def test_t13_a_token_for_some_tools_gives_no_others(
    gateway: Running, upstream: Desk, scope: list[str], tool: str
) -> None:
    clerk = await gateway.agent(tools=scope)
    answered = await clerk.call(tool, topic="news")
    assert answered.code == "policy.denied"
    assert gateway.entry(answered.entry)["decision"]["rules"] == ["scope"]
    assert upstream.calls == []

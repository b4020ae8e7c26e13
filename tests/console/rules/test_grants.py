"""Grants on a page: a rule to read, what else it would let pass, and nothing that is done."""

import re
from html import unescape

import pytest

from tests.harness.agent import Agent
from tests.harness.console import Person, csrf_of, said
from tests.harness.gateway import Running
from tests.harness.policy import DESK, crowded

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def newest(gateway: Running, kind: str) -> int:
    found = [each for each in gateway.gateway.services.log.entries() if each.body["kind"] == kind]
    return found[-1].index


async def shown(who: Person, index: int, **changes: str) -> str:
    path = f"/policies/grants/{index}"
    fields = {"numbers": "exact", "user": "same", "days": "7", **changes}
    found = await who.send(await who.get(path), path, **fields)
    assert found.status_code == 200, found.text
    return found.text


async def test_a_question_becomes_a_rule_that_is_only_shown(
    gateway: Running, vera: Person, clerk: Agent
) -> None:
    await clerk.call("desk.pay", amount=400, to="paper")
    index = await newest(gateway, "approval.asked")
    world, requests = gateway.gateway.services.worlds.current, gateway.entries("approval.decided")
    since = gateway.size
    text = unescape(re.sub(r"<[^>]+>", "", await shown(vera, index)))
    assert f"- id: grant-{index}" in text
    assert f"agents: [{clerk.name}]" in text
    assert "args.amount == 400" in text
    assert "args.to == 'paper'" in text
    assert "pays-more has to step aside" in text
    assert gateway.gateway.services.worlds.current is world
    assert gateway.policy.read_text() == crowded(DESK)
    assert gateway.entries("approval.decided") == requests
    opened = [each["kind"] for each in gateway.entries("audit.opened", since=since)]
    replays = [each["kind"] for each in gateway.entries("audit.replayed", since=since)]
    assert (opened, replays) == (["audit.opened"], ["audit.replayed"])


async def test_what_else_would_pass_is_shown(gateway: Running, adam: Person, clerk: Agent) -> None:
    await clerk.call("desk.pay", amount=150, to="paper")
    await clerk.call("desk.pay", amount=400, to="paper")
    index = await newest(gateway, "approval.asked")
    narrow = await shown(adam, index)
    wide = await shown(adam, index, numbers="up-to")
    assert narrow.count(f"{clerk.name}: desk.pay") == 1
    assert wide.count(f"{clerk.name}: desk.pay") == 2


async def test_a_denial_by_default_becomes_a_rule(
    gateway: Running, vera: Person, clerk: Agent
) -> None:
    await clerk.call("desk.send", to="bob@example.com", text="hello")
    text = await shown(vera, await newest(gateway, "decision"))
    assert "tools: [desk.send]" in text
    assert "step aside" not in text


async def test_a_call_that_passed_needs_none(gateway: Running, vera: Person, clerk: Agent) -> None:
    await clerk.call("desk.look", at="x")
    text = await shown(vera, await newest(gateway, "decision"))
    assert "it is allowed already" in text


async def test_what_an_agent_wrote_is_text_of_a_rule(
    gateway: Running, vera: Person, clerk: Agent
) -> None:
    hostile = "x' || true || '\"}\n  - {id: all, agents: ['*']} <script>alert(1)</script>"
    for value in (hostile, hostile.replace("\n", " ")):
        await clerk.call("desk.send", to="bob@example.com", text=value)
        text = await shown(vera, await newest(gateway, "decision"))
        assert "<script>alert" not in text
        assert "added: rule grant-" in said_of(text)
        assert "added: rule all" not in said_of(text)


def said_of(text: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"days": "0"}, id="no-day"),
        pytest.param({"days": "9999"}, id="for-ever"),
        pytest.param({"days": "-1"}, id="in-the-past"),
        pytest.param({"days": "\u0663"}, id="other-digits"),
        pytest.param({"days": ""}, id="nothing"),
    ],
)
async def test_a_grant_has_an_end(
    gateway: Running, vera: Person, clerk: Agent, changes: dict[str, str]
) -> None:
    await clerk.call("desk.pay", amount=400, to="paper")
    path = f"/policies/grants/{await newest(gateway, 'approval.asked')}"
    since = gateway.size
    fields = {"numbers": "exact", "user": "same", "days": "7", **changes}
    found = await vera.send(await vera.get(path), path, **fields)
    assert found.status_code == 400
    assert gateway.entries("audit.opened", since=since) == []


@pytest.mark.parametrize("kind", ["start", "session.open"])
async def test_an_entry_without_a_call_becomes_no_rule(
    gateway: Running, vera: Person, clerk: Agent, kind: str
) -> None:
    path = f"/policies/grants/{await newest(gateway, kind)}"
    assert (await vera.get(path)).status_code == 404
    csrf = csrf_of(await vera.get("/"))
    assert (await vera.post(path, {"csrf": csrf, "days": "7"})).status_code == 400


@pytest.mark.parametrize("index", ["999999", "-1", "x"])
async def test_an_entry_that_is_not_there_becomes_no_rule(vera: Person, index: str) -> None:
    assert (await vera.get(f"/policies/grants/{index}")).status_code in {400, 404}


async def test_nothing_is_opened_by_a_foreign_form(
    gateway: Running, vera: Person, clerk: Agent
) -> None:
    await clerk.call("desk.pay", amount=400, to="paper")
    path = f"/policies/grants/{await newest(gateway, 'approval.asked')}"
    since = gateway.size
    assert (await vera.post(path, {"csrf": "x", "days": "7"})).status_code == 403
    assert gateway.entries("audit.opened", since=since) == []
    assert "rule" in said(await vera.get(path))

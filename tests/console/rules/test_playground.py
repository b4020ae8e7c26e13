"""The playground: what a call would come to and why, also one of the past, and by a draft."""

import httpx
import pytest

from tests.harness.agent import Agent
from tests.harness.console import Person, csrf_of, person, said
from tests.harness.gateway import Running
from tests.harness.policy import DESK, crowded

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRIED = {"agent": "clerk-1", "tool": "desk.pay", "args": '{"amount": 400, "to": "paper"}'}
MANY = crowded(DESK)
WIDER = MANY.replace("args.amount <= 100", "args.amount <= 500").replace("> 100", "> 500")


async def tried(who: Person, **changes: str) -> httpx.Response:
    return await who.send(await who.get("/policies/try"), "/policies/try", **{**TRIED, **changes})


async def newest(gateway: Running, kind: str) -> int:
    found = [each for each in gateway.gateway.services.log.entries() if each.body["kind"] == kind]
    return found[-1].index


async def test_the_playground_says_why(gateway: Running, vera: Person) -> None:
    size = gateway.size
    text = said(await tried(vera))
    assert "ask" in text
    assert "pays-more" in text
    assert "args.amount = 400" in text
    assert gateway.size == size


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"args": "{"}, id="no-json"),
        pytest.param({"args": "[]"}, id="no-object"),
        pytest.param({"args": '{"amount": 1, "amount": 2}'}, id="twice"),
        pytest.param({"args": '{"amount": NaN}'}, id="nan"),
        pytest.param({"args": "{" + " " * 40_000 + "}"}, id="too-long"),
        pytest.param({"tool": "pay"}, id="no-server"),
        pytest.param({"args": '{"amount": 1, "to": "x", "more": 1}'}, id="unknown-argument"),
        pytest.param({"more": "[]"}, id="facts-that-are-no-object"),
        pytest.param({"more": '{"agent": "idle"}'}, id="a-fact-that-has-a-field"),
        pytest.param({"more": '{"risk": "read"}'}, id="a-fact-that-the-policy-states"),
        pytest.param({"more": '{"now": "today"}'}, id="a-fact-of-another-kind"),
    ],
)
async def test_a_call_that_nobody_could_make_is_told_what_is_wrong(
    vera: Person, changes: dict[str, str]
) -> None:
    page = await tried(vera, **changes)
    assert page.status_code == 400
    assert 'role="alert"' in page.text


async def test_further_facts_have_their_say(vera: Person) -> None:
    narrow = await tried(vera, more='{"scopes": ["desk.look"]}')
    assert "The token does not cover desk.pay" in said(narrow)


async def test_what_was_typed_comes_back_as_text(vera: Person) -> None:
    hostile = '"><script>alert(1)</script></textarea>'
    names = ("agent", "args", "labels", "more", "entry")
    page = (await tried(vera, **dict.fromkeys(names, hostile))).text
    assert "<script>alert" not in page
    assert page.count("</textarea>") == 2


async def test_nothing_is_decided_for_a_foreign_form(vera: Person) -> None:
    assert (await vera.post("/policies/try", {**TRIED, "csrf": "x"})).status_code == 403


# -- from an entry -------------------------------------------------------------------------------


async def test_a_call_of_the_past_is_filled_in_on_record(
    gateway: Running, vera: Person, clerk: Agent
) -> None:
    await clerk.call("desk.pay", amount=50, to="paper")
    index = await newest(gateway, "decision")
    page = await vera.get(f"/audit/entries/{index}")
    since = gateway.size
    filled = await vera.send(page, f"/policies/try/{index}")
    assert f'name="agent" value="{clerk.name}"' in filled.text
    assert "Then \u2713 allow , by the policy in force \u2713 allow" in said(filled)
    (entry,) = gateway.entries("audit.opened", since=since)
    assert (entry["opened"], entry["by"]) == (index, "operator:vera")


async def test_a_question_of_the_past_is_filled_in_too(
    gateway: Running, vera: Person, clerk: Agent
) -> None:
    await clerk.call("desk.pay", amount=400, to="paper")
    index = await newest(gateway, "approval.asked")
    filled = await vera.send(await vera.get(f"/audit/entries/{index}"), f"/policies/try/{index}")
    assert "Then ? ask , by the policy in force ? ask" in said(filled)


async def test_what_has_changed_since_shows(gateway: Running, clerk: Agent) -> None:
    await clerk.call("desk.pay", amount=99, to="paper")
    index = await newest(gateway, "decision")
    kept = gateway.policy.read_text()
    async with person(gateway, "adam") as adam:
        gateway.policy.write_text(kept.replace("args.amount <= 100", "args.amount <= 90"))
        try:
            digest = gateway.gateway.services.activation.propose().digest
            await gateway.operate("POST", "/api/policy/apply", {"digest": digest})
            filled = await adam.send(
                await adam.get(f"/audit/entries/{index}"), f"/policies/try/{index}"
            )
        finally:
            gateway.policy.write_text(kept)
            digest = gateway.gateway.services.activation.propose().digest
            await gateway.operate("POST", "/api/policy/apply", {"digest": digest})
    assert "Then \u2713 allow , by the policy in force \u2715 deny" in said(filled)


@pytest.mark.parametrize("kind", ["start", "outcome", "session.open"])
async def test_an_entry_without_a_call_fills_in_nothing(
    gateway: Running, vera: Person, clerk: Agent, kind: str
) -> None:
    await clerk.call("desk.look", at="x")
    await gateway.until(lambda: bool(gateway.entries("outcome")))
    index = await newest(gateway, kind)
    page = await vera.get(f"/audit/entries/{index}")
    since = gateway.size
    answered = await vera.post(f"/policies/try/{index}", {"csrf": csrf_of(page)})
    assert answered.status_code == 400
    assert f"/policies/try/{index}" not in page.text
    assert gateway.entries("audit.opened", since=since) == []


@pytest.mark.parametrize("index", ["999999", "-1", "x"])
async def test_an_entry_that_is_not_there_fills_in_nothing(vera: Person, index: str) -> None:
    csrf = csrf_of(await vera.get("/"))
    answered = await vera.post(f"/policies/try/{index}", {"csrf": csrf})
    assert answered.status_code in {400, 404}


async def test_words_that_are_gone_fill_in_nothing(
    gateway: Running, vera: Person, clerk: Agent
) -> None:
    await clerk.call("desk.look", at="x" * 70_000)
    index = await newest(gateway, "decision")
    page = await vera.get(f"/audit/entries/{index}")
    since = gateway.size
    answered = await vera.send(page, f"/policies/try/{index}")
    assert "not kept" in answered.text
    assert gateway.entries("audit.opened", since=since) == []


# -- by a draft ----------------------------------------------------------------------------------


async def test_a_draft_has_its_say_beside_the_policy_in_force(
    gateway: Running, adam: Person
) -> None:
    page = await tried(adam, file=str(gateway.policy), text=WIDER)
    text = said(page)
    assert "By the policy in force ? ask pays-more" in text
    assert "By the draft \u2713 allow pays" in text


async def test_a_draft_that_does_not_compile_says_where(gateway: Running, adam: Person) -> None:
    page = await tried(adam, file=str(gateway.policy), text=WIDER + "  - {id: <b>}\n")
    assert page.status_code == 400
    assert f"{gateway.policy.name}:" in page.text
    assert "<b>" not in page.text


async def test_whoever_is_no_author_tries_no_draft(gateway: Running, vera: Person) -> None:
    page = await tried(vera, file=str(gateway.policy), text=WIDER)
    assert page.status_code == 400
    assert "By the draft" not in page.text
    assert 'name="text"' not in page.text

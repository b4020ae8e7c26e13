"""The approval card: whole, inert, and answered by the right people once."""

import re
from html import unescape
from pathlib import Path

import pytest

from tests.harness.agent import Agent
from tests.harness.console import Person, console, csrf_of, person
from tests.harness.gateway import Running
from tests.harness.holder import SIGNED, SITE, holder
from tests.harness.policy import DESK
from tests.harness.upstream import Desk, desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = {
    "script": "<script>alert(1)</script><img src=https://evil.example/x onerror=alert(1)>",
    "attribute": '"><form action="https://evil.example"><button>Approve once',
    "template": "{{ 7 * 7 }}{% include 'templates/frame.html' %}",
    "htmx": '<p hx-get="/api/go" hx-trigger="load" hx-nonce="x">',
    "entity": "&lt;b&gt; &#x202e; &nbsp;",
}


async def asked(clerk: Agent, text: str) -> str:
    answer = await clerk.call("desk.publish", text=text)
    assert answer.approval is not None, answer.text
    return answer.approval


async def test_the_card_shows_the_whole_request(clerk: Agent, omar: Person) -> None:
    text = "the beginning " + "x" * 50_000 + " the end"
    request = await asked(clerk, text)
    page = await omar.get(f"/approvals/{request}")
    assert page.status_code == 200, page.text
    assert text in page.text
    assert f"{len(text)} characters: read to the end" in page.text
    assert "It cannot be undone." in page.text
    assert "publishes" in page.text
    assert "0 of 1" in page.text
    assert clerk.name in page.text


async def test_deny_comes_before_approve(clerk: Agent, omar: Person) -> None:
    page = await omar.get(f"/approvals/{await asked(clerk, 'order')}")
    buttons = re.findall(r"<button[^>]*>([^<]+)</button>", page.text)
    assert buttons.index("Deny") < buttons.index("Approve once")
    assert not re.search(r"always", page.text, re.IGNORECASE)


async def test_a_yes_lets_the_call_through_once(clerk: Agent, upstream: Desk, omar: Person) -> None:
    request = await asked(clerk, "once")
    page = await omar.get(f"/approvals/{request}")
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', page.text)
    assert digest is not None
    after = await omar.send(page, f"/approvals/{request}/approve", digest=digest[1])
    assert "approved" in after.text
    assert "1 of 1" in after.text
    assert (await clerk.call("desk.publish", text="once")).done
    again = await clerk.call("desk.publish", text="once")
    assert not again.done
    assert len(upstream.calls) == 1
    ended = await omar.get(f"/approvals/{request}")
    assert "executed" in ended.text
    assert "Approve once" not in ended.text


async def test_a_no_is_kept_with_its_reason(
    clerk: Agent, upstream: Desk, omar: Person, gateway: Running
) -> None:
    request = await asked(clerk, "no")
    page = await omar.get(f"/approvals/{request}")
    digest = re.findall(r'name="digest" value="([0-9a-f]{64})"', page.text)[0]
    since = gateway.size
    after = await omar.send(
        page, f"/approvals/{request}/deny", digest=digest, chip="wrong target", reason="not us"
    )
    assert "denied" in after.text
    (entry,) = gateway.entries("approval.decided", since=since)
    assert entry["by"] == "omar"
    words = gateway.gateway.services.recorder.words(gateway.size - 1, "reason")
    assert words == b"wrong target: not us"
    assert upstream.calls == []


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_arguments_are_text(clerk: Agent, omar: Person, text: str) -> None:
    page = (await omar.get(f"/approvals/{await asked(clerk, text)}")).text
    assert text not in page.replace(unescape(page), "")
    assert unescape(re.sub(r"</?(?:span|div)[^>]*>", "", page)).count(text) >= 1
    for smuggled in ("<script>alert", "<img", '<form action="https', "<p hx-get"):
        assert smuggled not in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("pay \u202e001 euro", "\\u{202e}", id="bidi"),
        pytest.param("a\u200bb", "\\u{200b}", id="zero-width"),
        pytest.param("\x1b[31mred", "\\u{1b}", id="terminal"),
    ],
)
async def test_what_does_not_show_is_shown(
    clerk: Agent, omar: Person, text: str, shown: str
) -> None:
    page = (await omar.get(f"/approvals/{await asked(clerk, text)}")).text
    assert shown in page
    assert "Not what it seems" in page
    assert text not in page


async def test_a_letter_that_imitates_another_is_marked(clerk: Agent, omar: Person) -> None:
    request = await asked(clerk, "p\u0430ypal.com")
    page = (await omar.get(f"/approvals/{request}")).text
    assert "cyrillic small letter a" in page
    assert "Not what it seems" in page


async def test_a_change_since_the_last_approved_call_is_marked(
    clerk: Agent, upstream: Desk, omar: Person, gateway: Running
) -> None:
    first = await asked(clerk, "the usual")
    await gateway.answer(first)
    assert (await clerk.call("desk.publish", text="the usual")).done
    page = (await omar.get(f"/approvals/{await asked(clerk, 'the unusual')}")).text
    assert '<tr class="new">' in page
    assert "Before:" in page
    assert "the usual" in page


# -- who may -------------------------------------------------------------------------------------


async def test_whoever_may_not_decide_is_offered_nothing(clerk: Agent, vera: Person) -> None:
    request = await asked(clerk, "look only")
    page = await vera.get(f"/approvals/{request}")
    assert "You are no approver." in page.text
    assert "Approve once" not in page.text
    fields = {"csrf": csrf_of(page), "digest": "0" * 64}
    answered = await vera.post(f"/approvals/{request}/approve", fields)
    assert answered.status_code == 403
    assert "operator.role" in answered.text


@pytest.mark.parametrize(
    ("changes", "headers", "code"),
    [
        pytest.param({"digest": "0" * 64}, {}, "approval.changed", id="of-another-request"),
        pytest.param({"digest": ""}, {}, "approval.changed", id="no-digest"),
        pytest.param({"csrf": "x"}, {}, "operator.csrf", id="foreign-form"),
        pytest.param({}, {"origin": None}, "operator.origin", id="no-origin"),
        pytest.param({}, {"origin": "https://evil.example"}, "operator.origin", id="foreign-page"),
    ],
)
async def test_an_answer_that_is_not_to_what_was_shown_counts_for_nothing(
    clerk: Agent,
    omar: Person,
    gateway: Running,
    changes: dict[str, str],
    headers: dict[str, str | None],
    code: str,
) -> None:
    request = await asked(clerk, f"refused {code} {changes} {headers}")
    page = await omar.get(f"/approvals/{request}")
    digest = re.findall(r'name="digest" value="([0-9a-f]{64})"', page.text)[0]
    fields = {"csrf": csrf_of(page), "digest": digest, **changes}
    answered = await omar.post(f"/approvals/{request}/approve", fields, **headers)
    assert code in answered.text
    found = gateway.gateway.services.state.approvals.get(request)
    assert found is not None
    assert found.state == "asked"


async def test_somebody_answers_once(clerk: Agent, omar: Person) -> None:
    request = await asked(clerk, "twice")
    page = await omar.get(f"/approvals/{request}")
    digest = re.findall(r'name="digest" value="([0-9a-f]{64})"', page.text)[0]
    await omar.send(page, f"/approvals/{request}/approve", digest=digest)
    again = await omar.post(f"/approvals/{request}/deny", {"csrf": csrf_of(page), "digest": digest})
    assert again.status_code == 409
    assert "approval.ended" in again.text


async def test_what_is_not_kept_cannot_be_approved(
    clerk: Agent, omar: Person, gateway: Running
) -> None:
    request = await asked(clerk, "y" * 70_000)
    page = await omar.get(f"/approvals/{request}")
    assert "What nobody can see, nobody can approve" in page.text
    assert "Approve once" not in page.text
    digest = re.findall(r'name="digest" value="([0-9a-f]{64})"', page.text)[0]
    fields = {"csrf": csrf_of(page), "digest": digest}
    assert "approval.unseen" in (await omar.post(f"/approvals/{request}/approve", fields)).text
    by_key = await gateway.operate(
        "POST", f"/api/approvals/{request}/approve", {"digest": digest}, by="omar", check=False
    )
    assert by_key.json()["code"] == "approval.unseen"


async def test_the_card_of_no_request_is_not_found(omar: Person) -> None:
    page = await omar.get("/approvals/0")
    assert page.status_code == 404
    assert "approval.unknown" in page.text


# -- the list ------------------------------------------------------------------------------------


async def test_the_lists_hold_what_they_say(clerk: Agent, omar: Person, vera: Person) -> None:
    request = await asked(clerk, "listed")
    assert request in (await omar.get("/approvals")).text
    assert request in (await omar.get("/approvals?show=mine")).text
    assert request not in (await vera.get("/approvals?show=mine")).text
    assert request not in (await omar.get("/approvals?show=decided")).text
    page = await omar.get(f"/approvals/{request}")
    digest = re.findall(r'name="digest" value="([0-9a-f]{64})"', page.text)[0]
    await omar.send(page, f"/approvals/{request}/deny", digest=digest)
    assert request in (await omar.get("/approvals?show=decided")).text
    assert request not in (await omar.get("/approvals")).text


async def test_an_unknown_list_is_refused(omar: Person) -> None:
    assert (await omar.get("/approvals?show=everything")).status_code == 400


async def test_a_yes_that_is_signed_says_so_and_what_it_takes(tmp_path: Path) -> None:
    async with (
        desk() as upstream,
        console(tmp_path, SIGNED, {"desk": upstream}, settings=SITE) as gateway,
        holder(gateway, "omar", registered=False) as person,
    ):
        request = await asked(await gateway.agent(), "signed")
        page = (await person.ask("GET", f"/approvals/{request}")).text
        assert 'data-sign="approve"' in page
        assert "you have none" in page
        assert "<noscript>" in page
        await person.register()
        page = (await person.ask("GET", f"/approvals/{request}")).text
        assert "signed with your passkey" in page
        fields = {"csrf": person.csrf, "digest": await person.digest(request)}
        path = f"/approvals/{request}/approve"
        without = await person.ask("POST", path, data={**fields, "passkey": "", "signature": ""})
        assert "approval.passkey" in without.text
        halved = await person.ask("POST", path, data={**fields, "passkey": person.device.name})
        assert "approval.signature" in halved.text
        signed = await person.sign(request, "approve")
        done = await person.ask("POST", path, data={**fields, **signed})
        assert done.status_code == 303, done.text
        assert "signed with a passkey" in (await person.ask("GET", f"/approvals/{request}")).text


async def test_glass_is_broken_and_reviewed_on_the_page(tmp_path: Path) -> None:
    policy = DESK.replace("groups:\n", "groups:\n  on-call: {members: [kim]}\n").replace(
        "quorum: 1,", "quorum: 1, break_glass: {from: on-call, within: 15m},"
    )
    async with (
        desk() as upstream,
        console(tmp_path, policy, {"desk": upstream}) as gateway,
        person(gateway, "omar") as omar,
    ):
        await gateway.invite("kim", "approver")
        request = await asked(await gateway.agent(), "broken")
        place = f"/approvals/{request}"
        assert "Break the glass" not in (await omar.get(place)).text
        async with person(gateway, "kim") as kim:
            page = await kim.get(place)
            digest = re.findall(r'name="digest" value="([0-9a-f]{64})"', page.text)[0]
            said = {"digest": digest, "reason": "nobody is there"}
            for minutes in ("", "0", "-1", "x", "99999"):
                refused = await kim.send(page, f"{place}/break-glass", minutes=minutes, **said)
                assert "operator.body" in refused.text
            broken = await kim.send(page, f"{place}/break-glass", minutes="5", **said)
            assert "kim approved this alone" in unescape(broken.text)
            assert "Close the review" not in broken.text
        assert "review that" in (await omar.get("/")).text
        assert "broke the glass" in (await omar.get("/approvals")).text
        page = await omar.get(place)
        said = {"finding": "justified", "reason": "right"}
        assert "omar has reviewed it" in (await omar.send(page, f"{place}/review", **said)).text
        assert "broke the glass" not in (await omar.get("/approvals")).text


async def test_how_often_a_rule_asks_stands_on_the_list_and_the_card(
    clerk: Agent, omar: Person, gateway: Running
) -> None:
    request = await asked(clerk, "counted")
    page = await omar.get(f"/approvals/{request}")
    digest = re.findall(r'name="digest" value="([0-9a-f]{64})"', page.text)[0]
    said = {"digest": digest, "chip": "as planned", "reason": "the list"}
    await omar.send(page, f"/approvals/{request}/approve", **said)
    words = gateway.gateway.services.recorder.words(gateway.size - 1, "reason")
    assert words == b"as planned: the list"
    assert "What rules ask" in (await omar.get("/approvals")).text
    assert "of the answers yes" in (await omar.get(f"/approvals/{request}")).text
    (rate,) = (await gateway.operate("GET", "/api/approvals/rates", by="vera")).json()
    assert rate["rule"] == "publishes"
    assert rate["asked"] >= rate["approved"] >= 1

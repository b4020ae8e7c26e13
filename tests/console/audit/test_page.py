"""The audit pages: everything is found, nothing acts, and what is sealed is opened on record."""

import re
from base64 import b64decode
from html import unescape

import pytest

from audit.note import Verifier
from audit.proof import Proof
from console.assets import assets
from console.audit.page import PAGE
from tests.harness.agent import Agent
from tests.harness.console import Person, csrf_of, person
from tests.harness.gateway import Running

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def newest(gateway: Running, kind: str) -> int:
    found = [each for each in gateway.gateway.services.log.entries() if each.body["kind"] == kind]
    return found[-1].index


async def test_a_call_is_found_as_a_sentence(vera: Person, clerk: Agent) -> None:
    await clerk.call("desk.look", at="x")
    page = await vera.get("/audit", params={"q": f"agent:{clerk.name} kind:decision"})
    text = unescape(re.sub(r"<[^>]+>", "", page.text))
    assert clerk.name in text
    assert "desk.look - rule looks" in text
    assert "allow" in text


async def test_the_time_is_bounded_unless_somebody_says_all(gateway: Running, clerk: Agent) -> None:
    await clerk.call("desk.look", at="x")
    gateway.clock.pass_s(2 * 3600)
    asked = {"q": f"agent:{clerk.name}", "within": "1h"}
    async with person(gateway, "vera") as vera:
        assert "No entry matches within 1h" in (await vera.get("/audit", params=asked)).text
        found = (await vera.get("/audit", params={**asked, "within": "all"})).text
    assert "No entry matches" not in found


async def test_a_search_for_nothing_shows_the_newest(vera: Person, clerk: Agent) -> None:
    await clerk.call("desk.look", at="x")
    page = await vera.get("/audit")
    assert page.status_code == 200
    assert "desk.look" in page.text


@pytest.mark.parametrize("q", ["nobody:x", '"open', "x" * 2000, "after:yesterday", "\u202e", "*"])
async def test_a_query_that_is_not_understood_is_told_what_is_wrong(vera: Person, q: str) -> None:
    page = await vera.get("/audit", params={"q": q})
    assert page.status_code == 400
    assert 'role="alert"' in page.text


@pytest.mark.parametrize("within", ["", "1000y", "24h "])
async def test_another_time_is_refused(vera: Person, within: str) -> None:
    assert (await vera.get("/audit", params={"within": within})).status_code == 400


async def test_what_was_searched_for_is_text(vera: Person) -> None:
    page = (await vera.get("/audit", params={"q": '"><script>alert(1)</script>'})).text
    assert "<script>alert" not in page


async def test_older_entries_are_a_link_away(vera: Person, clerk: Agent) -> None:
    for _ in range(PAGE // 2 + 5):
        await clerk.call("desk.look", at="x")
    asked = {"q": f"tool:desk.look session:{clerk.session}"}
    first = (await vera.get("/audit", params=asked)).text
    link = re.search(r'href="(/audit\?[^"]*cursor=[^"]+)"', first)
    assert link is not None
    older = (await vera.get(unescape(link[1]))).text
    pages = [set(re.findall(r"/audit/entries/\d+", each)) for each in (first, older)]
    assert len(pages[0]) == PAGE
    assert pages[1]
    assert not pages[0] & pages[1]


async def test_an_entry_is_shown_with_its_proof(
    gateway: Running, vera: Person, clerk: Agent
) -> None:
    await clerk.call("desk.look", at="x")
    index = await newest(gateway, "decision")
    page = (await vera.get(f"/audit/entries/{index}")).text
    assert "The entry is in the signed log." in page
    assert f"passavant audit prove {index}" in page
    assert gateway.gateway.services.vkey in unescape(page)
    assert "decision.effect" in page


async def test_the_browser_is_given_the_very_bytes_that_were_signed(
    gateway: Running, vera: Person, clerk: Agent
) -> None:
    await clerk.call("desk.look", at="x")
    index = await newest(gateway, "decision")
    page = (await vera.get(f"/audit/entries/{index}")).text
    found = dict(re.findall(r'data-(entry|index|proof)="([^"]*)"', page))
    entry = gateway.gateway.services.log.entry(index)
    assert b64decode(found["entry"]) == entry.raw
    proof = Proof.parse(unescape(found["proof"]))
    proof.verify(entry.leaf, Verifier.parse(gateway.gateway.services.vkey))
    assert proof.index == int(found["index"]) == index
    assert assets()["proof.js"].path in page


async def test_what_is_sealed_is_opened_on_record(
    gateway: Running, vera: Person, clerk: Agent
) -> None:
    await clerk.call("desk.look", at="a place of <b>secrets</b>")
    index = await newest(gateway, "decision")
    page = await vera.get(f"/audit/entries/{index}")
    assert "secrets" not in page.text
    since = gateway.size
    opened = await vera.send(page, f"/audit/entries/{index}/open")
    assert "a place of &lt;b&gt;secrets&lt;/b&gt;" in opened.text
    (entry,) = gateway.entries("audit.opened", since=since)
    assert (entry["opened"], entry["by"]) == (index, "operator:vera")


async def test_nothing_is_opened_by_a_foreign_form(
    gateway: Running, vera: Person, clerk: Agent
) -> None:
    await clerk.call("desk.look", at="kept")
    index = await newest(gateway, "decision")
    since = gateway.size
    answered = await vera.post(f"/audit/entries/{index}/open", {"csrf": "x"})
    assert answered.status_code == 403
    assert "kept" not in answered.text
    assert gateway.entries("audit.opened", since=since) == []


@pytest.mark.parametrize("index", ["-1", "99999999", "x", "1e3", str(2**70)])
async def test_an_entry_that_is_not_there_is_not_found(vera: Person, index: str) -> None:
    page = await vera.get(f"/audit/entries/{index}")
    assert page.status_code in {400, 404}


async def test_strangers_text_in_the_log_is_inert(
    gateway: Running, vera: Person, clerk: Agent
) -> None:
    hostile = "<img src=x onerror=alert(1)>\u202e"
    await gateway.operate("POST", "/api/agents/idle/suspend", {"reason": hostile})
    await gateway.operate("POST", "/api/agents/idle/resume", {"reason": hostile})
    index = await newest(gateway, "agent.resumed")
    page = await vera.get(f"/audit/entries/{index}")
    opened = await vera.post(f"/audit/entries/{index}/open", {"csrf": csrf_of(page)})
    assert "<img" not in opened.text
    assert "&lt;img" in opened.text
    assert "\\u{202e}" in opened.text


# -- export --------------------------------------------------------------------------------------


async def test_what_a_search_found_is_taken_away_as_a_file(
    gateway: Running, vera: Person, clerk: Agent
) -> None:
    await clerk.call("desk.look", at="x")
    page = await vera.get("/audit", params={"q": f"agent:{clerk.name} kind:decision"})
    asked = re.findall(r'name="q" value="([^"]+)"', page.text)[-1]
    since = gateway.size
    file = await vera.send(page, "/audit/export", q=unescape(asked), form="jsonl")
    assert re.fullmatch(
        r'attachment; filename="entries-to-\d+\.jsonl"', file.headers["content-disposition"]
    )
    assert file.headers["cache-control"] == "no-store"
    assert f'"agent":"{clerk.name}"' in file.text
    assert '"end":true' in file.text
    assert len(gateway.entries("audit.exported", since=since)) == 1


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param({"q": "x", "form": "pdf"}, 400, id="another-form"),
        pytest.param({"q": "nobody:x", "form": "csv"}, 400, id="no-query"),
        pytest.param({"q": "x", "form": "csv", "csrf": "x"}, 403, id="foreign"),
    ],
)
async def test_what_is_no_export_is_refused(
    gateway: Running, vera: Person, fields: dict[str, str], status: int
) -> None:
    csrf = csrf_of(await vera.get("/audit"))
    since = gateway.size
    answered = await vera.post("/audit/export", {"csrf": csrf, **fields})
    assert answered.status_code == status
    assert gateway.entries("audit.exported", since=since) == []

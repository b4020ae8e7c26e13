"""Drafts on a page: what they would do is shown, and nothing of them is written or in force."""

import pytest

from tests.harness.agent import Agent
from tests.harness.console import Person, csrf_of, person, said
from tests.harness.gateway import Running
from tests.harness.policy import DESK, crowded

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANY = crowded(DESK)
WIDER = MANY.replace("args.amount <= 100", "args.amount <= 500").replace("> 100", "> 500")


async def look(gateway: Running, who: Person, text: str, look: str = "replay") -> str:
    page = await who.get("/policies/draft")
    file = str(gateway.policy)
    found = await who.send(page, "/policies/draft", file=file, text=text, look=look)
    return said(found)


async def test_a_draft_is_checked_compared_and_replayed(
    gateway: Running, adam: Person, clerk: Agent
) -> None:
    await clerk.call("desk.pay", amount=400, to="paper")
    since, before = gateway.size, gateway.gateway.services.worlds.current
    text = await look(gateway, adam, WIDER)
    assert "changed: rule pays" in text
    assert "ask pays-more" in text
    assert "allow pays" in text
    assert "passavant policy apply" in text
    (entry,) = gateway.entries("audit.replayed", since=since)
    assert entry["by"] == "operator:adam"
    assert gateway.gateway.services.worlds.current is before
    assert gateway.policy.read_text() == MANY


async def test_a_check_alone_looks_at_no_call(gateway: Running, adam: Person) -> None:
    since = gateway.size
    text = await look(gateway, adam, WIDER, "check")
    assert "changed: rule pays" in text
    assert "Calls of the past" not in text
    assert gateway.size == since


async def test_a_file_with_exactly_that_text_has_the_digest_that_was_shown(
    gateway: Running, adam: Person
) -> None:
    text = await look(gateway, adam, WIDER, "check")
    gateway.policy.write_text(WIDER)
    try:
        assert gateway.gateway.services.activation.propose().digest in text
    finally:
        gateway.policy.write_text(MANY)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param(MANY + "  - {id: x}\n", id="no-rule"),
        pytest.param("x: [", id="no-yaml"),
        pytest.param(MANY.replace("desk.pay", "desk.pax", 1), id="another-tool"),
        pytest.param(MANY + "# \u202e\n", id="what-does-not-show"),
    ],
)
async def test_a_text_that_is_no_policy_says_where(
    gateway: Running, adam: Person, text: str
) -> None:
    found = await look(gateway, adam, text)
    assert "This text cannot come into force." in found
    assert "policy." in found
    assert "passavant policy apply" not in found


async def test_of_what_is_in_force_nothing_changes(gateway: Running, adam: Person) -> None:
    text = await look(gateway, adam, MANY)
    assert "Nothing that decides anything" in text


@pytest.mark.parametrize("name", ["vera", "omar"])
async def test_texts_of_ones_own_are_for_authors(gateway: Running, name: str) -> None:
    async with person(gateway, name) as who:
        page = await who.get("/policies/draft")
        assert 'name="text"' not in page.text
        fields = {"csrf": csrf_of(page), "file": str(gateway.policy), "text": WIDER}
        since = gateway.size
        assert (await who.post("/policies/draft", fields)).status_code == 403
    assert gateway.entries("audit.replayed", since=since) == []


@pytest.mark.parametrize("path", ["/policies/draft?file=/etc/passwd", "/policies/draft?file=x"])
async def test_no_other_file_is_shown(adam: Person, path: str) -> None:
    assert (await adam.get(path)).status_code == 404


async def test_a_text_without_end_is_refused(gateway: Running, adam: Person) -> None:
    page = await adam.get("/policies/draft")
    fields = {"csrf": csrf_of(page), "file": str(gateway.policy), "text": "#" * 1_100_000}
    assert (await adam.post("/policies/draft", fields)).status_code == 400


async def test_the_proposal_of_the_files_is_replayed_by_whoever_may_look(
    gateway: Running, vera: Person, clerk: Agent
) -> None:
    await clerk.call("desk.pay", amount=400, to="paper")
    gateway.policy.write_text(WIDER)
    since = gateway.size
    try:
        page = await vera.get("/policies")
        text = said(await vera.send(page, "/policies/replay"))
    finally:
        gateway.policy.write_text(MANY)
    assert "changed: rule pays" in said(page)
    assert "allow pays" in text
    assert len(gateway.entries("audit.replayed", since=since)) == 1

"""The pages of policies: what is in force, what is proposed, and what that would change."""

import re
from html import unescape

import pytest

from tests.harness.console import Person, csrf_of
from tests.harness.gateway import Running
from tests.harness.policy import DESK, crowded

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_files_in_force_are_shown(vera: Person) -> None:
    page = (await vera.get("/policies")).text
    assert "The files are what is in force." in page
    assert "pays-more" in page


async def test_a_proposal_is_shown_and_put_into_force(gateway: Running, adam: Person) -> None:
    more = (
        "  - {id: wipes, roles: [clerk], tools: [desk.wipe], effect: ask, approval: one-person}\n"
    )
    gateway.policy.write_text(crowded(DESK) + more)
    page = await adam.get("/policies")
    assert '<span class="add">+  - {id: wipes' in page.text
    digest = re.findall(r'name="digest" value="([^"]+)"', page.text)[0]
    unsure = await adam.send(page, "/policies/apply", digest=digest, word="yes")
    assert "operator.body" in unsure.text
    after = await adam.send(page, "/policies/apply", digest=digest, word=digest[:8])
    assert "The files are what is in force." in after.text
    assert gateway.gateway.services.worlds.current.snapshot.digest == digest


async def test_files_that_do_not_compile_say_where(gateway: Running, adam: Person) -> None:
    kept = gateway.policy.read_text()
    gateway.policy.write_text(kept + "  - {id: x, roles: [nobody-knows], tools: [desk.<b>]}\n")
    try:
        page = await adam.get("/policies")
    finally:
        gateway.policy.write_text(kept)
    assert "cannot come into force" in page.text
    assert "desk.policy.yaml" in page.text
    assert "<b>" not in page.text


async def test_another_proposal_than_the_one_shown_is_refused(
    gateway: Running, adam: Person
) -> None:
    before = gateway.gateway.services.worlds.current.snapshot.digest
    kept = gateway.policy.read_text()
    gateway.policy.write_text(kept.replace("<= 100", "<= 90"))
    try:
        page = await adam.get("/policies")
        digest = re.findall(r'name="digest" value="([^"]+)"', page.text)[0]
        gateway.policy.write_text(kept.replace("<= 100", "<= 9000"))
        answered = await adam.send(page, "/policies/apply", digest=digest, word=digest[:8])
    finally:
        gateway.policy.write_text(kept)
    assert "policy.other-digest" in answered.text
    assert gateway.gateway.services.worlds.current.snapshot.digest == before


async def test_whoever_is_no_administrator_puts_nothing_into_force(omar: Person) -> None:
    fields = {"csrf": csrf_of(await omar.get("/policies")), "digest": "x" * 64, "word": "x" * 8}
    assert (await omar.post("/policies/apply", fields)).status_code == 403


async def test_the_matrix_shows_what_calls_can_come_to(vera: Person) -> None:
    page = (await vera.get("/policies/matrix?q=clerk-3")).text
    text = unescape(re.sub(r"<[^>]+>", " ", page))
    assert "clerk-3" in text
    assert "clerk-7" not in text
    assert re.search(r"allow\s*\?", text)

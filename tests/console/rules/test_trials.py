"""Tests on a page: each call with its place and result; what cannot be played says why."""

import pytest

from tests.harness.console import Person, said
from tests.harness.gateway import Running

pytestmark = pytest.mark.asyncio(loop_scope="module")

TESTS = """\
apiVersion: passavant/v1
kind: PolicyTest
policy: desk.policy.yaml
tests:
  - name: whoever looks may look
    call: {agent: clerk-1, tool: desk.look, args: {at: x}}
    expect: {effect: allow, rules: [looks]}
  - name: nobody wipes
    call: {agent: clerk-1, tool: desk.wipe, args: {what: "<b>"}}
    expect: {effect: EFFECT}
"""


async def played(gateway: Running, vera: Person, text: str) -> str:
    file = gateway.policy.with_name("desk.policy.test.yaml")
    file.write_text(text)
    try:
        page = await vera.get("/policies/tests")
    finally:
        file.unlink()
    assert "<b>" not in page.text
    return said(page)


async def test_every_call_is_shown_with_its_place(gateway: Running, vera: Person) -> None:
    text = await played(gateway, vera, TESTS.replace("EFFECT", "deny"))
    assert "ok 2 of 2 calls came out as expected" in text.replace("\u2713 ", "")
    assert "desk.policy.test.yaml:" in text
    assert "whoever looks may look" in text


async def test_a_promise_that_is_broken_says_how(gateway: Running, vera: Person) -> None:
    text = await played(gateway, vera, TESTS.replace("EFFECT", "allow"))
    assert "1 of 2 calls came out as expected" in text
    assert "effect: expected allow, actual deny" in text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("x: [", "policy.", id="no-yaml"),
        pytest.param(TESTS, "policy.not-a-choice", id="no-effect"),
        pytest.param(
            TESTS.replace("desk.policy.yaml", "gone.policy.yaml").replace("EFFECT", "deny"),
            "No such file",
            id="no-policy",
        ),
    ],
)
async def test_what_cannot_be_played_says_why(
    gateway: Running, vera: Person, text: str, why: str
) -> None:
    found = await played(gateway, vera, text)
    assert "It cannot be played" in found
    assert why in found


async def test_without_a_test_the_page_says_how_to_begin(vera: Person) -> None:
    assert "passavant init" in said(await vera.get("/policies/tests"))

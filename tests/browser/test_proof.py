"""The proof of an entry, checked once more by a browser: what is wrong with it shows there too."""

import pytest

from tests.harness.agent import Agent
from tests.harness.chromium import Window
from tests.harness.gateway import Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

GOOD = "This browser comes to the same"
LINES = "const d = document.getElementById('recheck').dataset; let l = d.proof.split('\\n');"
KEPT = "d.proof = l.join('\\n');"


async def check(vera: Window, gateway: Running, clerk: Agent, change: str) -> str:
    """What the browser says of the proof of a call after the page was changed."""
    await clerk.call("desk.look", at="x")
    found = [e for e in gateway.gateway.services.log.entries() if e.body["kind"] == "decision"]
    await vera.go(f"/audit/entries/{found[-1].index}")
    verdict = vera.page.locator("#recheck [role=status]")
    await verdict.filter(has_text=GOOD).wait_for()
    await vera.page.evaluate(f"() => {{ {LINES} {change} {KEPT} }}")
    await verdict.evaluate("(each) => { each.textContent = '' }")
    await vera.page.click("#recheck button")
    await verdict.filter(has_text="browser").wait_for()
    return await verdict.inner_text() + await vera.page.locator("#recheck li").last.inner_text()


async def test_a_browser_comes_to_the_same(vera: Window, gateway: Running, clerk: Agent) -> None:
    said = await check(vera, gateway, clerk, "")
    assert GOOD in said
    assert "signed with the key (Ed25519)" in said


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(
            "d.entry = btoa(atob(d.entry).replace('clerk', 'clerc'));", "the root", id="bytes"
        ),
        pytest.param("d.index = String(Number(d.index) - 1);", "of this entry", id="index"),
        pytest.param("[l[2], l[3]] = [l[3], l[2]];", "the root", id="siblings-swapped"),
        pytest.param("l.splice(2, 1);", "below the root", id="too-short"),
        pytest.param("l.splice(2, 0, l[2]);", "longer than", id="too-long"),
        pytest.param("l[0] = 'c2sp.org/tlog-proof@v2';", "no proof", id="another-format"),
        pytest.param(
            "const at = l.length - 2; l[at] = l[at].slice(0, -9) + 'AAAAAAAA=';",
            "signed with the key",
            id="signature",
        ),
        pytest.param(
            "document.querySelector('#recheck input').value = 'x+00000000+AA==';",
            "verifier key",
            id="another-key",
        ),
    ],
)
async def test_what_is_wrong_with_a_proof_shows(
    vera: Window, gateway: Running, clerk: Agent, change: str, why: str
) -> None:
    said = await check(vera, gateway, clerk, change)
    assert "cannot confirm" in said
    assert "failed" in said
    assert why in said


async def test_a_browser_without_the_signature_says_so(
    vera: Window, gateway: Running, clerk: Agent
) -> None:
    said = await check(
        vera, gateway, clerk, "crypto.subtle.importKey = () => Promise.reject(new Error('none'));"
    )
    assert "who signed that, this browser cannot tell" in said
    assert GOOD not in said

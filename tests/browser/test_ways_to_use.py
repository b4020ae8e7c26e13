"""The console with no mouse, no script, on a phone, and for those whom movement makes sick."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.harness.agent import Agent
from tests.harness.chromium import Window, window
from tests.harness.gateway import Running
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def request_id(clerk: Agent) -> str:
    answer = await clerk.call("desk.publish", text=f"by {clerk.name}")
    assert answer.approval is not None
    return answer.approval


# -- keys alone ----------------------------------------------------------------------------------


async def test_keys_lead_to_a_request_and_to_its_denial(
    clerk: Agent, upstream: Desk, omar: Window, request_id: str
) -> None:
    keys = omar.page.keyboard
    await omar.go("/help")
    await keys.press("g")
    await keys.press("a")
    await expect(omar.page).to_have_title("Approvals - Passavant")
    await keys.press("j")
    await keys.press("Enter")
    await omar.page.wait_for_url(f"**/approvals/{request_id}")
    await keys.press("d")
    await expect(omar.page.get_by_role("button", name="Deny", exact=True)).to_be_focused()
    assert "0 of 1" in await omar.text()  # going there answers nothing
    async with omar.page.expect_navigation():
        await keys.press("Enter")
    await expect(omar.page.locator("#live")).to_contain_text("denied")


@pytest.mark.parametrize("key", ["a", "y", "Enter", "Space", "Control+Enter"])
async def test_no_key_approves(omar: Window, request_id: str, key: str) -> None:
    await omar.go(f"/approvals/{request_id}")
    await omar.page.keyboard.press(key)
    await omar.page.reload()
    await expect(omar.page.locator("#live")).to_contain_text("0 of 1")


async def test_keys_do_nothing_while_somebody_types(vera: Window) -> None:
    await vera.go("/audit")
    await vera.page.keyboard.press("/")
    await expect(vera.page.get_by_label("Search the whole log")).to_be_focused()
    await vera.page.keyboard.type("g a ? d")
    assert vera.path == "/audit"
    assert await vera.page.get_by_label("Search the whole log").input_value() == "g a ? d"


async def test_keys_can_be_switched_off(vera: Window) -> None:
    await vera.go("/settings")
    await vera.page.get_by_label("Single keys").uncheck()
    await vera.go("/help")
    await vera.page.keyboard.press("g")
    await vera.page.keyboard.press("a")
    await vera.page.reload()
    assert vera.path == "/help"


async def test_whoever_tabs_skips_the_navigation_and_denies_before_they_approve(
    omar: Window, request_id: str
) -> None:
    await omar.go(f"/approvals/{request_id}")
    await omar.page.keyboard.press("Tab")
    await expect(omar.page.get_by_role("link", name="Skip to the page")).to_be_focused()
    await omar.page.keyboard.press("Enter")
    stops = []
    for _ in range(40):
        await omar.page.keyboard.press("Tab")
        stops.append(await omar.page.evaluate("document.activeElement.innerText ?? ''"))
        if stops[-1] == "Approve once":
            break
    assert "Now" not in stops
    assert stops.index("Deny") < stops.index("Approve once")


# -- no script -----------------------------------------------------------------------------------


@pytest_asyncio.fixture(loop_scope="session")
async def plain(browser: Browser, gateway: Running) -> AsyncIterator[Window]:
    async with window(browser, gateway, scripts=False, width=360) as found:
        yield found


async def enter(gateway: Running, someone: Window, name: str) -> None:
    given = (await gateway.operate("POST", "/api/operators/code", {}, by=name)).json()
    await someone.go("/login")
    await someone.page.get_by_label("The code").fill(given["code"])
    await someone.press("Log in")
    await someone.page.get_by_role("link", name="Go to the console").click()


async def test_somebody_without_scripts_signs_in_and_approves(
    gateway: Running, clerk: Agent, upstream: Desk, plain: Window, request_id: str
) -> None:
    await enter(gateway, plain, "omar")
    await plain.page.get_by_role("link", name="Approvals").click()
    await plain.page.locator(f'a[href="/approvals/{request_id}"]').click()
    await plain.press("Approve once")
    await plain.see("approved by omar")
    assert (await clerk.call("desk.publish", text=f"by {clerk.name}")).done
    assert len(upstream.calls) == 1


async def test_somebody_without_scripts_stops_everything(
    gateway: Running, clerk: Agent, plain: Window
) -> None:
    await enter(gateway, plain, "adam")
    await plain.page.get_by_role("link", name="Stop").click()
    await plain.open("Stop everything")
    await plain.page.get_by_label("Why").first.fill("drill")
    await plain.page.get_by_label("to confirm").fill("stop everything")
    await plain.press("Stop everything")
    assert (await clerk.call("desk.look", at="x")).code == "gateway.stopped"
    await gateway.operate("POST", "/api/go", {"reason": "over"})


# -- a phone, and no movement --------------------------------------------------------------------


async def test_buttons_of_an_answer_are_large_enough_for_a_thumb(
    browser: Browser, gateway: Running, request_id: str
) -> None:
    async with window(browser, gateway, "omar", width=360) as phone:
        await phone.go(f"/approvals/{request_id}")
        for name in ("Deny", "Approve once"):
            box = await phone.page.get_by_role("button", name=name, exact=True).bounding_box()
            assert box is not None
            assert box["height"] >= 44  # WCAG 2.2, 2.5.5
            assert box["width"] >= 120


async def test_nothing_moves_for_those_who_asked_for_that(
    browser: Browser, gateway: Running
) -> None:
    async with window(browser, gateway, "vera", reduced_motion="reduce") as still:
        await still.go("/")
        moving = await still.page.evaluate("document.getAnimations().length")
        assert moving == 0
        rules = await still.page.evaluate(
            """() => [...document.querySelectorAll("*")].filter((each) => {
                 const style = getComputedStyle(each);
                 return style.animationName !== "none" || parseFloat(style.transitionDuration) > 0;
               }).length"""
        )
        assert rules == 0

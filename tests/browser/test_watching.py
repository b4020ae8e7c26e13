"""People watch, search, verify and stop in a browser."""

import pytest
from playwright.async_api import Route, expect

from tests.harness.agent import Agent
from tests.harness.chromium import Window
from tests.harness.gateway import Running
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_entry_is_searched_for_opened_and_proven(
    gateway: Running, clerk: Agent, vera: Window
) -> None:
    entry = (await clerk.call("desk.look", at="the shelf")).entry
    await gateway.until(lambda: gateway.gateway.services.index.covered > entry)
    await vera.go("/audit")
    await vera.page.get_by_label("Search the whole log").fill(f"agent:{clerk.name} kind:decision")
    await vera.press("Search")
    await vera.page.get_by_role("link", name=str(entry), exact=True).click()
    await expect(vera.page).to_have_title(f"Entry {entry} - Passavant")
    steps = vera.page.locator("#proof + p + ol > li")
    assert await steps.count() >= 5
    assert await steps.filter(has_text="failed").count() == 0
    await vera.see("The entry is in the signed log.")


async def test_what_is_sealed_opens_on_record(gateway: Running, clerk: Agent, adam: Window) -> None:
    entry = (await clerk.call("desk.look", at="behind the third shelf")).entry
    await adam.go(f"/audit/entries/{entry}")
    assert "behind the third shelf" not in await adam.text()
    since = gateway.size
    await adam.press("Open and record that I did")
    await adam.see("behind the third shelf")
    assert [each["kind"] for each in gateway.entries(since=since)] == ["audit.opened"]


async def test_everything_stops_and_goes_on(clerk: Agent, adam: Window) -> None:
    await adam.go("/stop")
    await adam.open("Stop everything")
    await adam.page.get_by_label("Why").first.fill("drill")
    await adam.page.get_by_label("to confirm").fill("stop everything")
    await adam.press("Stop everything")
    await adam.see("stopped: no call passes")
    assert (await clerk.call("desk.look", at="x")).code == "gateway.stopped"
    await adam.open("Go on")
    await adam.page.get_by_label("Why").first.fill("over")
    await adam.page.get_by_label("to confirm").fill("go on")
    await adam.press("Go on")
    await adam.see("Nothing is stopped as a whole.")
    assert (await clerk.call("desk.look", at="x")).done


async def test_the_playground_says_why_and_does_nothing(gateway: Running, vera: Window) -> None:
    size = gateway.size
    await vera.go("/policies/try")
    await vera.page.get_by_label("Agent", exact=True).fill("clerk-1")
    await vera.page.get_by_label("Tool, as").fill("desk.pay")
    await vera.page.get_by_label("Arguments").fill('{"amount": 500, "to": "paper"}')
    await vera.press("Decide")
    decision = vera.page.get_by_role("region", name="By the policy in force")
    await expect(decision).to_contain_text("ask")
    await expect(decision).to_contain_text("pays-more")
    await vera.page.get_by_label("Arguments").fill('{"amount": 5000, "to": "paper"}')
    await vera.press("Decide")
    await expect(decision).to_contain_text("deny")
    assert gateway.size == size


async def test_a_call_of_the_past_is_decided_once_more(
    gateway: Running, clerk: Agent, upstream: Desk, vera: Window
) -> None:
    entry = (await clerk.call("desk.pay", amount=70, to="the paper mill")).entry
    upstream.forget()
    await vera.go(f"/audit/entries/{entry}")
    await vera.press("Try it in the playground")
    assert "the paper mill" in await vera.page.get_by_label("Arguments").input_value()
    await vera.see("Then")
    decision = vera.page.get_by_role("region", name="By the policy in force")
    await expect(decision).to_contain_text("allow")
    assert upstream.calls == []


async def test_an_open_page_follows_what_happens(clerk: Agent, vera: Window) -> None:
    await vera.go("/approvals")
    await clerk.call("desk.publish", text="while somebody watches")
    await expect(vera.page.locator("#live")).to_contain_text(clerk.name)


@pytest.mark.parametrize("late", ["hx-sse.min.js", "hx-csp.min.js"])
async def test_a_page_is_live_whichever_of_its_scripts_comes_last(vera: Window, late: str) -> None:
    async def hold_back(route: Route) -> None:
        await vera.page.wait_for_function("'htmx' in window")
        await vera.page.evaluate("new Promise((done) => setTimeout(done, 20))")
        await route.continue_()

    await vera.page.route(f"**/{late}", hold_back)
    async with vera.page.expect_request("**/events?*"):
        await vera.go("/approvals")


async def test_a_page_that_had_no_network_shows_what_happened_meanwhile(
    clerk: Agent, vera: Window
) -> None:
    async with vera.page.expect_response("**/events?*"):
        await vera.go("/approvals")
    await vera.page.context.set_offline(offline=True)
    async with vera.page.expect_event("requestfailed"):
        answer = await clerk.call("desk.publish", text="meanwhile")
    await vera.page.context.set_offline(offline=False)
    await expect(vera.page.locator(f'a[href="/approvals/{answer.approval}"]')).to_be_visible()
    vera.troubles.clear()  # it said that there was no network


async def test_somebody_chooses_the_colours_of_their_pages(vera: Window) -> None:
    await vera.go("/help")
    await vera.page.get_by_label("Colours").select_option("dark")
    await vera.press("Set")
    assert vera.path == "/help"
    ground = "getComputedStyle(document.body).backgroundColor"
    assert await vera.page.evaluate(ground) == "rgb(20, 23, 28)"
    await vera.go("/settings")
    assert await vera.page.evaluate(ground) == "rgb(20, 23, 28)"

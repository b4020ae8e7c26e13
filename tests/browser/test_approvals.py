"""People answer in a browser: what they were shown happens once, or not at all."""

import pytest
from playwright.async_api import Browser, expect

from tests.harness.agent import Agent
from tests.harness.chromium import Window, window
from tests.harness.gateway import Running
from tests.harness.policy import DESK
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="session")

POLICY = DESK.replace("expires: 30m", "expires: 10m")  # before somebody who waits is logged out


async def asked(clerk: Agent, text: str) -> str:
    answer = await clerk.call("desk.publish", text=text)
    assert answer.approval is not None, answer.text
    return answer.approval


async def test_somebody_signs_in_with_the_one_time_code_and_out(
    browser: Browser, gateway: Running
) -> None:
    given = (await gateway.operate("POST", "/api/operators/code", {}, by="omar")).json()
    async with window(browser, gateway) as someone:
        await someone.go("/approvals")
        assert someone.path == "/login"
        await someone.page.get_by_label("The code").fill("not-this-one")
        await someone.press("Log in")
        await someone.see("This is not the code.")
        await someone.page.get_by_label("The code").fill(given["code"])
        await someone.press("Log in")
        await someone.see("You are logged in as omar")
        await someone.page.get_by_role("link", name="Go to the console").click()
        await expect(someone.page).to_have_title("Now - Passavant")
        await someone.press("Log out")
        await someone.go("/", 404)  # the code was good once, and there is no other way in
        assert someone.path == "/login"


async def test_a_yes_lets_the_call_through_once(clerk: Agent, upstream: Desk, omar: Window) -> None:
    request = await asked(clerk, "the spring price list")
    await omar.go("/approvals")
    await omar.page.locator(f'a[href="/approvals/{request}"]').click()
    await omar.see("the spring price list")
    await omar.press("Approve once")
    await omar.see("approved by omar")
    assert (await clerk.call("desk.publish", text="the spring price list")).done
    again = await clerk.call("desk.publish", text="the spring price list")
    assert not again.done
    assert len(upstream.calls) == 1
    await expect(omar.page.locator("#live")).to_contain_text("executed")  # without being asked
    assert await omar.page.get_by_role("button", name="Approve once").count() == 0


async def test_a_no_stays_a_no(clerk: Agent, upstream: Desk, omar: Window) -> None:
    request = await asked(clerk, "the salaries")
    await omar.go(f"/approvals/{request}")
    denial = omar.page.locator('form[action$="/deny"]')
    await denial.get_by_label("Why").select_option("wrong target")
    await omar.press("Deny")
    await expect(omar.page.locator("#live")).to_contain_text("denied")
    answer = await clerk.call("desk.publish", text="the salaries")
    assert (answer.code, answer.approval) == ("approval.denied", request)
    assert upstream.calls == []


async def test_an_answer_that_comes_too_late_counts_for_nothing(
    clerk: Agent, upstream: Desk, gateway: Running, omar: Window
) -> None:
    request = await asked(clerk, "late")
    await omar.go(f"/approvals/{request}")
    gateway.clock.pass_s(600)
    await omar.press("Approve once")
    await omar.see("expired")
    approvals = gateway.gateway.services.state.approvals
    await gateway.until(lambda: getattr(approvals.get(request), "state", "") == "expired")
    await omar.go(f"/approvals/{request}")
    await expect(omar.page.locator("#live")).to_contain_text("expired")
    assert await omar.page.get_by_role("button", name="Approve once").count() == 0
    assert not (await clerk.call("desk.publish", text="late")).done
    assert upstream.calls == []


async def test_a_yes_to_one_thing_is_none_to_another(
    clerk: Agent, upstream: Desk, omar: Window
) -> None:
    await omar.go(f"/approvals/{await asked(clerk, 'ten copies')}")
    await omar.press("Approve once")
    await omar.see("approved by omar")
    other = await asked(clerk, "ten thousand copies")
    assert upstream.calls == []
    await omar.go(f"/approvals/{other}")
    assert "0 of 1" in await omar.text()
    await expect(omar.page.get_by_role("button", name="Approve once")).to_be_enabled()


async def test_an_answer_with_another_digest_than_that_of_what_was_shown_is_refused(
    clerk: Agent, gateway: Running, omar: Window
) -> None:
    request = await asked(clerk, "as shown")
    await omar.go(f"/approvals/{request}")
    await omar.page.evaluate(
        "document.querySelectorAll('[name=digest]').forEach((e) => e.value = '0'.repeat(64))"
    )
    await omar.press("Approve once")
    await omar.see("approval.changed")
    found = gateway.gateway.services.state.approvals.get(request)
    assert found is not None
    assert found.state == "asked"


async def test_two_windows_answer_and_the_first_counts(
    browser: Browser, gateway: Running, clerk: Agent, omar: Window
) -> None:
    request = await asked(clerk, "at once")
    await omar.go(f"/approvals/{request}")
    async with window(browser, gateway, "omar") as second:
        await second.go(f"/approvals/{request}")
        await second.press("Deny")
        await second.see("denied")
    await expect(omar.page.locator("#live")).to_contain_text("denied")
    await omar.press("Approve once")
    await omar.see("approval.ended")
    assert (await clerk.call("desk.publish", text="at once")).code == "approval.denied"

"""Runs and drafts in a browser: live, and without being in anybody's way."""

import pytest
from playwright.async_api import Browser

from tests.browser.axe import violations
from tests.harness.chromium import COLOURS, Window, window
from tests.harness.gateway import Running
from tests.harness.policy import DESK
from tests.harness.upstream import Desk
from tests.orchestration.house import flow

pytestmark = pytest.mark.asyncio(loop_scope="session")

PUBLISH = {"tool": {"name": "desk.publish", "args": {"text": "out"}}}
PAY = {"tool": {"name": "desk.pay", "args": {"amount": 4, "to": "alice@example.com"}}}
LOOK = {"tool": {"name": "desk.look", "args": {"at": {"from": "/input/at"}}}}
BOUND = {"contract": {"of": LOOK, "tools": ["desk.look"]}}
FLOWS = (
    flow({"sequential": [BOUND, {"emit": "looked"}, PUBLISH]}, "clerk-2"),
    flow({"sequential": [PAY, PAY]}, "clerk-3"),
)
POLICY = DESK.replace(
    "desk.pay: {risk: irreversible,",
    "desk.pay: {undo: {tool: desk.send, args: {to: args.to}}, risk: irreversible,",
)


async def paid(gateway: Running) -> str:
    """A run that has paid twice."""
    services = gateway.gateway.services
    assert services.runs is not None
    run = await services.runs.start("clerk-3", None, by="test", key=None)
    await gateway.until(lambda: services.state.runs.get(run.id).state == "ended")
    return run.id


async def test_the_page_of_a_run_follows_it(gateway: Running, upstream: Desk, vera: Window) -> None:
    services = gateway.gateway.services
    assert services.runs is not None
    run = await services.runs.start("clerk-2", {"at": "x"}, by="test", key=None)
    await vera.go(f"/runs/{run.id}")
    await vera.see("looked")
    await vera.see("Rights on the way")
    assert await violations(vera.page) == []
    await services.runs.cancel(run.id, by="test")
    await vera.see("cancelled")
    assert vera.troubles == []


async def test_a_draft_is_drawn_while_it_is_written(gateway: Running, adam: Window) -> None:
    await adam.go("/runs/flows/draft")
    text = adam.page.get_by_label("The flow, as YAML")
    await text.fill("apiVersion: passavant/v1\nkind: Flow\nname: mine\nflow: desk.look\n")
    await adam.see("no policy names the agent 'mine'")
    await adam.page.locator("#drawn svg").get_by_text("desk.look").wait_for()
    await text.fill("flow: [")
    await adam.see("This is no flow yet.")
    assert await text.input_value() == "flow: ["
    assert adam.path == "/runs/flows/draft"
    assert adam.troubles == []


async def test_a_run_is_taken_back_as_it_was_shown(
    gateway: Running, upstream: Desk, adam: Window
) -> None:
    await adam.go(f"/runs/{await paid(gateway)}")
    await adam.page.get_by_role("link", name="What would be taken back").click()
    await adam.see("1. desk.pay")
    assert len(upstream.calls) == 2
    await adam.open("Take it back")
    for colours in COLOURS:
        await adam.page.emulate_media(color_scheme=colours)
        assert await violations(adam.page) == []
    await adam.page.get_by_label("to confirm").fill("yes")
    await adam.press("Take it back")
    await adam.see("Type take it back to confirm")
    await adam.page.go_back()
    await adam.open("Take it back")
    await adam.page.get_by_label("to confirm").fill("take it back")
    await adam.press("Take it back")
    await adam.page.locator("#live .said.good").wait_for()  # without being asked
    assert [call.tool for call in upstream.calls] == ["pay", "pay", "send", "send"]
    assert adam.troubles == []


async def test_somebody_without_scripts_forks_and_takes_back(
    browser: Browser, gateway: Running, upstream: Desk
) -> None:
    run = await paid(gateway)
    async with window(browser, gateway, "adam", scripts=False, width=360) as adam:
        await adam.go(f"/runs/{run}")
        await adam.page.get_by_role("link", name="Fork from a step").click()
        await adam.page.get_by_label("2. 2:desk.pay").check()
        await adam.press("Fork from this step")
        await adam.see("Goes on from")
        await upstream.called(3)
        await adam.go(f"/runs/{run}/rollback")
        await adam.open("Take it back")
        await adam.page.get_by_label("to confirm").fill("take it back")
        await adam.press("Take it back")
        await upstream.called(5)
        assert [call.tool for call in upstream.calls] == ["pay", "pay", "pay", "send", "send"]


async def test_the_steps_to_fork_from_stand_in_nobodys_way(gateway: Running, adam: Window) -> None:
    await adam.go(f"/runs/{await paid(gateway)}/fork")
    for colours in COLOURS:
        await adam.page.emulate_media(color_scheme=colours)
        assert await violations(adam.page) == []

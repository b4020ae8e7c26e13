"""Runs and drafts in a browser: live, and without being in anybody's way."""

import pytest

from tests.harness.chromium import Window
from tests.harness.gateway import Running
from tests.harness.upstream import Desk
from tests.orchestration.house import flow

pytestmark = pytest.mark.asyncio(loop_scope="session")

PUBLISH = {"tool": {"name": "desk.publish", "args": {"text": "out"}}}
FLOWS = (flow({"sequential": ["desk.look", PUBLISH]}, "clerk-2"),)


async def test_the_page_of_a_run_follows_it(gateway: Running, upstream: Desk, vera: Window) -> None:
    services = gateway.gateway.services
    assert services.runs is not None
    run = await services.runs.start("clerk-2", {"at": "x"}, by="test", key=None)
    await vera.go(f"/runs/{run.id}")
    await vera.see("desk.look")
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

"""Every page in a browser: nothing stands in anybody's way, in either colours, at any width."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from gateway.approval.request import Request
from tests.browser.axe import violations
from tests.browser.pages import PATHS
from tests.harness.chromium import COLOURS, Window, window
from tests.harness.gateway import Running
from tests.orchestration.house import flow

pytestmark = pytest.mark.asyncio(loop_scope="session")

MOST_SCRIPT = 60_000
"""Bytes of script that a page may run, as they are, not compressed."""

FLOWS = (flow({"sequential": ["desk.look", {"parallel": ["desk.look", "desk.look"]}]}, "clerk-2"),)

every_page = pytest.mark.parametrize("path", PATHS)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def asked(shared: tuple[Running, object]) -> Request:
    gateway = shared[0]
    answered = await (await gateway.agent()).call("desk.publish", text="a price list")
    assert answered.approval is not None
    found = gateway.gateway.services.state.approvals.get(answered.approval)
    assert found is not None
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def run_id(shared: tuple[Running, object]) -> str:
    services = shared[0].gateway.services
    assert services.runs is not None
    run = await services.runs.start("clerk-2", {"at": "x"}, by="test", key=None)
    await shared[0].until(lambda: services.state.runs.get(run.id).state == "ended")
    return run.id


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def one(browser: Browser, shared: tuple[Running, object]) -> AsyncIterator[Window]:
    async with window(browser, shared[0], "omar") as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def omar(one: Window, asked: Request, run_id: str, path: str) -> AsyncIterator[Window]:
    """The same window for every page, each of which has to behave."""
    await one.page.set_viewport_size({"width": 1280, "height": 900})
    await one.page.emulate_media(color_scheme="light")
    names = {"REQUEST": asked.id, "ENTRY": str(asked.index), "RUN": run_id}
    for name, value in names.items():
        path = path.replace(name, value)
    await one.go(path)
    yield one
    assert one.troubles == []


@every_page
async def test_a_page_stands_in_nobodys_way(omar: Window, path: str) -> None:
    assert await violations(omar.page) == []
    await omar.page.emulate_media(color_scheme="dark")
    assert await violations(omar.page) == []


@every_page
async def test_a_page_fits_a_phone(omar: Window, path: str) -> None:
    await omar.page.set_viewport_size({"width": 360, "height": 640})
    wide = await omar.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 360


@every_page
async def test_a_page_runs_little_script(omar: Window, path: str) -> None:
    weights = await omar.page.evaluate(
        """() => performance.getEntriesByType("resource")
             .filter((each) => each.initiatorType === "script")
             .map((each) => each.decodedBodySize)"""
    )
    assert sum(weights) <= MOST_SCRIPT
    assert weights or path == "/login"


async def test_the_way_in_stands_in_nobodys_way(browser: Browser, gateway: Running) -> None:
    await gateway.operate("POST", "/api/operators/code", {}, by="vera")
    async with window(browser, gateway, width=360) as someone:
        await someone.go("/login")
        await someone.page.get_by_label("The code").fill("wrong")
        await someone.press("Log in")
        for colours in COLOURS:
            await someone.page.emulate_media(color_scheme=colours)
            assert await violations(someone.page) == []
        wide = await someone.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 360


@pytest.mark.parametrize("gone", ["/approvals/none", "/audit/entries/999999", "/servers/none"])
async def test_what_is_not_there_stands_in_nobodys_way(one: Window, gone: str) -> None:
    await one.go(gone, 404)
    assert await violations(one.page) == []
    assert one.troubles == []

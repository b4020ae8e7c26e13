"""A person before a real browser, which notices whatever a page of ours must not do.

    async with chromium() as browser, window(browser, gateway, "omar") as omar:
        await omar.go("/approvals")
        await omar.press("Approve once")

An error on the console, an exception that nobody caught, a breach of the page's own policy, a
question put by a script, a second window or a request that leaves the gateway fails the test.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Error,
    Locator,
    Page,
    Request,
    TimeoutError,  # noqa: A004 - theirs is not the one of the language
    async_playwright,
    expect,
)

from tests.harness.gateway import Running
from tests.harness.reached import LONGEST_S

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
MISSING = (
    "NO BROWSER: pages were not tested in one; install Chromium (Debian: apt install chromium)"
)

_ALONE = (
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--disable-dev-shm-usage",  # containers give it little
)
_BREACHES = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""

expect.set_options(timeout=LONGEST_S * 1000)

Colours = Literal["light", "dark"]
COLOURS: tuple[Colours, ...] = ("light", "dark")


def program() -> str:
    """Where Chromium is. Skips the test where there is none, and fails it where `CI` is set."""
    for name in NAMES:
        if (found := shutil.which(name)) is not None:
            return found
    if os.environ.get("CI"):
        pytest.fail(MISSING, pytrace=False)
    pytest.skip(MISSING)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser that reaches nothing but this machine."""
    found = program()
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=found, args=_ALONE)
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Window:
    """One person's window, with cookies of its own.

    url       where the gateway is, as the person reaches it
    troubles  what pages did that they must not; a test may take out what it provoked
    """

    url: str
    page: Page
    troubles: list[str] = field(default_factory=list)

    async def go(self, path: str, status: int = 200) -> None:
        """Open a page, which answers with `status`."""
        answered = await self.page.goto(f"{self.url}{path}")
        assert answered is not None
        assert answered.status == status, f"{path}: {answered.status}"

    async def press(self, name: str) -> None:
        """Press the one button of this name, and wait for where it leads."""
        async with self.page.expect_navigation():
            await self.page.get_by_role("button", name=name, exact=True).click()

    async def open(self, name: str) -> None:
        """Open the one fold of this name."""
        await self.page.locator("summary", has_text=name).click()

    async def see(self, text: str) -> None:
        """Wait until the page shows this text."""
        try:
            await self.page.get_by_text(text).first.wait_for()
        except TimeoutError:
            shown = await self.page.locator("body").inner_text()
            raise AssertionError(f"{text!r} is not on {self.path}: {shown}") from None

    async def text(self) -> str:
        """What stands on the page, without its frame."""
        return await self.main.inner_text()

    @property
    def main(self) -> Locator:
        """The page without its frame."""
        return self.page.locator("main")

    @property
    def path(self) -> str:
        """Where the window is."""
        return self.page.url.removeprefix(self.url)

    async def log_in(self, code: str) -> None:
        """Be known from now on, by a one-time code."""
        sent = await self.page.context.request.post(
            f"{self.url}/login", form={"code": code}, headers={"origin": self.url}
        )
        assert sent.ok, await sent.text()


@asynccontextmanager
async def window(
    browser: Browser,
    gateway: Running,
    who: str | None = None,
    *,
    scripts: bool = True,
    colours: Colours = "light",
    width: int = 1280,
    **more: Any,  # noqa: ANN401 - of Playwright
) -> AsyncIterator[Window]:
    """A window of its own; whoever is named is logged in.

    scripts  False: as somebody has it who lets no page run any
    width    of the page, in CSS pixels
    """
    context = await browser.new_context(
        java_script_enabled=scripts,
        color_scheme=colours,
        viewport={"width": width, "height": 900},
        **more,
    )
    context.set_default_timeout(LONGEST_S * 1000)
    await context.add_init_script(_BREACHES)
    try:
        page = await context.new_page()
        found = Window(gateway.gateway.services.settings.operators_url, page)
        _watch(context, found)
        if who is not None:
            given = await gateway.operate("POST", "/api/operators/code", {}, by=who)
            await found.log_in(given.json()["code"])
        yield found
        await page.title()  # what is on its way arrives before it
    finally:
        await context.close()
    assert found.troubles == []


def _watch(context: BrowserContext, found: Window) -> None:
    """Note what no page may do."""

    def said(message: ConsoleMessage) -> None:
        # That a page was refused is told here too; which status it has, tests say.
        is_own_status = message.text.startswith("Failed to load resource") and (
            message.location["url"] == found.page.url
        )
        if message.type in {"error", "warning"} and not is_own_status:
            found.troubles.append(f"{message.type}: {message.text}")

    def asked(request: Request) -> None:
        if not request.url.startswith(f"{found.url}/"):
            found.troubles.append(f"request: {request.url}")

    async def questioned(dialog: Dialog) -> None:
        found.troubles.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    context.on("console", said)
    context.on("request", asked)
    context.on("dialog", questioned)
    context.on("weberror", lambda error: found.troubles.append(f"exception: {_of(error.error)}"))
    context.on("page", lambda page: found.troubles.append(f"window: {page.url}"))


def _of(error: Error) -> str:
    return error.message

"""The window that other tests look through notices what it is there to notice."""

import pytest
from playwright.async_api import Route

from tests.browser.axe import violations
from tests.harness.chromium import MISSING, Window, program

pytestmark = pytest.mark.asyncio(loop_scope="session")

STRICT = "default-src 'none'; script-src 'nonce-n'"


@pytest.mark.parametrize(
    ("body", "policy", "noticed"),
    [
        pytest.param("<script>x</script>", STRICT, "error: policy: script-src", id="inline"),
        pytest.param("<p onclick=x>", STRICT, "error: policy: script-src-attr", id="handler"),
        pytest.param("<img src=/x.png>", STRICT, "error: policy: img-src", id="picture"),
        pytest.param("<img src=https://evil.example/x>", "", "request: https://evil", id="outside"),
        pytest.param("<script>throw Error('o no')</script>", "", "exception: o no", id="thrown"),
        pytest.param("<script>Promise.reject(Error('late'))</script>", "", "exception", id="later"),
        pytest.param("<script>console.error('hm')</script>", "", "error: hm", id="error"),
        pytest.param("<script>alert('hi')</script>", "", "dialog: hi", id="dialog"),
        pytest.param("<script>open('/x')</script>", "", "window: ", id="window"),
        pytest.param("<link rel=stylesheet href=/no.css>", "", "error: Refused", id="not-there"),
    ],
)
async def test_what_a_page_must_not_do_is_noticed(
    vera: Window, body: str, policy: str, noticed: str
) -> None:
    async def bad(route: Route) -> None:
        headers = {"content-type": "text/html", "content-security-policy": policy}
        await route.fulfill(body=f"<!doctype html><body>{body}", headers=headers)

    await vera.page.route("**/bad", bad)
    await vera.go("/bad")
    await vera.page.title()
    assert any(each.startswith(noticed) for each in vera.troubles), vera.troubles
    vera.troubles.clear()


async def test_a_page_that_somebody_cannot_use_is_noticed(vera: Window) -> None:
    await vera.go("/")
    assert await violations(vera.page) == []
    await vera.page.evaluate("document.querySelector('main').innerText = ''")
    await vera.page.evaluate(
        """() => {
          const field = document.createElement("input");
          const pale = document.createElement("p");
          pale.textContent = "hardly to be read";
          const colours = new CSSStyleSheet();
          colours.replaceSync("main p { color: #999; background: #aaa }");
          document.adoptedStyleSheets = [colours];
          document.querySelector("main").append(field, pale);
        }"""
    )
    rules = {each.partition(":")[0] for each in await violations(vera.page)}
    assert {"label", "color-contrast"} <= rules


async def test_a_missing_browser_is_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=MISSING[:10]):
        program()
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match=MISSING[:10]):
        program()

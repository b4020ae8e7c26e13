"""Every page: who may see it, what goes with it, and that it is whole without scripts."""

import re
from html.parser import HTMLParser

import httpx
import pytest

from console.frame import NAVIGATION
from tests.harness.console import Person, csrf_of
from tests.harness.gateway import Running

pytestmark = pytest.mark.asyncio(loop_scope="module")

DETAILS = [
    "/agents/clerk-1",
    "/audit/entries/0",
    "/policies/draft",
    "/policies/matrix",
    "/policies/tests",
    "/policies/try",
    "/servers/desk",
]
PAGES = [*(path for path, _ in NAVIGATION), *DETAILS]
EMPTY = {"area", "br", "hr", "img", "input", "link", "meta", "line", "rect"}


class Outline(HTMLParser):
    """What of a page its markup says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY:
            assert self.open.pop() == tag

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_whole_markup_with_one_heading(vera: Person, path: str) -> None:
    page = await vera.get(path)
    assert page.status_code == 200, page.text
    outline = Outline(page.text)
    assert outline.open == []
    assert [tag for tag, _ in outline.tags].count("h1") == 1
    assert [tag for tag, _ in outline.tags].count("main") == 1
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_has_no_script_or_style_in_it(vera: Person, path: str) -> None:
    page = await vera.get(path)
    outline = Outline(page.text)
    assert outline.named("style") == []
    assert [attrs for _, attrs in outline.tags if "style" in attrs] == []
    assert [a for _, attrs in outline.tags for a in attrs if a.startswith(("on", "hx-on"))] == []
    assert not re.search(r"<script[^>]*>[^<]", page.text)
    nonces = {attrs["nonce"] for attrs in outline.named("script")}
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'nonce-")
    assert {f"'nonce-{nonce}'" for nonce in nonces} == set(re.findall(r"'nonce-[^']+'", policy))
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", PAGES)
async def test_everything_that_a_page_loads_is_ours(vera: Person, path: str) -> None:
    outline = Outline((await vera.get(path)).text)
    loaded = [attrs["src"] for _, attrs in outline.tags if "src" in attrs]
    loaded += [attrs["href"] for attrs in outline.named("link")]
    assert loaded
    for each in loaded:
        assert each is not None
        assert each.startswith("/static/")
        found = await vera.get(each)
        assert found.status_code == 200
        assert "immutable" in found.headers["cache-control"]


@pytest.mark.parametrize("path", PAGES)
async def test_each_form_carries_the_secret_and_leads_here(vera: Person, path: str) -> None:
    page = await vera.get(path)
    forms = re.findall(r"<form[^>]*>.*?</form>", page.text, re.DOTALL)
    assert forms
    for form in forms:
        assert re.search(r'action="/(?!/)', form)
        assert 'method="get"' in form or f'name="csrf" value="{csrf_of(page)}"' in form


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_kept_by_nobody_and_framed_by_nobody(vera: Person, path: str) -> None:
    headers = (await vera.get(path)).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", PAGES)
async def test_whoever_is_not_logged_in_is_shown_the_way(gateway: Running, path: str) -> None:
    answered = await gateway.http.get(gateway.operators_url + path)
    assert answered.status_code == 303
    assert answered.headers["location"] == "/login"
    assert not answered.content


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_takes_no_key(gateway: Running, path: str) -> None:
    answered = await gateway.operate("GET", path, check=False)
    assert answered.status_code == 303


async def test_a_cookie_of_nobody_opens_nothing(gateway: Running) -> None:
    answered = await gateway.http.get(
        gateway.operators_url + "/", headers={"cookie": "passavant=made-up"}
    )
    assert answered.status_code == 303


@pytest.mark.parametrize("path", PAGES)
async def test_agents_reach_no_page(gateway: Running, path: str) -> None:
    answered = await gateway.http.get(gateway.url + path)
    assert answered.status_code in {401, 404, 405}
    assert "html" not in answered.headers.get("content-type", "")


async def test_what_a_page_asks_by_itself_leads_to_the_log_in(gateway: Running) -> None:
    answered = await gateway.http.get(gateway.operators_url + "/", headers={"hx-request": "true"})
    assert answered.status_code == 401
    assert answered.headers["hx-redirect"] == "/login"


async def test_a_page_that_asks_by_itself_keeps_nobody_logged_in(
    gateway: Running, vera: Person
) -> None:
    def seen() -> list[int]:
        return [each.seen for each in gateway.gateway.services.ways_in.browsers._sessions.values()]

    gateway.clock.pass_s(100)
    before = seen()
    await vera.get("/", headers={"hx-request": "true"})
    assert seen() == before
    await vera.get("/")
    assert seen() != before


# -- forms that are not ours ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "headers", "code"),
    [
        pytest.param({}, {}, "operator.csrf", id="no-secret"),
        pytest.param({"csrf": "x" * 43}, {}, "operator.csrf", id="wrong-secret"),
        pytest.param(None, {"origin": None}, "operator.origin", id="no-origin"),
        pytest.param({"pad": "x" * 70_000}, {}, "operator.body", id="too-large"),
    ],
)
async def test_a_form_that_is_not_ours_does_nothing(
    vera: Person,
    fields: dict[str, str] | None,
    headers: dict[str, str | None],
    code: str,
) -> None:
    page = await vera.get("/")
    given = {"csrf": csrf_of(page)} if fields is None else fields
    answered = await vera.post("/theme", {**given, "theme": "dark", "back": "/"}, **headers)
    assert code in answered.text
    assert answered.status_code in {400, 403}
    assert "passavant-theme" not in vera.http.cookies


async def test_a_form_from_another_page_is_refused_before_it_is_read(vera: Person) -> None:
    page = await vera.get("/")
    fields = {"csrf": csrf_of(page), "theme": "dark", "back": "/"}
    answered = await vera.post("/theme", fields, origin="https://evil.example")
    assert answered.status_code == 403
    assert answered.json()["code"] == "operator.origin"


async def test_the_secret_of_another_session_is_none(vera: Person, omar: Person) -> None:
    fields = {"csrf": csrf_of(await omar.get("/")), "theme": "dark", "back": "/"}
    assert (await vera.post("/theme", fields)).status_code == 403


# -- colours -------------------------------------------------------------------------------------


async def test_somebody_chooses_their_colours(vera: Person) -> None:
    page = await vera.get("/")
    assert 'data-theme="system"' in page.text
    after = await vera.send(page, "/theme", theme="dark", back="/")
    assert 'data-theme="dark"' in after.text


@pytest.mark.parametrize(
    "back",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""],
)
async def test_the_way_back_leads_nowhere_else(vera: Person, back: str) -> None:
    page = await vera.get("/")
    fields = {"csrf": csrf_of(page), "theme": "light", "back": back}
    answered = await vera.http.post(
        f"{vera.url}/theme", data=fields, headers={"origin": vera.url}, follow_redirects=False
    )
    assert answered.headers["location"] == "/"


@pytest.mark.parametrize("theme", ["neon", '"><script>', ""])
async def test_other_colours_are_refused(vera: Person, theme: str) -> None:
    answered = await vera.send(await vera.get("/"), "/theme", theme=theme, back="/")
    assert answered.status_code == 400


async def test_an_asset_is_served_under_its_own_hash_alone(vera: Person) -> None:
    answered = await vera.get(f"/static/{'0' * 32}/style.css")
    assert isinstance(answered, httpx.Response)
    assert answered.status_code == 404

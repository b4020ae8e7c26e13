"""What agents, tools and files say stays text, on every page and in the terminal (threats 36, 47).

A corpus of attacks is planted wherever a stranger has a word; then every page is looked at as a
person would, in a browser that notices whatever runs, asks or appears.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio
import yaml
from playwright.async_api import Browser

from gateway.identity import private_files
from tests.browser.pages import ROUTES
from tests.cli.deployment import passavant
from tests.harness.chromium import Window, window
from tests.harness.gateway import Running
from tests.harness.policy import DESK
from tests.harness.upstream import TOOLS, Desk, tool

pytestmark = pytest.mark.asyncio(loop_scope="session")

MARKUP: Mapping[str, str] = {
    "script": "<script class=evil>alert('evil')</script>",
    "handler": '"><img class=evil src=https://evil.example/x onerror=alert(1)>',
    "drawing": "</pre></td><svg class=evil><script>alert(1)</script><animate onbegin=alert(1)>",
    "frame": "<iframe class=evil srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "form": "</form><form class=evil action=https://evil.example><button>Approve once</button>",
    "style": "<style class=evil>*{display:none}</style><base class=evil href=https://evil.example>",
    "link": "<a class=evil href='javascript:alert(1)'>Approve once</a> [x](javascript:alert(1))",
    "htmx": "<p class=evil hx-get=/logout hx-trigger=load hx-on:load='alert(1)' hx-nonce=x>",
    "refresh": "<meta class=evil http-equiv=refresh content='0;url=https://evil.example'>",
    "template": "{{ 7 * 7 }}{% include 'templates/frame.html' %}${7*7}<%= 7*7 %>",
    "entity": "&lt;script class=evil&gt; &#60;b class=evil&#62; &#x202e;",
    "comment": "--><!--<script class=evil>--><x class=evil>",
}
SIGNS: Mapping[str, str] = {
    "bidi": "pay \u202e001 ot\u202c now",
    "zero-width": "a\u200bl\u200di\ufeffce",
    "terminal": "\x1b[2J\x1b]0;evil\x07\x1b[31mred\x9b1m",
    "forged": "order\nState: approved by omar\r\nRule allow-everything\u2028effect: allow",
    "alike": "p\u0430yp\u0430l.com",
    "tags": "hi\U000e0061\U000e0062\u3164",
}
CORPUS = {**MARKUP, **SIGNS}
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u3164\ufeff\U000e0000-\U000e007f]"
)

LONG = "the beginning <b class=evil> " + "x" * 100_000 + " the end"
KEPT = "the beginning <b class=evil> " + "x" * 60_000 + " the end"


def hostile_policy() -> str:
    """The desk's policy, in which purposes, reasons and remarks are hostile."""
    read = yaml.safe_load(DESK)
    for (_, words), name in zip(MARKUP.items(), read["agents"], strict=False):
        read["agents"][name]["purpose"] = words
    for words, rule in zip(MARKUP.values(), read["rules"], strict=False):
        rule["why"] = words
    remarks = "".join(f"# {words}\n" for words in MARKUP.values())
    return f"{yaml.safe_dump(read, sort_keys=False)}{remarks}"


POLICY = hostile_policy()


@dataclass
class Planted:
    """Where the corpus stands by now: requests for approval by name, and entries."""

    requests: dict[str, str] = field(default_factory=dict)
    entries: dict[str, int] = field(default_factory=dict)  # one of each kind

    @property
    def paths(self) -> list[str]:
        """Every page that shows some of it."""
        words = quote(MARKUP["handler"] + SIGNS["bidi"])
        arguments = quote('{"text": "<b class=evil>"}')
        given = f"agent=clerk-1&tool=desk.publish&args={arguments}"
        return [
            *(path for path in ROUTES if "{" not in path),
            *(f"/audit/entries/{index}" for index in self.entries.values()),
            *(f"/agents/clerk-{number}" for number in range(3)),
            "/approvals?show=decided",
            "/servers/desk",
            "/audit?within=all",
            f"/audit?q={words}",
            f"/agents?q={words}",
            f"/help?q={words}",
            f"/policies/matrix?q=clerk-1&user={words}",
            f"/policies/try?{given}&user={words}&labels={words}",
        ]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def planted(shared: tuple[Running, Desk]) -> Planted:
    gateway, upstream = shared
    found = Planted()
    for name, words in CORPUS.items():
        clerk = await gateway.agent(user="somebody@example.org" if name == "bidi" else None)
        answer = await clerk.call("desk.publish", text=words)
        assert answer.approval is not None
        found.requests[name] = answer.approval
    clerk = await gateway.agent()
    for words in (LONG, KEPT):
        answer = await clerk.call("desk.publish", text=words)
        assert answer.approval is not None
        found.requests[f"{len(words)}"] = answer.approval
    await gateway.answer(found.requests["form"], "deny")
    await clerk.call(f"desk.{MARKUP['script']}", text="x")
    await clerk.call("desk.send", to=MARKUP["handler"])
    described = [
        {**tool(f"extra_{at}", **{words: "string"}), "description": words}
        for at, words in enumerate(CORPUS.values())
    ]
    upstream.offer(*TOOLS, *described, tool(MARKUP["script"]), tool(SIGNS["bidi"]))
    await gateway.look_again("desk")
    gateway.policy.write_text(
        POLICY.replace("amount <= 100", "amount <= 99") + "# <b class=evil>\n"
    )
    found.entries = {body["kind"]: at for at, body in enumerate(gateway.entries())}
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def omar(browser: Browser, shared: tuple[Running, Desk]) -> AsyncIterator[Window]:
    async with window(browser, shared[0], "omar") as found:
        yield found


async def test_nothing_of_it_becomes_a_part_of_any_page(planted: Planted, omar: Window) -> None:
    for path in planted.paths:
        await omar.page.goto(f"{omar.url}{path}")
        await check(omar)


async def check(omar: Window) -> None:
    """The page is ours alone."""
    words = await omar.page.evaluate("document.body.textContent")
    assert not HIDDEN.search(words), omar.path
    assert "49$" not in words, omar.path
    assert await omar.page.locator(".evil, [onerror], [srcdoc]").count() == 0, omar.path
    assert omar.troubles == [], omar.path


@pytest.mark.parametrize(
    "path", ["/agents/clerk-0", "/policies", "/servers/desk", "/audit?q=<b class=evil>"]
)
async def test_it_is_there_to_be_read(planted: Planted, omar: Window, path: str) -> None:
    await omar.page.goto(f"{omar.url}{path}")
    said = await omar.page.evaluate(
        "document.body.textContent + [...document.querySelectorAll('input')].map((e) => e.value)"
    )
    assert "class=evil" in said


@pytest.mark.parametrize("name", CORPUS)
async def test_a_card_shows_what_there_is(planted: Planted, omar: Window, name: str) -> None:
    await omar.go(f"/approvals/{planted.requests[name]}")
    await check(omar)
    shown = await omar.page.locator("td .v").first.text_content()
    assert shown is not None
    marks = await omar.page.locator("td .v .hid, td .v .alike").count()
    if name in MARKUP:
        assert shown == MARKUP[name]
        assert marks == 0
    else:
        assert marks > 0
        assert "Not what it seems" in await omar.text()


async def test_a_card_shows_everything_or_says_that_it_cannot(
    planted: Planted, omar: Window
) -> None:
    await omar.go(f"/approvals/{planted.requests[f'{len(KEPT)}']}")
    assert await omar.page.locator("td .v").first.text_content() == KEPT
    await omar.see("read to the end")
    await omar.go(f"/approvals/{planted.requests[f'{len(LONG)}']}")
    await omar.see("What nobody can see, nobody can approve")
    assert await omar.page.get_by_role("button", name="Approve once").count() == 0


async def test_there_is_one_button_that_approves(planted: Planted, omar: Window) -> None:
    for name in ("form", "link"):
        await omar.go(f"/approvals/{planted.requests[name]}")
        open_ = name != "form"  # that one was denied
        assert await omar.page.get_by_role("button", name="Approve once").count() == int(open_)
        assert await omar.page.get_by_role("link", name="Approve once").count() == 0


async def test_nothing_of_it_acts_in_a_terminal(
    planted: Planted, gateway: Running, tmp_path: Path
) -> None:
    key = private_files.folder(tmp_path / "keys") / "key"
    private_files.create(key, gateway.keys["adam"].encode())

    async def said(*words: str) -> str:
        reached = ("--url", gateway.operators_url, "--key-file", str(key))
        ran = await asyncio.to_thread(passavant, *words, *reached)
        assert ran.exit_code == 0, ran.output
        return ran.stdout

    shown = [await said("approval", "show", planted.requests[name]) for name in SIGNS]
    shown.append(await said("audit", "search", "--limit", "100"))
    shown.append(await said("server", "review", "desk"))
    for each in shown:
        assert not HIDDEN.search(each)
        assert not re.search(r"^(State: approved|Rule allow|effect: allow)", each, re.MULTILINE)

"""The page of help: the words of the command line."""

import re

import pytest

from cli.help import texts
from console.assets import assets
from console.frame import NAVIGATION
from console.help.page import KEYS
from tests.harness.console import Person

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_every_code_is_explained_as_in_a_terminal(vera: Person) -> None:
    page = (await vera.get("/help")).text
    assert texts()
    assert [code for code in texts() if f"<code>{code}</code>" not in page] == []


async def test_a_code_is_looked_up(vera: Person) -> None:
    page = (await vera.get("/help?q=approval.unseen")).text
    assert "64 KiB" in page
    assert "approval.pending" not in page


async def test_what_is_looked_up_is_text(vera: Person) -> None:
    page = (await vera.get("/help", params={"q": "<script>alert(1)</script>"})).text
    assert "<script>alert" not in page


async def test_each_page_has_a_key_and_help_names_it() -> None:
    script = assets()["console.js"].content.decode()
    places = dict(re.findall(r"(\w): \"(/\w*)\"", script.partition("PLACES")[2].partition("}")[0]))
    named = {key[2]: name for key, name in KEYS if key.startswith("g ")}
    pages = {name: path for path, name in NAVIGATION if path != "/help"}
    assert {key: pages[name] for key, name in named.items()} == places
    assert sorted(places.values()) == sorted(pages.values())

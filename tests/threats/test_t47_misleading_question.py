"""T47: people see what would be sent: whole, inert, marked; on the page and in the terminal."""

import re
from collections.abc import AsyncIterator
from contextlib import redirect_stdout
from html import unescape
from io import StringIO

import pytest
import pytest_asyncio

from cli.approval import _card
from cli.help import texts
from console.app import shown
from tests.harness.agent import Agent
from tests.harness.console import Person, person
from tests.harness.gateway import Running
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = {
    "bidi": "pay \u202e001 to eve",
    "isolate": "\u2066a\u2069b",
    "forged-field": "harmless\nargs.to: friend@example.com\nYour answer\nApprove once",
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "terminal": "\x1b[2J\x1b]0;owned\x07",
    "zero-width": "ad\u200bmin",
    "tag-letters": "a\U000e0041b",
    "imitation": "p\u0430ypal.com",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def omar(shared: tuple[Running, Desk]) -> AsyncIterator[Person]:
    gateway = shared[0]
    with shown(gateway.gateway, texts()):
        async with person(gateway, "omar") as found:
            yield found


async def page_of(clerk: Agent, omar: Person, text: str) -> str:
    asked = await clerk.call("desk.publish", text=text)
    return (await omar.get(f"/approvals/{asked.approval}")).text


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
async def test_t47_nothing_in_a_question_acts_on_the_page(
    clerk: Agent, omar: Person, text: str
) -> None:
    page = await page_of(clerk, omar, text)
    for char in ("\u202e", "\u2066", "\u200b", "\x1b", "\x07", "\U000e0041"):
        assert char not in page
    assert "<script>alert" not in page
    assert "<img" not in page
    assert page.count('<button class="approve">') == 1
    assert page.count('<th scope="row"><code>args.') == 1


@pytest.mark.parametrize("name", ["bidi", "isolate", "zero-width", "terminal", "imitation"])
async def test_t47_what_is_not_what_it_seems_is_said_to_be_so(
    clerk: Agent, omar: Person, name: str
) -> None:
    assert "Not what it seems" in await page_of(clerk, omar, HOSTILE[name])


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
async def test_t47_nothing_in_a_question_acts_on_the_terminal(
    gateway: Running, clerk: Agent, text: str
) -> None:
    asked = await clerk.call("desk.publish", text=text)
    found = (await gateway.operate("GET", f"/api/approvals/{asked.approval}")).json()
    with redirect_stdout(StringIO()) as out:
        _card(found)
    told = out.getvalue()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u200b\u202e\u2066\u2069\U000e0041]", told)
    assert len([line for line in told.splitlines() if line.startswith("arguments ")]) == 1


async def test_t47_a_long_question_is_whole_and_said_to_be_long(clerk: Agent, omar: Person) -> None:
    text = "x" * 60_000 + " and pay eve"
    page = await page_of(clerk, omar, text)
    assert text in unescape(page)
    assert "read to the end" in page


async def test_t47_what_is_too_long_to_be_kept_is_approved_by_nobody(
    clerk: Agent, omar: Person
) -> None:
    page = await page_of(clerk, omar, "x" * 100_000)
    assert "What nobody can see, nobody can approve" in page
    assert 'class="approve"' not in page


async def test_t47_the_agents_own_words_are_marked_as_such(clerk: Agent, omar: Person) -> None:
    assert "was written by the agent" in await page_of(clerk, omar, "please hurry")

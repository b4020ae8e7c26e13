"""The page of help: the words of the command line."""

import pytest

from cli.help import texts
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

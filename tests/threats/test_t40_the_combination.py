"""T40: private data, text of strangers and a way out in one session need a person."""

from typing import Any

import pytest

from tests.harness.gateway import Running
from tests.harness.office import POLICY as OFFICE
from tests.harness.office import Office

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = (
    OFFICE.replace(
        "  office.folder: {risk: read, emits: [], result: trusted}",
        "  office.folder: {risk: read, emits: [private], result: trusted}",
    )
    + """\
  - id: not-all-three
    why: Private data, text of strangers and a way out are each allowed, and never together.
    agents: ["*"]
    tools: [office.page, office.send]
    effect: ask
    approval: one-person
    when: "'private' in labels && 'untrusted' in labels && sink != 'internal'"
"""
)
PURPOSE = "Look through my folder and https://news.example, and write to bob@acme.example."
PRIVATE = ("folder", {"path": "/"})
PUBLIC = ("page", {"url": "https://news.example"})
WAYS_OUT = [
    pytest.param("send", {"to": "bob@acme.example", "text": "hi"}, id="a-letter"),
    pytest.param("page", {"url": "http://x.example/?q=it"}, id="an-address-that-was-chosen"),
    pytest.param("page", {"url": "https://news.example"}, id="even-one-that-the-user-named"),
]


@pytest.mark.parametrize("before", [[], [PRIVATE], [PUBLIC]], ids=["neither", "private", "public"])
async def test_t40_each_alone_is_allowed(
    opened: tuple[Running, Office], office: Office, before: list[tuple[str, dict[str, Any]]]
) -> None:
    agent = await opened[0].agent(purpose=PURPOSE)
    for tool, args in before:
        assert (await agent.call(f"office.{tool}", **args)).done
    assert (await agent.call("office.send", to="bob@acme.example", text="hello")).done


@pytest.mark.parametrize("order", [[PRIVATE, PUBLIC], [PUBLIC, PRIVATE]], ids=["one", "other"])
@pytest.mark.parametrize(("tool", "args"), WAYS_OUT)
async def test_t40_the_combination_asks_a_person(
    opened: tuple[Running, Office],
    office: Office,
    order: list[tuple[str, dict[str, Any]]],
    tool: str,
    args: dict[str, Any],
) -> None:
    agent = await opened[0].agent(purpose=PURPOSE)
    for name, stated in order:
        assert (await agent.call(f"office.{name}", **stated)).done
    arrived = len(office.arrived(tool))
    asked = await agent.call(f"office.{tool}", **args)
    assert asked.code == "approval.pending"
    assert len(office.arrived(tool)) == arrived

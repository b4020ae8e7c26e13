"""The link to a server within this process: a permit opens it, and nothing else does."""

import asyncio
from collections.abc import Callable

import pytest

from audit.canonical import Json
from audit.entry import Receipt
from gateway.catalogue.pins import Lock, pin
from gateway.catalogue.tools import Catalogue, own_tool
from gateway.errors import (
    ArgumentsInvalid,
    GatewayError,
    LinkDown,
    LinkLost,
    LinkTimeout,
    NameRefused,
    ToolChanged,
)
from gateway.links.link import Answered, Caller, Permit
from gateway.links.local import LocalLink, OwnTool

DEFINITION: dict[str, Json] = {
    "name": "echo",
    "description": "says it again",
    "inputSchema": {
        "type": "object",
        "properties": {"words": {"type": "string"}},
        "required": ["words"],
    },
}
RECEIPT = Receipt("gw.example/log", 0, bytes(32))


def permit(tool: str = "echo", of: str | None = None, arguments: bytes = b"{}") -> Permit:
    return Permit(
        "own", tool, of or pin(DEFINITION), arguments, Caller("clerk", None), "s1", RECEIPT
    )


async def echo(args: dict[str, Json], _: Permit) -> Answered:
    return Answered({"content": [], "structuredContent": args, "isError": False})


def link(handle: Callable[..., object] = echo) -> LocalLink:
    return LocalLink("own", {"echo": OwnTool(DEFINITION, handle)})  # type: ignore[arg-type]  # some fail


async def test_a_call_with_a_permit_is_answered() -> None:
    answered = await link().call(permit(arguments=b'{"words":"hey"}'), timeout_s=1)
    assert answered.result["structuredContent"] == {"words": "hey"}


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(permit(of="00" * 32), id="another-definition"),
        pytest.param(permit(tool="shout"), id="no-such-tool"),
    ],
)
async def test_a_permit_for_something_else_opens_nothing(foreign: Permit) -> None:
    asked: list[object] = []

    async def note(args: dict[str, Json], _: Permit) -> Answered:
        asked.append(args)
        return Answered({})

    with pytest.raises(ToolChanged):
        await link(note).call(foreign, timeout_s=1)
    assert asked == []


async def fails(_args: dict[str, Json], _: Permit) -> Answered:
    raise ValueError("4000-1234 is the secret")


async def is_away(_args: dict[str, Json], _: Permit) -> Answered:
    raise LinkDown("own", "away")


async def hangs(_args: dict[str, Json], _: Permit) -> Answered:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize(
    ("handle", "error"),
    [
        pytest.param(fails, LinkLost, id="a-defect-may-have-acted"),
        pytest.param(is_away, LinkDown, id="down"),
        pytest.param(hangs, LinkTimeout, id="no-answer"),
    ],
)
async def test_what_goes_wrong_is_an_error_of_a_link(
    handle: Callable[..., object], error: type[GatewayError]
) -> None:
    with pytest.raises(error) as found:
        await link(handle).call(permit(), timeout_s=0.01)
    assert "4000" not in str(found.value)


def test_own_tools_stand_in_the_catalogue_beside_those_of_the_lock() -> None:
    lock = Lock()
    catalogue = Catalogue.of(lock, [own_tool("own", DEFINITION)])
    tool = catalogue.by_published("own__echo")
    assert tool is not None
    assert tool.callable
    assert catalogue.digest == Catalogue.of(lock).digest
    with pytest.raises(ArgumentsInvalid):
        tool.check({"words": 7})
    with pytest.raises(ArgumentsInvalid):
        tool.check({"words": "hey", "more": True})


def test_a_name_that_no_tool_can_have_is_refused() -> None:
    with pytest.raises(NameRefused):
        own_tool("own", {**DEFINITION, "name": "no name"})

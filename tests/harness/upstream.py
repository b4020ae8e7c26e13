"""A desk: an MCP server over HTTP that notes every call it gets, so that "nothing arrived" is seen.

It speaks 2026-07-28, answers every call with "done" at once, and does something else when a test
tells it to: `desk.then` is asked for each call and may wait, stay silent, close or write garbage.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from audit.canonical import Json
from tests.gateway.links.http_upstream import Heard, Upstream, answer, eventually, says

Then = Callable[[Heard, asyncio.StreamWriter], Awaitable[None]]

RESULT: dict[str, Json] = {"content": [{"type": "text", "text": "done"}], "isError": False}

done: Then = says(lambda heard: answer(heard, {**RESULT, "resultType": "complete"}))
"""The ordinary answer."""


def tool(name: str, *required: str, **properties: Json) -> dict[str, Json]:
    """The definition of a tool; a property that is only a type is written as its name."""
    typed: dict[str, Json] = {
        key: {"type": kind} if isinstance(kind, str) else kind for key, kind in properties.items()
    }
    return {
        "name": name,
        "description": f"{name} at the desk",
        "inputSchema": {"type": "object", "properties": typed, "required": list(required)},
    }


TOOLS: tuple[dict[str, Json], ...] = (
    tool("pay", "amount", amount="integer", to="string", note="string"),
    tool("open", "path", path="string"),
    tool("fetch", "url", url="string"),
    tool(
        "send",
        "to",
        to="string",
        text="string",
        options={"type": "object", "properties": {"urgent": {"type": "boolean"}}},
        copies={
            "type": "array",
            "items": {"type": "object", "properties": {"to": {"type": "string"}}},
        },
    ),
    tool("look", at="string"),
    tool("publish", text="string"),
    tool("wipe", what="string"),
    tool("hidden", what="string"),
)
"""What the desk offers; the policy beside it (`tests.harness.policy`) does not list `hidden`."""


@dataclass(frozen=True)
class Call:
    """One `tools/call` as it arrived."""

    tool: str
    args: dict[str, Any]
    raw: bytes  # the whole body


class Desk(Upstream):
    """The server; `calls` is all that ever reached it."""

    def __init__(self, *tools: dict[str, Json]) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.then: Then = done
        self.before: Callable[[], object] = lambda: None  # asked when a call arrives
        self.offer(*(tools or TOOLS))

    def forget(self) -> None:
        """Be as if no call had ever come, and answer as at the beginning."""
        self.calls.clear()
        self.heard.clear()
        self.then = done
        self.before = lambda: None

    def offer(self, *tools: dict[str, Json]) -> None:
        """Offer these tools from now on."""
        self.tools = tools
        self.is_modern(*tools)
        self.behaviours["tools/call"] = self._called

    async def called(self, times: int) -> None:
        """Wait until so many calls have arrived."""
        await eventually(lambda: len(self.calls) >= times)

    async def listed_again(self) -> None:
        """Wait until the tools were asked for once more."""
        before = self.methods().count("tools/list")
        await eventually(lambda: self.methods().count("tools/list") > before)

    @property
    def paid(self) -> list[int]:
        """Amounts of the payments that arrived."""
        return [call.args["amount"] for call in self.calls if call.tool == "pay"]

    async def _called(self, heard: Heard, writer: asyncio.StreamWriter) -> None:
        params = json.loads(heard.body)["params"]
        self.before()
        self.calls.append(Call(params["name"], params["arguments"], heard.body))
        await self.then(heard, writer)


class Turnstile:
    """A behaviour that lets nothing pass until it is opened."""

    def __init__(self, then: Then = done) -> None:
        self._then = then
        self.open = asyncio.Event()

    async def __call__(self, heard: Heard, writer: asyncio.StreamWriter) -> None:
        await self.open.wait()
        await self._then(heard, writer)


@asynccontextmanager
async def desk(*tools: dict[str, Json]) -> AsyncIterator[Desk]:
    """A desk that listens."""
    async with Desk(*tools) as server:
        yield server

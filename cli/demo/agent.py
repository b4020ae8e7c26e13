"""The scripted agent: the official MCP client, with its receipts kept on its own side."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent

RECEIPT = "audit-receipt"
TIMEOUT_S = 30.0


@dataclass(slots=True)
class Receipts:
    """What the gateway promised to hold, kept by who was promised."""

    kept: list[str] = field(default_factory=list)
    last: str | None = None

    async def keep(self, response: httpx2.Response) -> None:
        """Take the receipt of one answer."""
        self.last = response.headers.get(RECEIPT)
        if self.last is not None:
            self.kept.append(self.last)

    @property
    def last_index(self) -> int | None:
        """Position of the entry that the last answer named."""
        return None if self.last is None else int(self.last.split(";")[1])


@dataclass(slots=True)
class Agent:
    """One connected client of one protocol era."""

    client: Client
    receipts: Receipts

    async def names(self) -> set[str]:
        """The tools it is shown."""
        return {tool.name for tool in (await self.client.list_tools()).tools}

    async def call(self, tool: str, **arguments: Any) -> "Said":  # noqa: ANN401 - JSON
        """Call a tool."""
        self.receipts.last = None
        result = await self.client.call_tool(tool, arguments)
        return Said.of(result, self.receipts.last_index)


@dataclass(frozen=True, slots=True)
class Said:
    """What came back of one call."""

    is_error: bool
    text: str
    structured: dict[str, Any]
    meta: dict[str, Any]
    entry: int | None

    @classmethod
    def of(cls, result: CallToolResult, entry: int | None) -> "Said":
        """Take over a result."""
        text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
        meta = dict(result.meta or {})
        return cls(bool(result.is_error), text, dict(result.structured_content or {}), meta, entry)

    @property
    def approval(self) -> str | None:
        """Id of the request for approval that it speaks of."""
        found = self.meta.get("passavant/approval")
        return str(found) if found is not None else None


@asynccontextmanager
async def connected(url: str, token: str, era: str, receipts: Receipts) -> AsyncIterator[Agent]:
    """Connect to the gateway with a token, in one protocol era.

    What is raised inside comes out as it is, not within the groups of the client's tasks.
    """
    failure: Exception | None = None
    async with httpx2.AsyncClient(
        headers={"authorization": f"Bearer {token}"},
        event_hooks={"response": [receipts.keep]},
        timeout=TIMEOUT_S,
        trust_env=False,
    ) as http:
        transport = streamable_http_client(f"{url}/mcp", http_client=http)
        async with Client(transport, mode=era) as client:
            try:
                yield Agent(client, receipts)
            except Exception as error:  # noqa: BLE001 - raised again below, whatever it is
                failure = error
    if failure is not None:
        raise failure

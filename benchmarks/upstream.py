"""A stub MCP server (2026-07-28, JSON answers) that costs as little as a Python process can.

    python -m benchmarks.upstream [RECORD]

Two tools, `look` and `post`, answer with the number that they were given. Where a file RECORD is
named, each call is remembered as two integers, its number and the microsecond at which it came, and
written there at the end: `crossing.py` compares that with the gateway's log.
"""

import asyncio
import sys
from array import array
from collections.abc import Callable
from pathlib import Path
from time import time_ns
from typing import Any, cast

import httptools
import orjson

from benchmarks import loopback

VERSION = "2026-07-28"
MARK = "passed"
"""The word before the number in every answer of a tool."""

META = {"io.modelcontextprotocol/serverInfo": {"name": "stub", "version": "1"}}
_ARGUMENTS = {
    "type": "object",
    "properties": {
        "number": {"type": "integer", "minimum": 0},
        "text": {"type": "string", "maxLength": 1000},
    },
    "required": ["number", "text"],
    "additionalProperties": False,
}
TOOLS: list[dict[str, Any]] = [
    {"name": "look", "description": "Look something up.", "inputSchema": _ARGUMENTS},
    {"name": "post", "description": "Send something off.", "inputSchema": _ARGUMENTS},
]

DISCOVERED = {
    "resultType": "complete",
    "supportedVersions": [VERSION],
    "capabilities": {"tools": {}},
    "ttlMs": 60_000,
    "cacheScope": "public",
    "_meta": META,
}
_LISTED = {
    "resultType": "complete",
    "tools": TOOLS,
    "ttlMs": 60_000,
    "cacheScope": "public",
    "_meta": META,
}
_CALLED = (
    b'{"jsonrpc":"2.0","id":%%d,"result":{"resultType":"complete","content":'
    b'[{"type":"text","text":"%s %%d"}],"isError":false,"_meta":%s}}'
) % (MARK.encode(), orjson.dumps(META))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection; requests come one after the other."""

    def __init__(self, record: "array[int] | None") -> None:
        self._parser = httptools.HttpRequestParser(self)
        self.data_received = self._parser.feed_data  # type: ignore[method-assign]  # one call less
        self._record = record
        self._body = b""
        self._write: Callable[[bytes], None] = lambda _data: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answers can be written now."""
        self._write = cast("asyncio.Transport", transport).write

    def on_body(self, chunk: bytes) -> None:
        """A part of the body, nearly always all of it."""
        self._body += chunk

    def on_message_complete(self) -> None:
        """Answer the request."""
        request, self._body = orjson.loads(self._body), b""
        if request["method"] == "tools/call":
            number: int = request["params"]["arguments"]["number"]
            if self._record is not None:
                self._record.append(number)
                self._record.append(time_ns() // 1000)
            body = _CALLED % (request["id"], number)
        else:
            result = DISCOVERED if request["method"] == "server/discover" else _LISTED
            body = orjson.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result})
        self._write(HEAD % len(body) + body)


def calls(record: Path) -> list[tuple[int, int]]:
    """What a stub remembered: the number of each call and when it came, in us since 1970."""
    values = array("Q", record.read_bytes())
    return list(zip(values[::2], values[1::2], strict=True))


def main() -> None:
    """Serve until SIGTERM, then write down what came."""
    record = array("Q") if len(sys.argv) > 1 else None
    loopback.serve(lambda: Upstream(record))
    if record is not None:
        Path(sys.argv[1]).write_bytes(record.tobytes())


if __name__ == "__main__":
    main()

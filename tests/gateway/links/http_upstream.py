"""An MCP server over HTTP on loopback that says what a test tells it to say, byte for byte."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from audit.canonical import Json
from audit.entry import Receipt
from gateway.catalogue.pins import pin
from gateway.links.link import Caller, Permit

ECHO: dict[str, Json] = {
    "name": "echo",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
}
CLERK = Caller("clerk", "ana")
RESULT: dict[str, Json] = {"content": [{"type": "text", "text": "hello"}], "isError": False}


@dataclass(frozen=True)
class Heard:
    """One request as it arrived."""

    verb: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.body)
        return message

    @property
    def method(self) -> str:
        return str(self.message.get("method", "")) if self.body else self.verb


Behaviour = Callable[[Heard, asyncio.StreamWriter], Awaitable[None]]


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until something has happened that tells nobody; fail after five seconds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)


def permit(
    definition: Mapping[str, Json] = ECHO,
    arguments: bytes = b'{"text":"hi"}',
    server: str = "s",
    caller: Caller = CLERK,
) -> Permit:
    receipt = Receipt("log.example", 0, bytes(32))
    name = str(definition["name"])
    return Permit(server, name, pin(definition), arguments, caller, "s1", receipt)


def http(
    body: bytes, status: str = "200 OK", kind: str = "application/json", extra: str = ""
) -> bytes:
    """A whole answer with its length."""
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def chunked(*chunks: bytes, kind: str = "text/event-stream", end: bool = True) -> bytes:
    """An answer in chunks, with or without its end."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
    parts = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head.encode() + parts + (b"0\r\n\r\n" if end else b"")


def event(value: object) -> bytes:
    return b"event: message\ndata: " + json.dumps(value).encode() + b"\n\n"


def answer(heard: Heard, result: Mapping[str, Json], **more: str) -> bytes:
    body = {"jsonrpc": "2.0", "id": heard.message["id"], "result": dict(result)}
    return http(json.dumps(body).encode(), **more)


def refusal(heard: Heard, code: int, status: str = "200 OK") -> bytes:
    error = {"code": code, "message": "no"}
    body = {"jsonrpc": "2.0", "id": heard.message.get("id"), "error": error}
    return http(json.dumps(body).encode(), status)


def says(make: Callable[[Heard], bytes]) -> Behaviour:
    """A behaviour that writes those bytes and leaves the connection open."""

    async def behave(heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(make(heard))
        await writer.drain()

    return behave


def hangs_up_after(make: Callable[[Heard], bytes]) -> Behaviour:
    """A behaviour that writes those bytes and closes the connection."""

    async def behave(heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(make(heard))
        await writer.drain()
        writer.close()

    return behave


async def stays_silent(heard: Heard, writer: asyncio.StreamWriter) -> None:
    """A behaviour that never answers."""


class Upstream:
    """The server. What it does is looked up by JSON-RPC method (or HTTP verb, without a body)."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.behaviours: dict[str, Behaviour] = {}
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    def methods(self) -> list[str]:
        return [heard.method for heard in self.heard]

    def is_modern(self, *tools: dict[str, Json]) -> None:
        """Speak 2026-07-28."""
        self.behaviours = {
            "server/discover": says(
                lambda heard: answer(heard, {"supportedVersions": ["2026-07-28"]})
            ),
            "tools/list": says(lambda heard: answer(heard, {"tools": list(tools or (ECHO,))})),
            "tools/call": says(lambda heard: answer(heard, {**RESULT, "resultType": "complete"})),
        }

    def is_legacy(self, version: str = "2025-11-25", session: str | None = "abc") -> None:
        """Speak one of the versions with a handshake."""
        extra = "" if session is None else f"Mcp-Session-Id: {session}\r\n"
        self.behaviours = {
            "server/discover": says(lambda heard: refusal(heard, -32600, "400 Bad Request")),
            "initialize": says(
                lambda heard: answer(heard, {"protocolVersion": version}, extra=extra)
            ),
            "notifications/initialized": says(lambda _: http(b"", "202 Accepted")),
            "notifications/cancelled": says(lambda _: http(b"", "202 Accepted")),
            "tools/list": says(lambda heard: answer(heard, {"tools": [ECHO]})),
            "tools/call": says(lambda heard: answer(heard, RESULT)),
            "DELETE": says(lambda _: http(b"", "200 OK")),
        }

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while True:
                heard = await _read(reader)
                self.heard.append(heard)
                await self.behaviours.get(heard.method, stays_silent)(heard, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Heard:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    verb, target, _version = first.split(" ")
    headers = {}
    for line in filter(None, lines):
        name, _, value = line.partition(":")
        assert name.lower() not in headers, "a header twice"
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Heard(verb, target, headers, body)

"""One request of a connection and its answer, as ASGI has them.

An answer is written as one piece wherever it can be. What an application says about it is not
believed: lengths are counted, and header lines that would be two are refused.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Protocol, TypeAlias

import structlog

from gateway.faces.http import Headers, Receive, Scope, Send

Message: TypeAlias = MutableMapping[str, Any]

READ_AHEAD = 64 * 1024
"""Bytes of a body that wait for the application before the client has to."""

MAX_UNREAD = 16 * 1024 * 1024
"""Bytes of a body that are thrown away after its request has been answered."""

_STATUS = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_WITHOUT_BODY = frozenset({204, 304})

log = structlog.get_logger(__name__)


class Connection(Protocol):
    """What an exchange asks of the connection that it came over."""

    def date(self) -> bytes:
        """The time, as a header line has it."""

    def pause_reading(self) -> None:
        """Let the client wait with the rest."""

    def resume_reading(self) -> None:
        """Let the client go on."""

    def end(self) -> None:
        """Close once everything written has been sent."""

    @property
    def is_writable(self) -> bool:
        """Whether the client has taken most of what was written before."""

    async def writable(self) -> None:
        """Wait until it has, or is gone."""

    def write(self, data: bytes) -> None:
        """Write, unless the client is gone."""

    def answered(self, *, keep: bool) -> None:
        """The answer is complete. keep  whether another request may follow"""


class Exchange:
    """One request and its answer.

    keep  whether the client means to send another request over this connection
    """

    __slots__ = (
        "_answered",
        "_bodiless",
        "_chunked",
        "_connection",
        "_ended",
        "_gone",
        "_head",
        "_left",
        "_more",
        "_news",
        "_parts",
        "_paused",
        "_scope",
        "_started",
        "_unread",
        "_waits_for_continue",
        "keep",
    )

    def __init__(self, connection: Connection, scope: Scope, *, keep: bool) -> None:
        self.keep = keep
        self._connection = connection
        self._scope = scope
        self._gone = False
        # The request's body
        self._parts: list[bytes] = []
        self._unread = 0
        self._more = True
        self._ended = False  # its last part was handed out
        self._paused = False
        self._waits_for_continue = (b"expect", b"100-continue") in scope["headers"]
        self._news: asyncio.Future[None] | None = None
        # The answer
        self._head = b""
        self._started = self._answered = False
        self._chunked = self._bodiless = False
        self._left = 0

    async def run(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        """Let the application answer; when it does not, the connection ends."""
        try:
            await app(self._scope, self._receive, self._send)
        except Exception as error:  # the outermost handler
            log.error("request.failed", exc_info=error)
        if self._answered or self._gone:
            return
        if not self._started:
            await self._connection.writable()
            self._connection.write(refusal(500))
        self._connection.answered(keep=False)

    @property
    def arriving(self) -> bool:
        """Whether parts of the body are still to come."""
        return self._more

    @property
    def started(self) -> bool:
        """Whether there is an answer already."""
        return self._started

    @property
    def goes_on(self) -> bool:
        """Whether the answer is one whose length nobody knows yet."""
        return self._started and self._chunked and not self._answered

    def take(self, chunk: bytes) -> None:
        """A part of the body has come."""
        self._unread += len(chunk)
        if self._answered:
            if self._unread > MAX_UNREAD:
                self._connection.end()
            return
        self._parts.append(chunk)
        self._tell()
        if self._unread > READ_AHEAD:
            self._paused = True
            self._connection.pause_reading()

    def complete(self) -> None:
        """The whole body has come."""
        self._more = False
        self._tell()

    def disconnect(self) -> None:
        """The client is gone."""
        self._gone = True
        self._tell()

    # -- ASGI -------------------------------------------------------------------------------

    async def _receive(self) -> Message:
        """The next part of the body; after the last, word that the client is gone."""
        if self._waits_for_continue and self._more and not self._started:
            self._waits_for_continue = False
            await self._connection.writable()
            self._connection.write(_CONTINUE)
        while not self._gone and not self._answered:
            if self._parts or not (self._more or self._ended):
                return self._next_part()
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        return {"type": "http.disconnect"}

    def _next_part(self) -> Message:
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        self._unread = 0
        self._ended = not self._more
        if self._paused:
            self._paused = False
            self._connection.resume_reading()
        return {"type": "http.request", "body": body, "more_body": self._more}

    def _tell(self) -> None:
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)

    async def _send(self, message: Message) -> None:
        if self._gone:
            return
        if message["type"] == "http.response.start" and not self._started:
            self._start(message["status"], message.get("headers", []))
        elif message["type"] == "http.response.body" and self._started and not self._answered:
            if not self._connection.is_writable:
                await self._connection.writable()
            self._continue(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise ValueError(f"{message['type']} where it has no place")

    def _start(self, status: int, headers: Headers) -> None:
        """Make the head; it is written with the first part of the body."""
        parts = [_STATUS[status], b"date: ", self._connection.date(), b"\r\n"]
        length: int | None = None
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
            if name == b"content-length":
                length = int(value)
        if not self.keep:
            parts.append(b"connection: close\r\n")
        self._bodiless = self._scope["method"] == "HEAD" or status in _WITHOUT_BODY
        self._chunked = length is None and not self._bodiless
        if self._chunked:
            parts.append(b"transfer-encoding: chunked\r\n")
        self._left = length or 0
        head = b"".join(parts)
        lines = 2 + len(headers) + (not self.keep) + self._chunked
        if head.count(b"\n") != lines or head.count(b"\r") != lines:
            raise ValueError("a header that is more than one line")
        self._head = head + b"\r\n"
        self._started = True

    def _continue(self, body: bytes, *, more: bool) -> None:
        """Write a part of the body, the head before the first."""
        head, self._head = self._head, b""
        if self._bodiless:
            body = b""
        elif self._chunked:
            body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + (
                b"" if more else b"0\r\n\r\n"
            )
        else:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise ValueError("a body that is not as long as its length says")
        self._connection.write(head + body)
        if not more:
            self._answered = True
            self._parts = []
            self._connection.answered(keep=self.keep)


def refusal(status: int) -> bytes:
    """An answer without words, after which the connection ends."""
    return _STATUS[status] + b"content-length: 0\r\nconnection: close\r\n\r\n"

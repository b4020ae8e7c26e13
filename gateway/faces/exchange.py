"""One request of a connection and its answer, as ASGI has them.

An answer is written as one piece wherever it can be; what is whole needs no messages (`Direct`).
What an application says about its answer is not believed: lengths are counted, and header lines
that would be two are refused.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Protocol, TypeAlias

import structlog

from gateway.faces.http import Direct, Headers, Lines, Receive, Scope, Send

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
_CLOSE = b"connection: close\r\n"
_TWO_LINES = "a header that is more than one line"

log = structlog.get_logger(__name__)


class Connection(Protocol):
    """What an exchange asks of the connection that it came over.

    is_writable  whether the client has taken most of what was written before
    """

    is_writable: bool

    def date(self) -> bytes:
        """The time, as a header line has it."""

    def pause_reading(self) -> None:
        """Let the client wait with the rest."""

    def resume_reading(self) -> None:
        """Let the client go on."""

    def end(self) -> None:
        """Close once everything written has been sent."""

    async def writable(self) -> None:
        """Wait until it has, or is gone."""

    def write(self, data: bytes) -> None:
        """Write, unless the client is gone."""

    def answered(self, *, keep: bool) -> None:
        """The answer is complete. keep  whether another request may follow"""


class Exchange(Direct):
    """One request and its answer; for the application it is the `receive` of ASGI.

    gone  whether the client is known to have left
    keep  whether the client means to send another request over this connection
    """

    __slots__ = (
        "_answered",
        "_asked",
        "_bodiless",
        "_chunked",
        "_connection",
        "_ended",
        "_head",
        "_left",
        "_more",
        "_news",
        "_parts",
        "_paused",
        "_scope",
        "_started",
        "_unread",
        "gone",
        "keep",
    )

    def __init__(self, connection: Connection, scope: Scope, *, keep: bool) -> None:
        self.keep = keep
        self._connection = connection
        self._scope = scope
        self.gone = False
        # The request's body
        self._parts: list[bytes] = []
        self._unread = 0
        self._more = True
        self._ended = False  # its last part was handed out
        self._paused = False
        self._asked = False  # for a message
        self._news: asyncio.Future[None] | None = None
        # The answer
        self._head = b""
        self._started = self._answered = False
        self._chunked = self._bodiless = False
        self._left = 0

    async def run(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        """Let the application answer; when it does not, the connection ends."""
        try:
            await app(self._scope, self, self._send)
        except Exception as error:  # the outermost handler
            log.error("request.failed", exc_info=error)
        if self._answered or self.gone:
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
        if self._news is not None:
            self._tell()
        if self._unread > READ_AHEAD:
            self._paused = True
            self._connection.pause_reading()

    def complete(self) -> None:
        """The whole body has come."""
        self._more = False
        if self._news is not None:
            self._tell()

    def disconnect(self) -> None:
        """The client is gone."""
        self.gone = True
        self._tell()

    # -- what is whole ----------------------------------------------------------------------

    def whole_body(self) -> bytes | None:
        """The body, if all of it has come and nothing of it was handed out yet."""
        if self._more or self._asked or self._ended or self.gone or self._answered:
            return None
        return self._taken()

    def answer(self, status: int, fixed: bytes, headers: Lines, body: bytes) -> bool:
        """Write a whole answer; False where it has to wait, or has no body, or nobody is there."""
        connection = self._connection
        if self._started or self.gone or not self._may_have_body(status):
            return False
        if not connection.is_writable:
            return False
        more = b"".join([b"%s: %s\r\n" % line for line in headers])
        if len(more.splitlines()) != len(headers):
            raise ValueError(_TWO_LINES)
        if self._more:
            self._settle()
        if not self.keep:
            more += _CLOSE
        head = (_STATUS[status], connection.date(), len(body), fixed, more)
        connection.write(b"%sdate: %s\r\ncontent-length: %d\r\n%s%s\r\n%s" % (*head, body))
        self._started = True
        self._finish()
        return True

    # -- ASGI -------------------------------------------------------------------------------

    async def __call__(self) -> Message:
        """The next part of the body; after the last, word that the client is gone."""
        if not self._asked:
            self._asked = True
            if self._more and not self._started:
                await self._go_on()
        while not self.gone and not self._answered:
            if self._parts or not (self._more or self._ended):
                return {"type": "http.request", "body": self._taken(), "more_body": self._more}
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        return {"type": "http.disconnect"}

    async def _go_on(self) -> None:
        """Tell a client that waits to be told to send the body (RFC 9110, section 10.1.1)."""
        if self._waits():
            await self._connection.writable()
            self._connection.write(_CONTINUE)

    def _waits(self) -> bool:
        return (b"expect", b"100-continue") in self._scope["headers"]

    def _settle(self) -> None:
        """Answer before the body has come: who was not told to send it sends it or does not, and
        where the next request would begin cannot be told.
        """
        if not self._asked and self._waits():
            self.keep = False

    def _taken(self) -> bytes:
        """What has come of the body and was not handed out yet."""
        body: bytes = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        self._unread = 0
        self._ended = not self._more
        if self._paused:
            self._paused = False
            self._connection.resume_reading()
        return body

    def _tell(self) -> None:
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)

    async def _send(self, message: Message) -> None:
        if self.gone:
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
        if self._more:
            self._settle()
        if not self.keep:
            parts.append(_CLOSE)
        self._bodiless = not self._may_have_body(status)
        self._chunked = length is None and not self._bodiless
        if self._chunked:
            parts.append(b"transfer-encoding: chunked\r\n")
        self._left = length or 0
        head = b"".join(parts)
        lines = 2 + len(headers) + (not self.keep) + self._chunked
        if head.count(b"\n") != lines or head.count(b"\r") != lines:
            raise ValueError(_TWO_LINES)
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
            self._finish()

    def _may_have_body(self, status: int) -> bool:
        return self._scope["method"] != "HEAD" and status not in _WITHOUT_BODY

    def _finish(self) -> None:
        self._answered = True
        self._parts = []
        self._connection.answered(keep=self.keep)


def refusal(status: int) -> bytes:
    """An answer without words, after which the connection ends."""
    return _STATUS[status] + b"content-length: 0\r\nconnection: close\r\n\r\n"

"""A small HTTP/1.1 client for one upstream: pooled, kept alive, bounded in size and time.

It sends each request once. An error before the request was written is LinkDown; whatever happens
after that leaves open what the server did, a connection that turns out to be stale included.
Redirects are not followed and compressed bodies are not taken. RFC 9112; the parser is llhttp's,
in its strict mode.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, cast

import httptools

from audit.value import value_type
from gateway.errors import (
    AddressRefused,
    LinkDown,
    LinkError,
    LinkGarbage,
    LinkLost,
    LinkTimeout,
    NotUnderstood,
)
from gateway.links.deadlines import NEVER, Deadlines
from gateway.links.slots import Slots

JSON = b"application/json"


class Events(Protocol):
    """Takes a `text/event-stream` as it arrives."""

    def feed(self, chunk: bytes) -> bool:
        """Whether what was waited for is there. Raises NotUnderstood."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of an upstream's behaviour is put up with.

    connections  busy at a time; further requests wait for one, as long as for a connection
    idle_s       an idle connection is not used again after that: servers close theirs after 5 s
    drain_s      how long a stream may go on after the answer was in it
    """

    head_bytes: int = 32 << 10
    body_bytes: int = 8 << 20
    connections: int = 128
    idle_s: float = 4.0
    connect_s: float = 5.0
    drain_s: float = 1.0


@value_type
class Response:
    """One answer.

    headers  names in lower case
    kind     media type, without parameters and in lower case; empty where none is stated
    body     empty for a stream of events
    """

    status: int
    headers: dict[bytes, bytes]
    kind: bytes
    body: bytes


class HttpClient:
    """The connections to one upstream.

    server   its name, for errors
    connect  opens a connection to a checked address and returns its protocol; raises OSError or
             AddressRefused
    busy     requests that wait for a connection or an answer
    """

    def __init__(
        self,
        server: str,
        connect: Callable[[Callable[[], "Connection"]], Awaitable["Connection"]],
        limits: Limits,
    ) -> None:
        self._server = server
        self._connect = connect
        self._limits = limits
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._deadlines = Deadlines(self._all)
        self._slots = Slots(limits.connections)
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self.busy = 0

    async def exchange(
        self, request: bytes, *, timeout_s: float, events: Events | None = None
    ) -> Response:
        """Send a whole request once and return its answer.

        events  takes the answer if it is a stream of events

        Raises LinkDown when nothing was sent, else LinkTimeout, LinkLost or LinkGarbage.
        """
        if not self._slots.take():
            await self._wait_for_slot(timeout_s)
        self.busy += 1
        try:
            connection = self._take() or await self._open(timeout_s)
            answer = connection.send(request, timeout_s=timeout_s, events=events)
            try:
                return await answer
            except asyncio.CancelledError:
                connection.abort()
                raise
        finally:
            self.busy -= 1
            self._slots.give_back()

    def retire(self) -> None:
        """Take no more requests; whoever waits for an answer still gets it."""
        self._closed = True
        while self._idle:
            self._idle.pop().abort()

    def close(self) -> None:
        """End all connections; whoever waits for an answer gets LinkLost."""
        self._closed = True
        for connection in tuple(self._all):
            connection.abort()
        self._deadlines.close()

    def _take(self) -> "Connection | None":
        oldest = self._loop.time() - self._limits.idle_s
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since >= oldest:
                return connection
            connection.abort()
        return None

    async def _open(self, timeout_s: float) -> "Connection":
        if self._closed:
            raise LinkDown(self._server, "the link is closed")
        patience = self._patience(timeout_s)
        try:
            async with asyncio.timeout(patience):
                connection = await self._connect(self._make)
        except TimeoutError as error:
            raise LinkDown(self._server, f"no connection within {patience:g} s") from error
        except ssl.SSLError as error:
            raise LinkDown(self._server, f"no TLS connection: {error.reason}") from error
        except OSError as error:
            raise LinkDown(self._server, f"no connection: {error.strerror}") from error
        except AddressRefused as error:
            raise LinkDown(self._server, str(error)) from error
        self._keep(connection)
        return connection

    def _keep(self, connection: "Connection") -> None:
        if self._closed or not connection.usable:
            connection.abort()
            raise LinkDown(self._server, "the connection ended before it was used")
        self._all.add(connection)

    async def _wait_for_slot(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(self._patience(timeout_s)):
                await self._slots.wait()
        except TimeoutError as error:
            raise LinkDown(self._server, "all connections to it are busy") from error

    def _patience(self, timeout_s: float) -> float:
        return min(self._limits.connect_s, timeout_s)

    def _make(self) -> "Connection":
        return Connection(self._server, self._limits, self._deadlines, self._released)

    def _released(self, connection: "Connection") -> None:
        if not connection.usable:
            self._all.discard(connection)
        elif self._closed:
            connection.abort()
        else:
            connection.idle_since = self._loop.time()
            self._idle.append(connection)


class Connection(asyncio.Protocol):
    """One connection, with at most one exchange at a time.

    usable    whether another request may be sent over it
    deadline  when an exchange has to have ended
    released  called when it has become idle, and when it has ended
    """

    def __init__(
        self,
        server: str,
        limits: Limits,
        deadlines: Deadlines,
        released: Callable[["Connection"], None],
    ) -> None:
        self.usable = False
        self.idle_since = 0.0
        self.deadline = NEVER
        self._server = server
        self._limits = limits
        self._deadlines = deadlines
        self._released = released
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._busy = False
        self._wire_bytes = 0
        self._waiter: asyncio.Future[Response] | None = None
        self._events: Events | None = None
        self._timeout_s = 0.0
        self._begin()

    def send(
        self, request: bytes, *, timeout_s: float, events: Events | None
    ) -> asyncio.Future[Response]:
        """Write one request; the future is done when its answer is there, or cannot come."""
        assert self.usable
        assert self._transport is not None
        assert not self._busy
        self._begin()
        self._busy = True
        self._wire_bytes = 0
        self._events = events
        self._waiter = self._loop.create_future()
        self._timeout_s = timeout_s
        self._ends_within(timeout_s)
        self._transport.write(request)
        return self._waiter

    def abort(self) -> None:
        """Close at once. On 2026-07-28 that also cancels the request."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def expire(self) -> None:
        """The answer, or the rest of a stream behind it, has not come in time."""
        self._fail(LinkTimeout(self._server, f"no answer within {self._timeout_s:g} s"))

    # -- what asyncio calls -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready for a request."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self.usable = True

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer; of nothing else, or the next answer could not be told from them."""
        if not self._busy:
            self.abort()
            return
        self._wire_bytes += len(data)
        try:
            self._parser.feed_data(data)
            if self._wire_bytes > self._limits.head_bytes:
                self._check_size()
        except NotUnderstood as error:
            self._fail(LinkGarbage(self._server, str(error)))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            cause = error.__context__
            known = isinstance(cause, NotUnderstood)
            why = str(cause) if known else "its answer is not proper HTTP/1.1"
            self._fail(LinkGarbage(self._server, why))

    def connection_lost(self, exc: Exception | None) -> None:
        """No more bytes: the end of an answer that has no other, else its loss."""
        if self._busy and self._until_close and exc is None:
            self._succeed()
        self._fail(LinkLost(self._server, "the connection ended before the answer was complete"))
        self._released(self)

    # -- what the parser calls --------------------------------------------------------------

    def on_message_begin(self) -> None:
        """The first byte of an answer."""
        if not self._busy:
            raise NotUnderstood("an answer to no request")
        if self._head_done:  # of one that only precedes this (1xx)
            self._begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line; those after a chunked body are of no use here."""
        if self._head_done:
            return
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """The head is there, and says what kind of body follows."""
        self._head_done = True
        self._status = self._parser.get_status_code()
        self._keep = self._parser.should_keep_alive()
        headers = self._headers
        self._until_close = b"content-length" not in headers and b"transfer-encoding" not in headers
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise NotUnderstood("an encoded body, which was not asked for")
        kind = headers.get(b"content-type", b"")
        self._kind = kind if kind == JSON else kind.partition(b";")[0].strip().lower()
        self._streaming = self._kind == b"text/event-stream" and self._status == 200

    def on_body(self, chunk: bytes) -> None:
        """A part of the body."""
        self._body_bytes += len(chunk)
        if self._body_bytes > self._limits.body_bytes:
            raise NotUnderstood(f"more than {self._limits.body_bytes} bytes")
        if not self._streaming:
            self._body.append(chunk)
        elif self._events is not None and self._events.feed(chunk):
            self._succeed()
            self._ends_within(self._limits.drain_s)

    def on_message_complete(self) -> None:
        """The last byte of an answer, or of one that only precedes it (1xx)."""
        if self._status < 200:
            return
        if self._streaming and self._waiter is not None:
            raise NotUnderstood("a stream that ends without the answer")
        self._succeed()
        self._busy = False
        self.usable = self.usable and self._keep
        if self.usable:
            self._released(self)
        else:
            self.abort()

    # -- how an exchange ends ---------------------------------------------------------------

    def _begin(self) -> None:
        """Nothing of an answer is there yet."""
        self._status = 0
        self._headers: dict[bytes, bytes] = {}
        self._kind = b""
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._head_done = self._keep = self._until_close = self._streaming = False

    def _check_size(self) -> None:
        limits = self._limits
        if not self._head_done:
            raise NotUnderstood(f"a head of more than {limits.head_bytes} bytes")
        if self._wire_bytes > limits.head_bytes + 4 * limits.body_bytes:
            raise NotUnderstood("more framing than content")

    def _succeed(self) -> None:
        waiter, self._waiter, self._events = self._waiter, None, None
        self.deadline = NEVER
        if waiter is not None and not waiter.done():
            body = b"".join(self._body)
            waiter.set_result(Response(self._status, self._headers, self._kind, body))

    def _fail(self, error: LinkError) -> None:
        waiter, self._waiter, self._events = self._waiter, None, None
        self.deadline = NEVER
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
        self.abort()

    def _ends_within(self, seconds: float) -> None:
        self.deadline = self._loop.time() + seconds
        self._deadlines.watch(self.deadline)

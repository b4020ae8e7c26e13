"""HTTP/1.1 as agents speak it to us: one connection, and the requests that come over it in turn.

The least that fits between a socket and an ASGI application, since every governed call passes
here. The parser is llhttp's, in its strict mode. Bounded are the head of a request and the time it
takes to arrive, what is read ahead of the application, and what is written ahead of the client.
Requests are answered one after the other; after what is no request nothing more is. RFC 9112.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from functools import lru_cache
from typing import TypeAlias, cast
from urllib.parse import unquote

import httptools

from gateway.faces.exchange import Exchange, refusal
from gateway.faces.http import Receive, Scope, Send

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_HEAD = 64 * 1024
"""Bytes of a request line and its headers."""

HEAD_S = 10.0
"""How long a head may take to arrive."""

IDLE_S = 75.0
"""How long a connection may rest between two requests."""

_ASGI = {"version": "3.0", "spec_version": "2.3"}
_NEVER = float("inf")


class Connection(asyncio.Protocol):
    """One client's connection.

    open_     all connections of a listener: this one is among them while it lasts, or works
    clock     seconds since 1970
    deadline  when it is closed unless something has happened by then; the loop's seconds
    is_writable  whether the client has taken most of what was written before
    task      what answers a request now, or did last
    """

    def __init__(self, app: App, open_: "set[Connection]", clock: Callable[[], float]) -> None:
        self.task: asyncio.Task[None] | None = None
        self._app = app
        self._open = open_
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self.deadline = self._loop.time() + HEAD_S
        self.is_writable = True
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._about: dict[str, object] = {}  # of every scope
        self._in_head = False
        self._head_bytes = 0
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._reading: Exchange | None = None
        self._answering: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._last = False  # no request begins any more
        self._held = False  # the client waits with the rest
        self._writable: asyncio.Future[None] | None = None

    def finish(self) -> None:
        """Take no further request: end now, or after the answer that is under way.

        One that has no end of its own ends here, in the middle: its client sees that it is cut.
        """
        self._last = True
        self._waiting.clear()
        if self._answering is not None and self._answering.goes_on:
            self._answering.disconnect()
        if self._answering is None:
            self.end()

    def end(self) -> None:
        """Close once everything written has been sent."""
        assert self._transport is not None
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        assert self._transport is not None
        self._transport.abort()

    # -- what asyncio calls -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._about = {"type": "http", "asgi": _ASGI, "scheme": "http", "root_path": ""}
        for name, key in (("client", "peername"), ("server", "sockname")):
            address = transport.get_extra_info(key)
            self._about[name] = (str(address[0]), int(address[1])) if address else None
        self._open.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The client is gone; whoever answers it learns that when it asks or writes.

        What still runs for it belongs to the listener until it ends: it may be acting.
        """
        if self.task is None or self.task.done():
            self._open.discard(self)
        else:
            self.task.add_done_callback(lambda _: self._open.discard(self))
        self._waiting.clear()
        self.resume_writing()
        for exchange in (self._reading, self._answering):
            if exchange is not None:
                exchange.disconnect()

    def data_received(self, data: bytes) -> None:
        """A part of a request, or several requests."""
        if self._last and (self._reading is None or not self._reading.arriving):
            return
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The offer of another protocol is declined by answering in this one; what follows is
            # not looked at, since llhttp leaves it to that protocol, this request's body included.
            self._last = True
        except httptools.HttpParserError:
            self._refuse(400)
        else:
            if self._in_head and self._head_bytes > MAX_HEAD:
                self._refuse(431)

    def pause_writing(self) -> None:
        """The client does not read: nothing more is written until it does."""
        self.is_writable = False
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """The client reads again, or is gone."""
        self.is_writable = True
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    # -- what the parser calls --------------------------------------------------------------

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._in_head = True
        self._head_bytes = 0
        self._url = b""
        self._headers = []
        if self._answering is None:
            self.deadline = self._loop.time() + HEAD_S

    def on_url(self, url: bytes) -> None:
        """A part of the request target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line; or a trailer, which nobody reads."""
        if self._in_head:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is there: the request begins, or waits for its turn."""
        self._in_head = False
        self._reading = None
        if self._last:
            return
        parser = self._parser
        version = parser.get_http_version()
        keep = parser.should_keep_alive() and version == "1.1" and not parser.should_upgrade()
        self._reading = exchange = Exchange(self, self._scope(version), keep=keep)
        if self._answering is None:
            self._begin(exchange)
        else:
            self._waiting.append(exchange)
            self.pause_reading()

    def on_body(self, chunk: bytes) -> None:
        """A part of the body."""
        if self._reading is not None:
            self._reading.take(chunk)

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        if self._reading is not None:
            self._reading.complete()
            self._last = self._last or not self._reading.keep

    # -- what an exchange asks --------------------------------------------------------------

    def date(self) -> bytes:
        """The time, as a header line has it (RFC 9110, section 6.6.1)."""
        return _date(int(self._clock()))

    def pause_reading(self) -> None:
        """Let the client wait with the rest."""
        assert self._transport is not None
        if not self._transport.is_closing():
            self._held = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Let the client go on, unless requests wait already."""
        assert self._transport is not None
        if not self._waiting and not self._transport.is_closing():
            self._held = False
            self._transport.resume_reading()

    async def writable(self) -> None:
        """Wait until it has, or is gone."""
        while self._writable is not None:
            await self._writable

    def write(self, data: bytes) -> None:
        """Write, unless the client is gone."""
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(data)

    def answered(self, *, keep: bool) -> None:
        """An answer is complete: the next request has its turn, if there is to be one."""
        self._answering = None
        if self._waiting and keep:
            self._begin(self._waiting.popleft())
        elif self._last or not keep:
            self._last = True
            self.end()
        else:
            self.deadline = self._loop.time() + IDLE_S
        if self._held:
            self.resume_reading()

    def _begin(self, exchange: Exchange) -> None:
        self._answering = exchange
        self.deadline = _NEVER  # from here on faces and gate bound the time
        self.task = self._loop.create_task(exchange.run(self._app))

    def _scope(self, version: str) -> Scope:
        return {
            **self._about,
            **_target(self._url),
            "http_version": version,
            "method": self._parser.get_method().decode("ascii"),
            "headers": self._headers,
        }

    def _refuse(self, status: int) -> None:
        """Answer what is no request, and end: where the next would begin cannot be told."""
        assert self._transport is not None
        if self._last:
            return
        self._last = True
        answering = self._answering
        if answering is not None and not answering.arriving:
            return  # what came behind it is wrong: its answer is still owed
        if answering is None or not answering.started:
            self._transport.write(refusal(status))
        if answering is not None:
            answering.disconnect()
        self.end()


@lru_cache(maxsize=256)
def _target(url: bytes) -> Mapping[str, str | bytes]:
    """What a scope says of a request target; agents send few different ones."""
    target = httptools.parse_url(url)
    path = target.path.decode("ascii")
    return {
        "path": unquote(path) if "%" in path else path,
        "raw_path": target.path,
        "query_string": target.query or b"",
    }


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()

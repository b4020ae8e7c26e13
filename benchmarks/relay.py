"""The hop: passes requests on to one server and answers back, and does nothing else.

    python -m benchmarks.relay PORT

The least that a Python process can do between an agent and a server: asyncio and httptools find
where a message ends, no body is read, and connections to the server are kept. What a gateway
takes beyond this is what governing costs.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import cast

import httptools

from benchmarks import loopback

_BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Onward(asyncio.Protocol):
    """A connection to the server: carries one request at a time, then is idle again."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        self._complete = False
        self._answer: Callable[[bytes], None] | None = None

    def send(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Send a request; `answer` is called once with all of what comes back."""
        assert self._transport is not None
        self._answer = answer
        self._transport.write(request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The server is there."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _exc: Exception | None) -> None:
        """An answer that was waited for does not come any more."""
        self._pool.forget(self)
        if self._answer is not None:
            self._answer(_BAD_GATEWAY)

    def data_received(self, data: bytes) -> None:
        """A part of an answer."""
        self._parts.append(data)
        self._parser.feed_data(data)
        if self._complete:
            answer, self._answer = self._answer, None
            whole = b"".join(self._parts)
            self._parts.clear()
            self._complete = False
            self._pool.idle.append(self)
            assert answer is not None
            answer(whole)

    def on_message_complete(self) -> None:
        """The last byte of an answer was seen."""
        self._complete = True


class Pool:
    """The connections to one server."""

    def __init__(self, port: int) -> None:
        self.idle: list[Onward] = []
        self._port = port
        self._opening: set[asyncio.Task[None]] = set()

    def send(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """Send a request over an idle connection, or over a new one."""
        if self.idle:
            self.idle.pop().send(request, answer)
        else:
            task = asyncio.get_running_loop().create_task(self._open(request, answer))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def forget(self, connection: Onward) -> None:
        """A connection has ended."""
        if connection in self.idle:
            self.idle.remove(connection)

    async def _open(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, made = await loop.create_connection(lambda: Onward(self), "127.0.0.1", self._port)
        except OSError:
            answer(_BAD_GATEWAY)
        else:
            made.send(request, answer)


class Inward(asyncio.Protocol):
    """A connection of a client, which sends its next request after the answer to the last."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._parser = httptools.HttpRequestParser(self)
        self._parts: list[bytes] = []
        self._complete = False
        self._transport: asyncio.Transport | None = None

    def answer(self, whole: bytes) -> None:
        """Pass an answer on, if the client is still there."""
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(whole)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """A part of a request."""
        self._parts.append(data)
        self._parser.feed_data(data)
        if self._complete:
            whole = b"".join(self._parts)
            self._parts.clear()
            self._complete = False
            self._pool.send(whole, self.answer)

    def on_message_complete(self) -> None:
        """The last byte of a request was seen."""
        self._complete = True


def main() -> None:
    """Serve until SIGTERM."""
    pool = Pool(int(sys.argv[1]))
    loopback.serve(lambda: Inward(pool))


if __name__ == "__main__":
    main()

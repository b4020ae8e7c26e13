"""Listeners: two HTTP servers in one event loop, agents on one and operators on the other.

Signals are handled here and once: uvicorn would raise them again after its own shutdown and end
the process before the log is closed.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn

GRACE_S = 5
BACKLOG = 1024

_TICK_S = 1.0


class _Server(uvicorn.Server):
    """A server that leaves signals alone, and does not look ten times a second whether to end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """End, once what runs is finished."""
        self.should_exit = True
        self._leaving.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install nothing."""
        yield

    async def main_loop(self) -> None:
        """Once a second renew the Date that answers carry, until it is told to leave."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), _TICK_S)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let those who are connected finish; where nobody is, there is nothing to wait for."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)  # whoever was let in last is among them now
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)


def bind(address: str) -> socket.socket:
    """Listen on `host:port`; port 0 takes a free one. Raises OSError."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's delay off only where the protocol is named: 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)  # noqa: FBT003 - the standard library's
    return listener


def address_of(listener: socket.socket) -> str:
    """`host:port` of a bound listener."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextlib.asynccontextmanager
async def serving(app: Any, listener: socket.socket) -> AsyncIterator[None]:  # noqa: ANN401 - ASGI
    """Serve `app` on a bound listener; at the end, finish what runs for up to GRACE_S seconds."""
    config = uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=75,
        h11_max_incomplete_event_size=None,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn says no more
            await asyncio.sleep(0.005)
        yield
    finally:
        server.leave()
        await task
        listener.close()


async def until_stopped() -> None:
    """Wait for SIGINT or SIGTERM; a second one while closing changes nothing."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()

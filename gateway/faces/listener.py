"""The agents' listener: takes connections, ends those that rest too long, and closes in peace."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway.faces.connection import App, Connection

BACKLOG = 1024

GRACE_S = 5.0
"""How long answers under way may still take when the listener closes."""

_LOOK_EVERY_S = 1.0


@asynccontextmanager
async def answering(
    app: App, listener: socket.socket, clock: Callable[[], float] = time.time
) -> AsyncIterator[None]:
    """Serve `app` on a bound listener; at the end, finish what runs for up to GRACE_S seconds.

    clock  seconds since 1970
    """
    open_: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(app, open_, clock), sock=listener, backlog=BACKLOG
    )
    sweeping = asyncio.create_task(_sweep(open_))
    try:
        yield
    finally:
        server.close()
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
        await _close(open_)
        listener.close()


async def _sweep(open_: set[Connection]) -> None:
    """End connections on which nothing has happened for too long."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        now = loop.time()
        for connection in [each for each in open_ if each.deadline <= now]:
            connection.abort()


async def _close(open_: set[Connection]) -> None:
    for connection in tuple(open_):
        connection.finish()
    running = {each.task for each in open_ if each.task is not None and not each.task.done()}
    if running:
        _, late = await asyncio.wait(running, timeout=GRACE_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    for connection in tuple(open_):
        connection.abort()

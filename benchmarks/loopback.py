"""How the small servers of these benchmarks live: on a free port of loopback, until SIGTERM.

The first line of their output is the port.
"""

import asyncio
import signal
from collections.abc import Callable

import uvloop

BACKLOG = 1024


def serve(make: Callable[[], asyncio.Protocol]) -> None:
    """Serve one protocol until the process is asked to end."""
    uvloop.run(_serve(make))


async def _serve(make: Callable[[], asyncio.Protocol]) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(make, "127.0.0.1", 0, backlog=BACKLOG)
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()
    server.close()

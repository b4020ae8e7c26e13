"""Standard input as lines, read beside the event loop: it may be a pipe, a file or a terminal."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from typing import BinaryIO

from cli.bridge.frames import MAX_BYTES

_WAITING = 8
"""Lines that are read ahead."""


async def lines(source: BinaryIO) -> AsyncIterator[bytes]:
    """Every line without its end, empty ones left out, until the source ends.

    One that is too long comes cut off, which no reader takes for a message.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING)

    def read() -> None:
        ended = False
        while not ended:
            line = source.readline(MAX_BYTES + 1)
            ended = not line
            if len(line) > MAX_BYTES and not line.endswith(b"\n"):
                _skip(source)
            try:
                asyncio.run_coroutine_threadsafe(queue.put(line or None), loop).result()
            except RuntimeError:  # the loop is gone, and so is whoever wanted them
                return

    # No thread of a pool: those are waited for, and this one may hang in its input for ever.
    threading.Thread(target=read, name="stdin", daemon=True).start()
    while (line := await queue.get()) is not None:
        if line := line.strip(b"\r\n"):
            yield line


def write(line: bytes) -> None:
    """Write a whole line, or nothing. Raises OSError when nobody listens."""
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def _skip(source: BinaryIO) -> None:
    while (rest := source.readline(MAX_BYTES)) and not rest.endswith(b"\n"):
        pass

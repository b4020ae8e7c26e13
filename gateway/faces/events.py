"""Event streams: an answer that is written while what it tells of happens (`text/event-stream`).

A stream ends with its events, or when its client is gone. While nothing happens a comment is sent
now and then, so that nobody between takes the connection for dead.
"""

import asyncio
from collections.abc import AsyncIterator

from audit.value import value_type
from gateway.faces.http import Headers, Receive, Send, until_left

QUIET_S = 15.0
"""Seconds without an event after which a comment is sent."""

_COMMENT = b":\n\n"


@value_type
class Stream:
    """An answer of events, each the bytes of one `data:` line."""

    events: AsyncIterator[bytes]
    headers: tuple[tuple[bytes, bytes], ...] = ()


async def stream(send: Send, receive: Receive, answer: Stream) -> None:
    """Write a stream until its events or its client are gone.

    receive  of a request whose body has been read
    """
    headers: Headers = [
        (b"content-type", b"text/event-stream"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    gone = asyncio.ensure_future(until_left(receive))
    coming = asyncio.ensure_future(anext(answer.events))
    try:
        while not gone.done():
            await asyncio.wait({gone, coming}, timeout=QUIET_S, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                await _write(send, _COMMENT)
                continue
            event = await coming
            await _write(send, b"data: %s\n\n" % event)
            coming = asyncio.ensure_future(anext(answer.events))
    except StopAsyncIteration:
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        gone.cancel()
        coming.cancel()
        await asyncio.gather(gone, coming, return_exceptions=True)
        await answer.events.aclose()  # type: ignore[attr-defined]  # generators are what is given


async def _write(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})

"""`/events`: one stream that tells an open page that something has happened, and never what.

A page that hears of news asks for itself again, with the same checks as ever. The id of an event is
how many entries the log had, so a stream that broke off goes on where it was (`Last-Event-ID`).
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated

from fastapi import Header, Request
from fastapi.responses import StreamingResponse

from audit.entry import Entry
from console.routes import Pages
from console.visitors import STREAM, NotLoggedIn, Viewer, session_of
from gateway.operator.api import Here
from gateway.operator.errors import OperatorRefused
from gateway.operator.services import Services

TOPICS: Mapping[str, tuple[str, ...]] = {
    "all": ("",),
    "approvals": ("approval.", "gateway."),
    "agents": ("agent.", "alarm.", "gateway.", "policy.", "session."),
    "servers": ("gateway.", "policy.", "server.", "tool."),
    "policies": ("gateway.", "policy.", "server."),
}
"""Kinds of entries that a page may want to hear of, by how they begin."""

MOST_STREAMS = 64
PAUSE_S = 1.0
"""Least time between two events of a stream."""

BEAT_S = 15.0
"""How often a stream that has no news looks whether its session still stands."""

_MOST_READ = 256
_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)

router = Pages()


class Bell:
    """Rings for everyone who waits when entries have become durable."""

    def __init__(self) -> None:
        self.streams = 0
        self._news: set[asyncio.Future[None]] = set()
        self._closed = asyncio.Event()

    @property
    def is_closed(self) -> bool:
        """Whether the gateway is about to end, and every stream with it."""
        return self._closed.is_set()

    def ring(self, _: Sequence[Entry]) -> None:
        """Wake everyone; called after each batch of the log."""
        if self._news:
            for waiting in self._news:
                if not waiting.done():
                    waiting.set_result(None)
            self._news.clear()

    def close(self) -> None:
        """End every stream."""
        self._closed.set()
        self.ring(())

    async def wait(self, longest_s: float) -> None:
        """Return at the next ring, or after so long."""
        waiting = asyncio.get_running_loop().create_future()
        self._news.add(waiting)
        with suppress(TimeoutError):
            await asyncio.wait_for(waiting, longest_s)
        self._news.discard(waiting)

    async def rest(self, seconds: float) -> None:
        """Return after so long, or at the end of everything."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), seconds)


@router.get(STREAM)
async def events(
    services: Here,
    _: Viewer,
    request: Request,
    topics: str = "all",
    after: str = "",
    last_event_id: Annotated[str, Header()] = "",
) -> StreamingResponse:
    """The stream of one page.

    topics  of `TOPICS`
    after   how many entries the log had when the page was made
    """
    bell: Bell = request.app.state.bell
    if topics not in TOPICS:
        raise OperatorRefused("operator.body", "there is no such topic")
    if bell.streams >= MOST_STREAMS:
        raise OperatorRefused("operator.slow", "too many pages are open")
    begin = last_event_id or after
    seen = int(begin) if _NUMBER.fullmatch(begin) else -1  # told something else: all is news
    told = _told(services, request, bell, TOPICS[topics], seen)
    return StreamingResponse(told, media_type="text/event-stream")


async def _told(
    services: Services, request: Request, bell: Bell, kinds: tuple[str, ...], seen: int
) -> AsyncIterator[str]:
    bell.streams += 1
    try:
        yield "retry: 2000\n\n"
        while not bell.is_closed:
            size = services.log.size
            if size != seen:
                is_news = await _concerns(services, kinds, seen, size)
                yield f"id: {size}\nevent: news\ndata: {size}\n\n" if is_news else f"id: {size}\n\n"
                seen = size
                await bell.rest(PAUSE_S)
            else:
                yield ":\n\n"
            if services.log.size == seen:
                await bell.wait(BEAT_S)
            session_of(services, request)
    except NotLoggedIn:
        return
    finally:
        bell.streams -= 1


async def _concerns(services: Services, kinds: tuple[str, ...], seen: int, size: int) -> bool:
    if "" in kinds or not 0 <= seen <= size or size - seen > _MOST_READ:
        return True
    found = await asyncio.to_thread(lambda: list(services.log.entries(seen, size)))
    return any(entry.body["kind"].startswith(kinds) for entry in found)

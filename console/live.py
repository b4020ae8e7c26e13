"""`/events`: one stream that tells an open page that something has happened, and never what.

A page that hears of news asks for itself again, with the same checks as ever. The id of an event is
how many entries the log had, so a stream that broke off goes on where it was (`Last-Event-ID`).
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Annotated

from fastapi import Header, Request
from fastapi.responses import StreamingResponse

from console.routes import Pages
from console.visitors import STREAM, NotLoggedIn, Viewer, session_of
from gateway.operator import run_events
from gateway.operator.api import Here
from gateway.operator.errors import OperatorRefused
from gateway.operator.services import Services

TOPICS: Mapping[str, tuple[str, ...]] = {
    "all": ("",),
    "approvals": ("approval.", "gateway."),
    "runs": ("run.", "approval."),
    "rollbacks": ("rollback.", "outcome", "approval."),
    "agents": ("agent.", "alarm.", "gateway.", "policy.", "session."),
    "servers": ("gateway.", "policy.", "server.", "tool."),
    "policies": ("gateway.", "policy.", "server."),
}
"""Kinds of entries that a page may want to hear of, by how they begin."""

PAUSE_S = 1.0
"""Least time between two events of a stream."""

BEAT_S = 15.0
"""How often a stream that has no news looks whether its session still stands."""

_MOST_READ = 256
_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)

router = Pages()


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
    if topics not in TOPICS:
        raise OperatorRefused("operator.body", "there is no such topic")
    services.bell.check()
    begin = last_event_id or after
    seen = int(begin) if _NUMBER.fullmatch(begin) else -1  # told something else: all is news
    told = _told(services, request, TOPICS[topics], seen)
    return StreamingResponse(told, media_type="text/event-stream")


@router.get(f"{STREAM}/runs/{{run_id}}")
async def events_of_run(
    services: Here,
    _: Viewer,
    request: Request,
    run_id: str,
    after: str = "",
    last_event_id: Annotated[str, Header()] = "",
) -> StreamingResponse:
    """The stream of the page of a run: its events, which the page takes for news.

    after  how many entries the log had when the page was made
    """
    services.state.runs.get(run_id)
    services.bell.check()
    begin = run_events.place(last_event_id or after)
    told = run_events.told(services, run_id, begin, lambda: _check(services, request))
    return StreamingResponse(told, media_type="text/event-stream")


def _check(services: Services, request: Request) -> None:
    session_of(services, request)


async def _told(
    services: Services, request: Request, kinds: tuple[str, ...], seen: int
) -> AsyncIterator[str]:
    bell = services.bell
    with bell.stream(), suppress(NotLoggedIn):
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


async def _concerns(services: Services, kinds: tuple[str, ...], seen: int, size: int) -> bool:
    if "" in kinds or not 0 <= seen <= size or size - seen > _MOST_READ:
        return True
    found = await asyncio.to_thread(lambda: list(services.log.entries(seen, size)))
    return any(entry.body["kind"].startswith(kinds) for entry in found)

"""Events of a run, for whoever follows it (WHATWG HTML, section 9.2: server-sent events).

    event: run     where it is, and the questions that wait for people; told at the beginning, too
    event: step    where a step is; its id is how many entries the log had when that became true
    event: progress  what the run itself says of how far it is, with such an id

Both say how things stand, never what a step was given or gave, so that hearing one twice does no
harm. A stream that broke off goes on behind the id that was heard last (`Last-Event-ID`), also
after a restart: the ids are places of the log. It ends with the run.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from json import dumps

from audit.canonical import Json
from gateway.errors import GatewayError
from gateway.operator.run_rows import last, row, steps, waiting
from gateway.operator.services import Services

BEAT_S = 15.0
"""How often a stream that has no news says that it is there, and looks who may still hear it."""

PAUSE_S = 0.1
"""Least time between two looks at a run."""

_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)


def place(last_event_id: str) -> int:
    """How many entries of the log somebody has heard of; 0 for what is none of our ids."""
    return int(last_event_id) if _NUMBER.fullmatch(last_event_id) else 0


async def told(
    services: Services, run_id: str, after: int, check: Callable[[], None]
) -> AsyncIterator[str]:
    """The events of a run from `after` on, as text.

    check  raises GatewayError when whoever hears this may do so no more
    """
    heard = _Heard(services, run_id, after)
    with services.bell.stream(), suppress(GatewayError):  # a run that is forgotten ends it, too
        yield "retry: 1000\n\n"
        while not services.bell.is_closed:
            news = heard.news()
            for event in news:
                yield event
            if heard.is_over:
                return
            if news:
                await services.bell.rest(PAUSE_S)
            else:  # nothing is awaited between the look and this
                await services.bell.wait(BEAT_S)
                yield ":\n\n"
            check()


class _Heard:
    """What one stream has told."""

    def __init__(self, services: Services, run_id: str, after: int) -> None:
        self._state = services.state
        self._run = run_id
        self._after = after
        self._said: dict[str, Json] = {}

    @property
    def is_over(self) -> bool:
        """Whether the end of the run has been told."""
        return self._said.get("state") == "ended"

    def news(self) -> list[str]:
        """What has happened since. Raises RunRefused for a run that is known no more."""
        run = self._state.runs.get(self._run)
        events = []
        for index, kind, told in sorted(self._told(), key=lambda each: each[0]):
            self._after = index + 1
            events.append(_event(kind, told, self._after))
        asked: list[Json] = [
            {"id": each.id, "tool": each.key.tool, "expires": each.expires}
            for each in waiting(self._state.approvals, self._run)
        ]
        said = {**row(run), "waiting": asked}
        if said != self._said:
            self._said = said
            events.append(_event("run", said))
        return events

    def _told(self) -> Iterator[tuple[int, str, dict[str, Json]]]:
        """What steps and the run itself say that is new, each with its newest entry."""
        for path, taken in steps(self._state.runs, self._run, self._after):
            yield last(taken), "step", {"path": path, **taken.to_json()}
        for said in self._state.runs.progress.of(self._run):
            if said.index >= self._after:
                yield said.index, "progress", said.to_json()


def _event(kind: str, data: dict[str, Json], place: int | None = None) -> str:
    number = "" if place is None else f"id: {place}\n"
    return f"{number}event: {kind}\ndata: {dumps(data)}\n\n"

"""Retention: forgetting for good. What has expired goes, and with a session all that was its own.

An end is recorded when it is done: the keys first (overwritten, synced, unlinked), then the entry.
A crash in between leaves something that is still to be forgotten, and the next start does it.
"""

import asyncio

import structlog

from audit.canonical import Json
from audit.errors import AuditError
from gateway.memory.items import REMOVED, WIPED, Items
from gateway.memory.place import Place
from gateway.memory.texts import Texts
from gateway.memory.turns import Turns
from gateway.recorder import Recorder
from gateway.session.sessions import Sessions

log = structlog.get_logger(__name__)

_MOST_NAMED = 200
"""Items that one entry can name."""


class Retention:
    """Ends what has to end, in every place."""

    def __init__(
        self, items: Items, texts: Texts, recorder: Recorder, sessions: Sessions, turns: Turns
    ) -> None:
        self._items = items
        self._texts = texts
        self._recorder = recorder
        self._sessions = sessions
        self._turns = turns

    async def begin(self) -> None:
        """Finish what a crash came between: no key stays that nothing needs. Raises OSError."""
        living = [item for item in self._items if not self._has_ended(item.place)]
        self._items.thinned.clear()
        await asyncio.to_thread(self._texts.destroy_all, but=living)
        await self.sweep()

    async def sweep(self) -> None:
        """Forget what is over. What cannot be forgotten now is tried again at the next sweep."""
        for place in self._items.places():
            try:
                await self._sweep(place)
            except (AuditError, OSError) as error:
                log.error("memory.not_forgotten", of=place.of, reason=type(error).__name__)
        for place in tuple(self._items.thinned):
            try:
                await self._thin(place)
            except OSError as error:
                log.error("memory.not_forgotten", of=place.of, reason=type(error).__name__)

    async def _sweep(self, place: Place) -> None:
        if self._has_ended(place):
            await self._wipe(place)
            return
        if self._items.over(place, self._now_s()):
            await self._expire(place)

    async def _wipe(self, place: Place) -> None:
        async with self._turns.at(place):
            count = len(self._items.of(place))
            if not count:  # somebody else has, while this waited
                return
            keys = await asyncio.to_thread(self._texts.destroy, place)
            fields: dict[str, Json] = {"place": place.to_json(), "items": count, "keys": keys}
            await self._recorder.write(WIPED, fields)

    async def _expire(self, place: Place) -> None:
        async with self._turns.at(place):
            over = list[Json](self._items.over(place, self._now_s()))
            for first in range(0, len(over), _MOST_NAMED):
                ids = over[first : first + _MOST_NAMED]
                fields: dict[str, Json] = {"place": place.to_json(), "items": ids, "why": "expired"}
                await self._recorder.write(REMOVED, fields)

    async def _thin(self, place: Place) -> None:
        """Destroy the keys of a place that nothing is read with any more."""
        async with self._turns.at(place):
            self._items.thinned.discard(place)
            try:
                await asyncio.to_thread(self._texts.destroy, place, but=self._items.of(place))
            except OSError:
                self._items.thinned.add(place)
                raise

    def _has_ended(self, place: Place) -> bool:
        if place.of != "session":
            return False
        session = self._sessions.get(place.owner)
        return session is None or session.ended or session.ends <= self._now_s()

    def _now_s(self) -> int:
        return self._recorder.now() // 1_000_000

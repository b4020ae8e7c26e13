"""The keeper: brings state, view and log together at start, and keeps the view near afterwards."""

import asyncio
from contextlib import suppress

import structlog
from sqlalchemy.exc import SQLAlchemyError

from audit.log import Log
from gateway.state import State
from gateway.store.view import Change, View, check_continues

log = structlog.get_logger(__name__)

EVERY_S = 0.5


class Keeper:
    """Owns the view of one log. The state is in memory; the view only shortens the next start."""

    def __init__(self, state: State, view: View, entries: Log) -> None:
        self._state = state
        self._view = view
        self._log = entries
        self._leaf = ""
        self._saved = 0

    def restore(self) -> None:
        """Fill the state: rows of the view first, then every entry of the log beyond them.

        Raises StateAhead when the log is not the one that the view was made from.
        """
        size, leaf = self._view.applied()
        last = self._log.entry(size - 1).leaf.hex() if 0 < size <= self._log.size else None
        check_continues(size, leaf, log_size=self._log.size, leaf_in_log=last)
        rooms = self._state.rooms
        for room, key, row in self._view.rows():
            rooms[room].restore(key, row)
        self._state.applied = self._saved = size
        self._leaf = leaf
        for entry in self._log.entries(size):
            self.apply(entry.index, entry.leaf.hex(), entry.body)

    def apply(self, index: int, leaf: str, body: "dict[str, object]") -> None:
        """Fold one durable entry in."""
        self._state.apply(index, leaf, body)  # type: ignore[arg-type]  # Json, as the log read it
        self._leaf = leaf

    async def run(self) -> None:
        """Save what changed, again and again, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            with suppress(SQLAlchemyError):
                await self.save()

    async def save(self) -> None:
        """Bring the view up to the state. Raises SQLAlchemyError; then it stays where it was."""
        if self._state.applied == self._saved:
            return
        size, leaf = self._state.applied, self._leaf
        changes, taken = [], {}
        for name, room in self._state.rooms.items():
            taken[name], room.changed = room.changed, set()
            changes += [Change.of(name, key, room.stored(key)) for key in taken[name]]
        try:
            await asyncio.to_thread(self._view.save, changes, size=size, leaf=leaf)
        except SQLAlchemyError as error:
            for name, keys in taken.items():
                self._state.rooms[name].changed |= keys
            log.error("view.behind", reason=type(error).__name__, size=self._saved)
            raise
        self._saved = size

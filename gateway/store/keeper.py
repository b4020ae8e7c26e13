"""The keeper: brings state, view and log together at start, and keeps the view near afterwards."""

import asyncio
from collections.abc import Iterable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from audit.entry import Entry
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
        self._one_at_a_time = asyncio.Lock()

    def restore(self) -> None:
        """Fill the state: rows of the view first, then every entry of the log beyond them; the
        whole log where other code has made the rows.

        Raises StateAhead when the log is not the one that the view was made from.
        """
        size, leaf = self._view.applied()
        last = self._log.entry(size - 1).leaf.hex() if 0 < size <= self._log.size else None
        check_continues(size, leaf, log_size=self._log.size, leaf_in_log=last)
        if not self._view.drop_foreign():
            self._restore_rows(size, leaf)
        self.follow(self._log.entries(self._state.applied))

    def _restore_rows(self, size: int, leaf: str) -> None:
        rooms = self._state.rooms
        for room, key, row in self._view.rows():
            rooms[room].restore(key, row)
        self._state.applied = self._saved = size
        self._leaf = leaf

    def follow(self, entries: Iterable[Entry]) -> None:
        """Fold durable entries in, in their order.

        Whatever fails here leaves a state that is not the log's, in which a revocation could be
        missing: from then on nothing is confirmed, and every call is refused.
        """
        try:
            for entry in entries:
                leaf = entry.leaf.hex()
                self._state.apply(entry.index, leaf, entry.body)
                self._leaf = leaf
        except BaseException:
            self._state.lose()
            raise

    async def run(self) -> None:
        """Save what changed, again and again, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.save()
            except SQLAlchemyError:
                log.exception("view.behind", size=self._saved)

    async def save(self) -> None:
        """Bring the view up to the state. Raises SQLAlchemyError; then it stays where it was."""
        async with self._one_at_a_time:
            if self._state.applied == self._saved:
                return
            size, leaf = self._state.applied, self._leaf
            changes = self._changes()
            taken = {name: room.changed for name, room in self._state.rooms.items()}
            for room in self._state.rooms.values():
                room.changed = set()
            saving = asyncio.create_task(
                asyncio.to_thread(self._view.save, changes, size=size, leaf=leaf)
            )
            try:
                await asyncio.shield(saving)
            except BaseException:
                await asyncio.wait([saving])  # a thread cannot be stopped: none may save beside it
                for name, room in self._state.rooms.items():
                    room.changed |= taken[name]
                raise
            self._saved = size

    def _changes(self) -> list[Change]:
        return [
            Change.of(name, key, room.stored(key))
            for name, room in self._state.rooms.items()
            for key in room.changed
        ]

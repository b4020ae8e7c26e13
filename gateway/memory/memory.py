"""Memory: put, get, search and delete, each in one place.

What is written is an entry of the log first, and there for readers once that is durable. Keys are
compared in memory, by equality; searching opens what it looks at and leaves nothing behind.
"""

import asyncio
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from audit.canonical import Json
from audit.entry import Receipt, Record
from gateway.errors import MemoryRefused
from gateway.memory.definitions import MOST_FOUND
from gateway.memory.item import Item, sealed_to_json
from gateway.memory.items import PUT, REMOVED, Items
from gateway.memory.place import Reach
from gateway.memory.texts import Texts
from gateway.memory.turns import Turns
from gateway.recorder import Recorder
from gateway.session.session import Session
from gateway.session.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Writer:
    """Who changes something.

    session   in which; what it has touched is what a reader takes on
    decision  the entry that authorises it
    """

    actor: dict[str, Json]
    session: str
    decision: Receipt


@dataclass(frozen=True, slots=True)
class Found:
    """An item with its key and its text."""

    item: Item
    key: str = field(repr=False)
    text: str = field(repr=False)


class Memory:
    """All that is remembered, for whoever has a `Reach` to it."""

    def __init__(self, items: Items, texts: Texts, recorder: Recorder, sessions: Sessions) -> None:
        self._items = items
        self._texts = texts
        self._recorder = recorder
        self._sessions = sessions
        self.turns = Turns()

    async def put(
        self, to: Reach, writer: Writer, key: str, text: str, keep_s: int | None = None
    ) -> int | None:
        """Keep `text` under `key`, in the place of what was there; returns when it is durable.

        keep_s  for how long; the place may keep it for less

        Answers when it expires, in seconds since the epoch; None: not before the place ends.
        Raises MemoryRefused, AuditError or OSError.
        """
        size = len(key.encode()) + len(text.encode())
        if size > to.longest:
            raise MemoryRefused(f"Key and text have more than {to.longest} bytes.")
        provenance = await asyncio.to_thread(self._provenance, writer.decision)
        async with self.turns.at(to.place):
            living = await self._known(to)
            same = [item for item in living if self._key(item) == key]
            _check_room(to, [item for item in living if item not in same], size)
            session = self._live(writer.session)  # nothing is waited for between this and sealing
            item_id, expires = self._recorder.new_id(), self._expires(to, keep_s)
            sealed_key, sealed = self._texts.seal(to.place, item_id, key, text)
            fields: dict[str, Json] = {
                "actor": writer.actor,
                "session": writer.session,
                "decision": _named(writer.decision),
                "place": to.place.to_json(),
                "labels": list[Json](sorted(session.labels)),
                "provenance": provenance,
                "replaces": [item.id for item in same],
                "expires": expires,
                "size": size,
                "key": sealed_to_json(sealed_key),
                "text": {"commit": sealed.commit, "kept": True, "len": sealed.length},
            }
            await self._recorder.enqueue(Record(item_id, PUT, fields, sealed))
        return expires

    async def get(self, at: Reach, key: str) -> Found | None:
        """What is kept under `key`; None when there is nothing. Raises MemoryRefused."""
        same = [item for item in await self._known(at) if self._key(item) == key]
        if not same:
            return None
        item = same[-1]
        return Found(item, key, await asyncio.to_thread(self._texts.text, item))

    async def search(self, at: Reach, words: str) -> Sequence[Found]:
        """What holds `words` in its key or text, whatever their case; newest first.

        What cannot be read is passed over, as if it were not there.
        """
        living = self._living(at)
        return await asyncio.to_thread(self._matching, living[::-1], _folded(words))

    async def delete(self, at: Reach, writer: Writer, key: str) -> bool:
        """Forget what is kept under `key`; whether there was anything. Raises AuditError."""
        async with self.turns.at(at.place):
            same = [item for item in await self._known(at) if self._key(item) == key]
            if not same:
                return False
            fields: dict[str, Json] = {
                "actor": writer.actor,
                "session": writer.session,
                "decision": _named(writer.decision),
                "place": at.place.to_json(),
                "items": [item.id for item in same],
                "why": "deleted",
            }
            await self._recorder.write(REMOVED, fields, reserved=False)
        return True

    def _live(self, session_id: str) -> Session:
        """The session of a writer, which may have ended while it waited for its turn."""
        session = self._sessions.get(session_id)
        if session is None or session.ended or session.ends <= self._now_s():
            raise MemoryRefused("This session has ended, and with it its memory.")
        return session

    def _living(self, at: Reach) -> list[Item]:
        """What is there for a caller: as the policy has it now, not when it was written."""
        now_s = self._now_s()
        return [
            item
            for item in self._items.of(at.place)
            if item.lives(now_s) and (at.keep_s is None or now_s < item.written + at.keep_s)
        ]

    async def _known(self, at: Reach) -> list[Item]:
        """What is there, with the keys opened that a restart has closed."""
        living = self._living(at)
        if not all(map(self._texts.knows, living)):
            await asyncio.to_thread(lambda: [self._key(item) for item in living])
        return living

    def _key(self, item: Item) -> str | None:
        """The key of an item; None when it cannot be read."""
        try:
            return self._texts.key(item)
        except MemoryRefused:
            return None

    def _matching(self, items: Sequence[Item], words: str) -> list[Found]:
        found: list[Found] = []
        for item in items:
            each = self._opened(item)
            if each is not None and words in _folded(f"{each.key}\n{each.text}"):
                found.append(each)
            if len(found) == MOST_FOUND:
                break
        return found

    def _opened(self, item: Item) -> Found | None:
        key = self._key(item)
        try:
            return None if key is None else Found(item, key, self._texts.text(item))
        except MemoryRefused:
            return None

    def _provenance(self, decision: Receipt) -> str:
        """Of the text, as it was decided upon; none when that was not found out."""
        facts = self._recorder.entry(decision.index).body["facts"]
        provenance: str = facts["provenance"].get("value", "none")
        return provenance

    def _expires(self, to: Reach, keep_s: int | None) -> int | None:
        lives = [each for each in (to.keep_s, keep_s) if each is not None]
        return self._now_s() + min(lives) if lives else None

    def _now_s(self) -> int:
        return self._recorder.now() // 1_000_000


def _check_room(to: Reach, others: Sequence[Item], size: int) -> None:
    if len(others) >= to.entries:
        raise MemoryRefused(f"This memory is full: it holds {to.entries} entries.")
    if sum(item.size for item in others) + size > to.bytes:
        raise MemoryRefused(f"This memory is full: it holds {to.bytes} bytes.")


def _named(decision: Receipt) -> dict[str, Json]:
    return {"index": decision.index, "leaf": decision.leaf.hex()}


def _folded(text: str) -> str:
    """A text without case and compatibility forms: full-width letters are found too."""
    return unicodedata.normalize("NFKC", text).casefold()

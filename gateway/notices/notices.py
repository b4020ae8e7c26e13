"""Notices: which entries are to be told, and how far each webhook has been told of them.

A room of the state, so that what is owed when the gateway ends is still owed when it starts. What
is a day old is told to nobody any more: the log has it.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import cast

from audit.canonical import Json
from gateway.store.row import from_row, to_row

TOLD = "webhook.told"

KEEP_US = 24 * 3600 * 1_000_000
MOST = 2000
"""Notices that are kept; of more, the oldest go."""

_NOTICE, _HOOK = "notice:", "hook:"


@dataclass(frozen=True, slots=True)
class Notice:
    """One entry that can be told.

    id        of the entry; what receivers know the message by
    at        microseconds since 1970
    approval  the request it is about; "": none
    said      further members that everybody may know
    """

    id: str
    kind: str
    index: int
    at: int
    approval: str
    said: Mapping[str, str]


class Notices:
    """What is to be told; `news` is set whenever there is more."""

    def __init__(self) -> None:
        self._notices: dict[int, Notice] = {}  # by index, oldest first
        self._told: dict[str, int] = {}  # webhook -> index up to which it was told
        self.news: set[asyncio.Event] = set()
        self.changed: set[str] = set()

    def knows(self, hook: str) -> bool:
        """Whether that webhook was ever told anything, or how far it need not be."""
        return hook in self._told

    @property
    def newest(self) -> int:
        """Index of the newest notice; -1: there is none."""
        return max(self._notices, default=-1)

    def next(self, hook: str, kinds: Collection[str]) -> Notice | None:
        """The oldest notice of these kinds that the webhook has not been told."""
        told = self._told.get(hook, -1)
        found = (each for each in self._notices.values() if each.index > told)
        return next((each for each in found if each.kind in kinds), None)

    def forget(self, now: int) -> None:
        """Drop what is too old, or too much."""
        surplus = len(self._notices) - MOST
        for place, notice in enumerate(list(self._notices.values())):
            if place >= surplus and notice.at + KEEP_US >= now:
                return
            del self._notices[notice.index]
            self.changed.add(f"{_NOTICE}{notice.index}")

    # -- entries

    def noted(self, body: Mapping[str, Json], index: int) -> None:
        """An entry of one of the kinds that can be told."""
        names = _SAID.get(cast("str", body["kind"]), ("state",))
        self._notices[index] = Notice(
            id=cast("str", body["id"]),
            kind=cast("str", body["kind"]),
            index=index,
            at=cast("int", body["ts"]),
            approval=cast("str", body.get("approval", "")),
            said={name: str(body[name]) for name in names if body.get(name) is not None},
        )
        self.changed.add(f"{_NOTICE}{index}")
        for news in self.news:
            news.set()

    def told(self, body: Mapping[str, Json]) -> None:
        """Entry `webhook.told`."""
        hook = cast("str", body["hook"])
        self._told[hook] = max(self._told.get(hook, -1), cast("int", body["through"]))
        self.changed.add(f"{_HOOK}{hook}")

    # -- the stored view

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of a notice or of a webhook; None when it is forgotten."""
        if key.startswith(_HOOK):
            return {"through": self._told[key.removeprefix(_HOOK)]}
        notice = self._notices.get(int(key.removeprefix(_NOTICE)))
        return None if notice is None else to_row(notice)

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        if key.startswith(_HOOK):
            self._told[key.removeprefix(_HOOK)] = cast("int", row["through"])
            return
        notice = from_row(Notice, row)
        self._notices[notice.index] = notice
        self._notices = dict(sorted(self._notices.items()))


_SAID: Mapping[str, tuple[str, ...]] = {
    "alarm.raised": ("alarm", "agent", "tool", "server", "then"),
    "rollback.stopped": ("rollback",),
}
"""What is said of kinds that are not of a request for approval."""

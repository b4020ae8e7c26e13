"""Heard: how far each trigger has come, as a fold of the log.

A trigger that starts something says so in the entry of the run, and one that cannot in an entry of
its own. So a restart finds which moment it answered last, and which entry it looked at last.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from audit.canonical import Json
from gateway.store.row import from_row, to_row


@dataclass(frozen=True, slots=True)
class Place:
    """How far one trigger has come.

    next  index of the first entry that it has not looked at; None: it looks at none
    tick  the last moment that was answered, seconds since 1970; None: it has none
    """

    next: int | None = None
    tick: int | None = None


class Heard:
    """The places of all triggers, by name."""

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}
        self.changed: set[str] = set()

    def get(self, trigger: str) -> Place | None:
        """How far it is; None for one that was never looked at."""
        return self._places.get(trigger)

    # -- the fold ---------------------------------------------------------------------------

    def answered(self, trigger: str, event: str) -> None:
        """An event has been answered, by a run or by a refusal."""
        kind, _, number = event.partition(":")
        place = self._places.get(trigger, Place())
        if kind == "entry":
            self._put(trigger, replace(place, next=int(number) + 1))
        elif kind == "tick":
            self._put(trigger, replace(place, tick=int(number)))

    def refused(self, body: Mapping[str, Json]) -> None:
        """Entry `trigger.refused`."""
        self.answered(str(body["trigger"]), str(body["event"]))

    def read(self, body: Mapping[str, Json]) -> None:
        """Entry `trigger.read`: so far there is nothing more to answer."""
        at, tick = cast("int | None", body["next"]), cast("int | None", body["tick"])
        self._put(str(body["trigger"]), Place(at, tick))

    def _put(self, trigger: str, place: Place) -> None:
        self._places[trigger] = place
        self.changed.add(trigger)

    # -- the stored view --------------------------------------------------------------------

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one trigger."""
        place = self._places.get(key)
        return None if place is None else to_row(place)

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        self._places[key] = from_row(Place, row)

"""Membership: which fleet this gateway belongs to and how far it has heard, by its own log.

A gateway that has once heard something must not take an empty or an older database for its
fleet's: what was withdrawn since would come to life again.
"""

from collections.abc import Mapping
from typing import cast

from audit.canonical import Json
from gateway.store.fleet import Known

_KEY = "fleet"


class Membership:
    """A room of the state, filled from entries `fleet.joined`, `fleet.told` and `fleet.heard`."""

    def __init__(self) -> None:
        self.known = Known()
        self.changed: set[str] = set()

    def joined(self, body: Mapping[str, Json]) -> None:
        """Entry `fleet.joined`: another fleet than before, of which nothing is known yet."""
        self.known = Known(cast("str", body["fleet"]))
        self.changed.add(_KEY)

    def reached(self, body: Mapping[str, Json]) -> None:
        """Entry `fleet.told` or `fleet.heard`."""
        number = cast("int", body["number"])
        self.known = Known(self.known.fleet, max(self.known.number, number))
        self.changed.add(_KEY)

    def stored(self, key: str) -> dict[str, Json] | None:
        """The one row of this room; None before there is a fleet."""
        if key != _KEY or self.known.fleet is None:
            return None
        return {"fleet": self.known.fleet, "number": self.known.number}

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take the row back that `stored` made."""
        if key == _KEY:
            self.known = Known(cast("str", row["fleet"]), cast("int", row["number"]))

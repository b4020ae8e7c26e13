"""Counters: what was charged lately to one limit, budget or history.

A window is kept as `SLOTS` slots, each of which counts until all of it has left the window: never
too little, and at most a thirtieth of the window too long.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self, cast

from audit.canonical import Json
from gateway.session.charge import Charge

LATEST = 16
"""Times of single calls that a history keeps, so that one of them can be taken back."""


@dataclass(slots=True)
class Counter:
    """What was charged, by the end of the slot in which it was; all times in microseconds.

    window  of the latest charge
    latest  times of the latest charges, for histories alone: newest last
    """

    window: int
    slots: dict[int, int] = field(default_factory=dict)
    latest: list[int] = field(default_factory=list)
    _total: int = 0  # of all slots
    _first: int = 0  # the end of the earliest

    def __post_init__(self) -> None:
        self._sum()

    def used(self, since: int) -> int:
        """The sum of the slots that end after `since`."""
        if since < self._first:  # as mostly: nothing has left the window since it was last added to
            return self._total
        return sum([amount for end, amount in self.slots.items() if end > since])

    def last(self, since: int) -> int | None:
        """When the last call of a history was, after `since`; None: there is none.

        Of calls whose times are no longer known it is the last moment when one can have been.
        """
        if not self.used(since):
            return None
        return self.latest[-1] if self.latest else max(self.slots)

    def add(self, charge: Charge) -> None:
        """Count a charge, and drop what has left its window."""
        self.window = charge.window
        end = charge.slot
        if end not in self.slots:
            for old in [end for end in self.slots if end <= charge.at - charge.window]:
                del self.slots[old]
            self.slots[end] = 0
            self._sum()
        self.slots[end] += charge.amount
        self._total += charge.amount
        if charge.kind == "history":
            self.latest = [*self.latest[1 - LATEST :], charge.at]

    def change(self, charge: Charge, amount: int) -> None:
        """What was counted as `charge` counts as `amount` instead."""
        end = charge.slot
        left = self.slots.pop(end, 0) - charge.amount + amount
        if left > 0:
            self.slots[end] = left
        self._sum()
        if not amount and charge.at in self.latest:
            self.latest.remove(charge.at)

    def _sum(self) -> None:
        self._total = sum(self.slots.values())
        self._first = min(self.slots, default=0)

    def to_json(self) -> dict[str, Json]:
        """The counter as a row of the stored view."""
        slots = cast("list[Json]", [[end, self.slots[end]] for end in sorted(self.slots)])
        row: dict[str, Json] = {"window": self.window, "slots": slots}
        return {**row, "latest": list[Json](self.latest)} if self.latest else row

    @classmethod
    def from_json(cls, row: Mapping[str, Json]) -> Self:
        """The inverse of `to_json`."""
        slots = cast("list[tuple[int, int]]", row["slots"])
        latest = cast("list[int]", row.get("latest", []))
        return cls(cast("int", row["window"]), dict(slots), list(latest))

"""Rates: how often each rule asks, and what people make of it.

A rule whose questions are nearly all approved, and at once, is not read any more: it should allow,
or ask less. Counted from entries, so a restart changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import median_low

from audit.canonical import Json
from gateway.approval.request import Request
from gateway.store.row import from_row, to_row

MOST_TIMES = 99
"""Answers of which the time is remembered, the newest of each rule."""

WORTH_SAYING = 20
WAVED_THROUGH_PERCENT, AT_ONCE_S = 95, 5


@dataclass(frozen=True, slots=True)
class Rate:
    """What became of the questions of one rule.

    alone    approved in an emergency, by one person
    over     withdrawn, or nobody answered in time
    seconds  from question to decision, of the newest answers
    """

    asked: int = 0
    approved: int = 0
    denied: int = 0
    alone: int = 0
    over: int = 0
    seconds: tuple[int, ...] = ()

    @property
    def percent(self) -> int | None:
        """Approved, of what people decided; None before they have."""
        decided = self.approved + self.denied
        return None if not decided else 100 * self.approved // decided

    @property
    def median_s(self) -> int | None:
        """Median of `seconds`; None before anybody has answered."""
        return median_low(self.seconds) if self.seconds else None

    @property
    def is_waved_through(self) -> bool:
        """Whether nobody can be reading its questions."""
        percent, median_s = self.percent, self.median_s
        if percent is None or median_s is None or self.approved + self.denied < WORTH_SAYING:
            return False
        return percent >= WAVED_THROUGH_PERCENT and median_s <= AT_ONCE_S


class Rates:
    """The rate of every rule that has asked; a room of the state."""

    def __init__(self) -> None:
        self._by_rule: dict[str, Rate] = {}
        self.changed: set[str] = set()

    def all(self) -> Mapping[str, Rate]:
        """By rule, those first that ask most."""
        ordered = sorted(self._by_rule.items(), key=lambda each: (-each[1].asked, each[0]))
        return dict(ordered)

    def of(self, rule: str) -> Rate:
        """The rate of one rule."""
        return self._by_rule.get(rule, Rate())

    def moved(self, before: Request | None, after: Request) -> None:
        """An entry has made a request what it is now."""
        if before is not None and (before.state != "asked" or after.state == "asked"):
            return
        for rule in after.rules:
            rate = self.of(rule)
            asked = replace(rate, asked=rate.asked + 1)
            self._by_rule[rule] = asked if before is None else _ended(rate, after)
            self.changed.add(rule)

    # -- the stored view

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one rule."""
        return to_row(self._by_rule[key])

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        self._by_rule[key] = from_row(Rate, row)


def _ended(rate: Rate, request: Request) -> Rate:
    if request.broken_by:
        return replace(rate, alone=rate.alone + 1)
    if request.state not in {"approved", "denied"}:
        return replace(rate, over=rate.over + 1)
    took = max(0, request.votes[-1].at - request.asked)
    timed = replace(rate, seconds=(*rate.seconds, took)[-MOST_TIMES:])
    if request.state == "denied":
        return replace(timed, denied=rate.denied + 1)
    return replace(timed, approved=rate.approved + 1)

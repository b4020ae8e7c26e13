"""The pulse: calls of the last hour, by minute and effect, counted in the log itself.

A question to people is one call; what goes through with their answer is another, and allowed.

Nothing is counted while calls are made: whoever looks has the entries read that came since somebody
looked last, the newest first where there are many.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from audit.entry import Entry

MINUTES = 60
MOST_READ = 4000
"""Entries that one look reads; earlier ones of the hour are then missing, which is said."""

EFFECTS = ("allow", "ask", "deny")
_MINUTE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Hour:
    """Counts by minute, oldest first; each as (allow, ask, deny).

    first    minute of the first one, since 1970
    from_    index of the first entry that was counted
    """

    first: int
    counts: tuple[tuple[int, int, int], ...]
    from_: int

    @property
    def totals(self) -> tuple[tuple[str, int], ...]:
        """Calls of the whole hour, by effect."""
        return tuple(zip(EFFECTS, map(sum, zip(*self.counts, strict=True)), strict=True))


@dataclass(slots=True)
class Pulse:
    """What has been counted so far; covers the entries from `from_` up to `covered`."""

    from_: int = 0
    covered: int = 0
    _counts: dict[tuple[int, str], int] = field(default_factory=dict)

    def missing(self, size: int) -> tuple[int, int]:
        """The entries that are to be handed to `take`, of a log of that size."""
        start = max(self.covered, size - MOST_READ)
        if start > self.covered or not self.covered:
            self._counts.clear()
            self.from_ = start
        return start, size

    def take(self, entries: Iterable[Entry]) -> None:
        """Count further entries, in their order."""
        for entry in entries:
            body = entry.body
            effect = _effect(body)
            if effect is not None:
                at = (body["ts"] // _MINUTE_US, effect)
                self._counts[at] = self._counts.get(at, 0) + 1
            self.covered = entry.index + 1

    def hour(self, now_us: int) -> Hour:
        """The last hour, up to the present minute."""
        last = now_us // _MINUTE_US
        first = last - MINUTES + 1
        for at in [at for at in self._counts if at[0] < first]:
            del self._counts[at]
        counts = tuple(
            (
                self._counts.get((minute, "allow"), 0),
                self._counts.get((minute, "ask"), 0),
                self._counts.get((minute, "deny"), 0),
            )
            for minute in range(first, last + 1)
        )
        return Hour(first, counts, self.from_)


def _effect(body: dict[str, Any]) -> str | None:
    """What an entry says became of a call; None: it is about something else."""
    if body["kind"] == "approval.asked":
        return "ask"
    if body["kind"] != "decision":
        return None
    return "deny" if body["decision"]["effect"] == "deny" else "allow"

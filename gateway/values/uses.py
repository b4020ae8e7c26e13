"""Uses: how often a write has used up what the user said.

A word of the user's is no standing order: what was said once is done once. So each write that rests
on the user's words is counted, by the tree of sessions it was made in, the tool and the arguments.
Counted is a fold of the log; what is on its way into it is held beside, so that of two at once only
one is the first.
"""

from collections import Counter
from collections.abc import Container, Mapping
from typing import cast

from audit.canonical import Json

MOST = 4096
"""Different writes of one tree; after that all its words count as used up."""


class Uses:
    """Counts of identical writes, by tree."""

    def __init__(self) -> None:
        self._counted: dict[str, Counter[str]] = {}
        self._held: dict[str, tuple[str, str]] = {}  # by id of the call
        self._open: dict[str, tuple[str, str]] = {}  # counted, and not yet known to have happened
        self.changed: set[str] = set()

    def any(self, root: str) -> bool:
        """Whether anything in this tree has used up what the user said."""
        return bool(self._held) or root in self._counted

    def count(self, root: str, write: str) -> int:
        """How often this write was made, or is being made."""
        counted = self._counted.get(root)
        if counted is None:
            return self._holds(root, write) if self._held else 0
        if len(counted) >= MOST:
            return len(counted)
        return counted[write] + (self._holds(root, write) if self._held else 0)

    def hold(self, call_id: str, root: str, write: str) -> None:
        """Count a write from now on whose entry is not durable yet; never undone but by the log."""
        self._held[call_id] = (root, write)

    def _holds(self, root: str, write: str) -> int:
        return sum(held == (root, write) for held in self._held.values())

    def forget(self, known: Container[str]) -> None:
        """Drop the counts of all trees but these."""
        for root in [root for root in self._counted if root not in known]:
            del self._counted[root]
            self.changed.add(root)

    # -- the fold ---------------------------------------------------------------------------

    def spent(self, call_id: str, root: str, write: str) -> None:
        """A decision entry that authorises a write which rests on the user's words."""
        self._held.pop(call_id, None)
        self._counted.setdefault(root, Counter())[write] += 1
        self._open[call_id] = (root, write)
        self.changed.add(root)

    def settled(self, call_id: str, status: str) -> None:
        """An outcome entry; a call that was not forwarded has used up nothing."""
        root, write = self._open.pop(call_id, ("", ""))
        if status == "refused" and root in self._counted:
            self._counted[root] -= Counter({write: 1})
            self.changed.add(root)

    # -- the stored view --------------------------------------------------------------------

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one tree; None when nothing is counted in it."""
        counted = self._counted.get(key)
        return None if counted is None else {"writes": dict(counted)}

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        self._counted[key] = Counter(cast("dict[str, int]", row["writes"]))

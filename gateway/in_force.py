"""In force: which policy the log says is in force, and when rights last changed."""

from collections.abc import Mapping
from typing import cast

from audit.canonical import Json

FLEET = "fleet"
"""Who activates a policy because another gateway of the fleet has."""


class Activations:
    """Which policy is in force, and when rights last changed, by the log."""

    def __init__(self) -> None:
        self.snapshot: str | None = None  # digest last activated
        self.raised_at = 0  # when rights last changed, in microseconds
        self.untold: str | None = None  # digest that was activated here and the fleet is to know
        self.replaces: str | None = None  # digest of the one before that the fleet knew of
        self.changed: set[str] = set()

    def raised(self, ts: int) -> None:
        """An entry that raises the epoch."""
        self.raised_at = ts
        self.changed.add("policy")

    def activated(self, body: Mapping[str, Json]) -> None:
        """Entry `policy.changed`. The first policy of a home is no change to others."""
        self.snapshot = str(body["snapshot"])
        before = cast("str | None", body["before"])
        if self.untold is None:
            self.replaces = before
        self.untold = self.snapshot if body["by"] != FLEET and before is not None else None
        self.changed.add("policy")

    def told(self, digest: str | None) -> None:
        """The fleet knows of this activation."""
        if digest == self.untold:
            self.untold = None
            self.changed.add("policy")

    def stored(self, key: str) -> dict[str, Json] | None:
        """The one row of this room."""
        row: dict[str, Json] = {
            "snapshot": self.snapshot,
            "raised_at": self.raised_at,
            "untold": self.untold,
            "replaces": self.replaces,
        }
        return row if key == "policy" else None

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take the row back that `stored` made."""
        if key == "policy":
            self.snapshot = cast("str | None", row["snapshot"])
            self.raised_at = cast("int", row["raised_at"])
            self.untold = cast("str | None", row.get("untold"))
            self.replaces = cast("str | None", row.get("replaces"))

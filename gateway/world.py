"""The world a call is decided in: one policy snapshot together with the catalogue it was
compiled against. It is immutable and replaced as a whole by one assignment, so a call sees
either the old rules and tools or the new ones, never some of each.
"""

from dataclasses import dataclass, field

from gateway.catalogue.tools import Catalogue
from policies.snapshot import Snapshot

Contents = tuple[tuple[str, bytes], ...]
"""Policy files as they were read: name and bytes."""

MOST_SEEN = 20_000
"""How many answers to "until when do they see it" a world remembers before it begins anew."""


@dataclass(frozen=True, slots=True)
class World:
    """Rules and tools that belong together.

    seen  until when a tool can be seen, in microseconds since 1970, as `gateway.attempt.sees` has
          found out, by everything that it depends on
    """

    snapshot: Snapshot
    catalogue: Catalogue
    contents: Contents  # the policy files that the snapshot was compiled from
    seen: dict[tuple[object, ...], float] = field(default_factory=dict, repr=False, compare=False)


class Worlds:
    """Holds the world in force; replaced by whoever may activate one."""

    __slots__ = ("current",)

    def __init__(self, first: World) -> None:
        self.current = first

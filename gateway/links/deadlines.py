"""Deadlines: what has to end in time, watched by one timer.

A timer of its own for each request, set and nearly always cancelled, costs more than to look at
all that are under way when the first of them is due. Seconds by the event loop's clock.
"""

import asyncio
from collections.abc import Collection
from typing import Protocol

NEVER = float("inf")


class Timed(Protocol):
    """Something that has to end by its deadline.

    deadline  NEVER: it has none at present
    """

    deadline: float

    def expire(self) -> None:
        """It has not ended in time."""


class Deadlines:
    """The deadlines of all `members`, which may change at any time; `watch` is told of new ones."""

    def __init__(self, members: Collection[Timed]) -> None:
        self._members = members
        self._timer: asyncio.TimerHandle | None = None
        self._next = NEVER  # when the timer goes off: no later than the first deadline

    def watch(self, deadline: float) -> None:
        """A member has this deadline from now on."""
        if deadline < self._next:
            self.close()
            self._next = deadline
            self._timer = asyncio.get_running_loop().call_at(deadline, self._look)

    def close(self) -> None:
        """Watch nothing until told of another deadline."""
        self._next = NEVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        self.close()
        for member in [each for each in self._members if each.deadline <= now]:
            member.expire()
        self.watch(min((each.deadline for each in self._members), default=NEVER))

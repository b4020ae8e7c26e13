"""The epoch: one number that every revocation, suspension, stop and policy activation raises.

What was verified or decided under one value is worth nothing under the next. The process that
owns the log owns the number; a replica learns it from there and denies when it has not heard
for longer than `CONFIRMED_FOR_US`.
"""

from dataclasses import dataclass
from typing import Self

CONFIRMED_FOR_US = 1_000_000


@dataclass(slots=True)
class Epoch:
    """A number that only grows, and the moment until which it is known to be the current one.

    value  compared by whoever keeps something that a revocation must end
    """

    value: int = 0
    _confirmed_until: int | None = None  # microseconds; None: this process owns the number
    _lost: bool = False

    @classmethod
    def followed(cls) -> Self:
        """Make the epoch of a replica: confirmed from the first `confirm` on."""
        return cls(_confirmed_until=-1)

    def advance(self) -> int:
        """Raise the number by one and return it: everything verified before is to be redone."""
        self.value += 1
        return self.value

    def confirm(self, value: int, now: int) -> None:
        """Take over what the owner said at `now` (microseconds); an older number changes nothing.

        A late message must neither lower the number nor prolong the confidence in it.
        """
        if value < self.value or self._confirmed_until is None:
            return
        self.value = value
        self._confirmed_until = max(self._confirmed_until, now + CONFIRMED_FOR_US)

    def lose(self) -> None:
        """Never be confirmed again: this process can no longer tell what was revoked."""
        self._lost = True
        self.value += 1

    def confirmed(self, now: int) -> bool:
        """Tell whether the number is known to be current at `now` (microseconds)."""
        if self._lost:
            return False
        return self._confirmed_until is None or now <= self._confirmed_until

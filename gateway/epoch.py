"""The epoch: one number that every revocation, suspension, stop and policy activation raises.

What was verified or decided under one value is worth nothing under the next. The number is this
process's own. Where several gateways share what is withdrawn, each also has to have heard from
what they share within `CONFIRMED_FOR_US`: one that has not denies.
"""

from dataclasses import dataclass
from typing import Self

CONFIRMED_FOR_US = 800_000
"""So that a gateway which hears nothing more has refused its callers within a second."""


@dataclass(slots=True)
class Epoch:
    """A number that only grows, and the moment until which nothing can be missing in it.

    value  compared by whoever keeps something that a revocation must end
    """

    value: int = 0
    _confirmed_until: int | None = None  # microseconds, monotonic; None: nothing comes from others
    _lost: bool = False

    @classmethod
    def followed(cls) -> Self:
        """Make the epoch of one gateway among several: confirmed from the first `confirm` on."""
        return cls(_confirmed_until=-1)

    def advance(self) -> int:
        """Raise the number by one and return it: everything verified before is to be redone."""
        self.value += 1
        return self.value

    def confirm(self, asked: int) -> None:
        """All that others had withdrawn by then has been taken over.

        asked  when what is shared was asked for, not when it answered: microseconds, monotonic

        A late answer must not shorten the confidence that a newer one gave.
        """
        if self._confirmed_until is not None:
            self._confirmed_until = max(self._confirmed_until, asked + CONFIRMED_FOR_US)

    def lose(self) -> None:
        """Never be confirmed again: this process can no longer tell what was revoked."""
        self._lost = True
        self.value += 1

    def confirmed(self, now: int) -> bool:
        """Tell whether nothing can be missing at `now` (microseconds, monotonic).

        Monotonic, unlike all other time here: a clock that is set back must not prolong it.
        """
        if self._lost:
            return False
        return self._confirmed_until is None or now <= self._confirmed_until

"""A bound on what a server says unasked: notifications, requests, stray lines, log output."""

import time
from collections.abc import Callable

from gateway.errors import NotUnderstood


class Flood:
    """A bucket of `burst` tokens that fills with `per_second`.

    clock  seconds that never run backwards
    """

    def __init__(
        self,
        *,
        per_second: float = 1000,
        burst: float = 2000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._tokens, self._filled = burst, clock()

    def allows(self) -> bool:
        """Take a token if there is one."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._per_second)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def count(self) -> None:
        """Take a token. Raises NotUnderstood when there is none."""
        if not self.allows():
            raise NotUnderstood(f"more than {self._per_second:g} unasked messages a second")

"""Short-lived secrets: tokens and assertions, known from when they are made until after their end.

Their number is bounded by refusing more, since one that is not known could not be taken out of
what servers say.
"""

from collections.abc import Callable

from gateway.errors import TokenRefused
from gateway.known_secrets import KnownSecrets

GRACE_S = 600
"""How much longer a secret is looked for: the clock of whoever takes it may be behind."""

LONGEST_S = 24 * 3600
MOST = 5000


class ShortLived:
    """The secrets of one process that end by themselves.

    now_s  seconds since 1970, by the log's clock
    """

    def __init__(self, known: KnownSecrets, now_s: Callable[[], int], *, most: int = MOST) -> None:
        self._known = known
        self._now_s = now_s
        self._most = most
        self._until: dict[str, int] = {}

    def keep(self, secret: str, until: int) -> None:
        """Know a secret until some time after `until`. Raises TokenRefused for one too many."""
        now = self._now_s()
        self._forget(now)
        until = min(until, now + LONGEST_S)
        if secret in self._until:
            self._until[secret] = max(until, self._until[secret])
            return
        if len(self._until) >= self._most:
            raise TokenRefused(f"{self._most} tokens of upstreams are in use")
        self._until[secret] = until
        self._known.learn(secret)

    def _forget(self, now: int) -> None:
        ended = [secret for secret, until in self._until.items() if until + GRACE_S <= now]
        for secret in ended:
            del self._until[secret]
            self._known.forget(secret)

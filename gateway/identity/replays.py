"""Replays: what was seen lately, in bounded memory that fails closed.

What does not fit is refused, never forgotten early; and nobody fills the place of the others.
"""

from collections import Counter

MAX_SEEN = 1 << 18
MAX_PER_OWNER = 1 << 16


class Replays:
    """Digests of what was used within the last seconds.

    kept_s  for how long each is remembered
    """

    def __init__(
        self, *, kept_s: int, max_seen: int = MAX_SEEN, max_per_owner: int = MAX_PER_OWNER
    ) -> None:
        self._kept_s = kept_s
        self._max_seen = max_seen
        self._max_per_owner = max_per_owner
        self._seen: dict[bytes, tuple[str, int]] = {}  # oldest first
        self._owned: Counter[str] = Counter()

    def use(self, owner: str, digest: bytes, now_s: int) -> bool:
        """Remember it; False when it is remembered already, or there is no room for it.

        now_s  never less than before
        """
        self._forget(now_s)
        if digest in self._seen or len(self._seen) >= self._max_seen:
            return False
        if self._owned[owner] >= self._max_per_owner:
            return False
        self._seen[digest] = owner, now_s
        self._owned[owner] += 1
        return True

    def _forget(self, now_s: int) -> None:
        while self._seen:
            digest, (owner, used_s) = next(iter(self._seen.items()))
            if used_s + self._kept_s >= now_s:
                return
            del self._seen[digest]
            self._owned[owner] -= 1
            if not self._owned[owner]:
                del self._owned[owner]

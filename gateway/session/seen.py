"""Seen: which values have stood in what a session read, in fixed memory.

Kept are keyed hashes and where each was read first, nothing of the texts. The key is a secret of
this object that stands before every text that is hashed, so that nobody can prepare a text that is
taken for another. What is beyond the room there is is forgotten, the longest unseen first: a value
that was forgotten counts as never seen, which no rule may take for better.
"""

from collections.abc import Iterable

MOST = 1 << 15
"""Values; with Python's own objects about a hundred bytes each."""


class Seen:
    """Values and the number of the source in which each was met.

    key  16 random bytes or more, in hex
    """

    __slots__ = ("_early", "_key", "_late", "_most")

    def __init__(self, key: str, *, most: int = MOST) -> None:
        self._key = key
        self._most = max(1, most // 2)
        self._late: dict[int, int] = {}
        self._early: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._late) + len(self._early)

    def add(self, forms: Iterable[str], source: int) -> None:
        """Remember values; one that is known keeps the source in which it stood first."""
        key, late = self._key, self._late
        for form in forms:
            known = hash(key + form)  # SipHash: 64 bits, and the key is in front
            if known in late:
                continue
            if len(late) >= self._most:
                self._early, late = late, {}
                self._late = late
            late[known] = self._early.get(known, source)

    def source(self, form: str) -> int | None:
        """The source in which a value stood; None when it was not seen, or forgotten."""
        known = hash(self._key + form)
        found = self._late.get(known)
        return self._early.get(known) if found is None else found

"""Seen: which values have stood in what a session read, in fixed memory.

Kept are keyed hashes and what is known of each, nothing of the texts. What is beyond the room there
is is forgotten, the longest unmet first: a value that was forgotten counts as never seen, which no
rule may take for better.
"""

from collections.abc import Iterable

MOST = 1 << 15
"""Values; with Python's own objects about a hundred bytes each."""


class Seen:
    """Notes on values, by their hashes.

    late, early  the notes themselves, for whoever asks too often to call `get`: always these two
    """

    __slots__ = ("_most", "early", "late")

    def __init__(self, *, most: int = MOST) -> None:
        self._most = max(1, most // 2)
        self.late: dict[int, int] = {}
        self.early: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.late) + len(self.early)

    def add(self, values: Iterable[int], note: int) -> None:
        """Remember values; what was noted of one before stands."""
        for value in values:
            if value not in self.late:
                self.put(value, self.early.get(value, note))

    def put(self, value: int, note: int) -> None:
        """Remember one value by this note."""
        if len(self.late) >= self._most and value not in self.late:
            self.early.clear()
            self.early.update(self.late)
            self.late.clear()
        self.late[value] = note

    def get(self, value: int) -> int | None:
        """What was noted of a value; None when it was not seen, or is forgotten."""
        found = self.late.get(value)
        return self.early.get(value) if found is None else found

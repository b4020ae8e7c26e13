"""Memories: one memory of values for each tree of sessions, in this process alone.

A memory is kept from the moment a tree begins, as long as the policy in force has a use for it.
What a restart, or a policy that had none, has lost is not guessed: such a tree counts as tainted,
and its values as never seen, but for the user's words, which the log has.
"""

import secrets
from collections.abc import Callable, Container

from gateway.values.provenance import Memory


def random_key() -> str:
    """A key that nobody can foretell."""
    return secrets.token_hex(16)


class Memories:
    """The memories of trees, by the id of the session with which each began."""

    def __init__(self, new_key: Callable[[], str] = random_key) -> None:
        self._new_key = new_key
        self._by_root: dict[str, Memory] = {}

    def begin(self, root: str, *, tainted: bool) -> None:
        """A tree begins now; `tainted`: what its agent brings along may not be relied upon."""
        self._by_root[root] = Memory(self._new_key(), complete=not tainted)

    def of(self, root: str) -> Memory:
        """The memory of a tree; one that was lost begins anew and is incomplete."""
        known = self._by_root.get(root)
        if known is None:
            known = self._by_root[root] = Memory(self._new_key(), complete=False)
        return known

    def is_tainted(self, root: str) -> bool:
        """Whether what a tree has read may not be relied upon, or is not known."""
        known = self._by_root.get(root)
        return known is None or known.tainted

    def lose(self, root: str) -> None:
        """Something was read in this tree that nobody has looked at."""
        self._by_root.pop(root, None)

    def forget(self, known: Container[str]) -> None:
        """Drop the memories of all trees but these."""
        for root in [root for root in self._by_root if root not in known]:
            del self._by_root[root]

"""Kin: which sessions stand close enough that what one has touched falls on another.

Two ways to be close. Sessions of one *tree* hand work and results to each other: the one with
which a request began, and all that were opened for agents whom the work was handed on to. And
sessions that an agent opened *by itself* are one agent: it would get rid of a label by opening
another.
"""

from collections.abc import Iterator
from typing import Protocol


class Member(Protocol):
    """What must be known of a session."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def agent(self) -> str:
        """Who acts in it."""

    @property
    def user(self) -> str | None:
        """On whose behalf."""

    @property
    def parent(self) -> str | None:
        """The session that it was handed on from."""

    @property
    def root(self) -> str:
        """The session with which its tree began; its own for the first."""

    @property
    def own(self) -> bool:
        """Whether its agent asked for it."""


Tie = tuple[str | None, ...]
"""Something that sessions have in common: its kind, and what it is."""


class Kin:
    """Ids of sessions, by what they have in common."""

    def __init__(self) -> None:
        self._tied: dict[Tie, set[str]] = {}

    def add(self, member: Member) -> None:
        """Know one session; again makes no difference."""
        for tie in _ties(member):
            self._tied.setdefault(tie, set()).add(member.id)

    def drop(self, member: Member) -> None:
        """Know it no more."""
        for tie in _ties(member):
            left = self._tied.get(tie, set())
            left.discard(member.id)
            if not left:
                self._tied.pop(tie, None)

    def tree(self, root: str) -> frozenset[str]:
        """All sessions of one request, the first included."""
        return self._of("tree", root)

    def own(self, agent: str) -> frozenset[str]:
        """All sessions that this agent asked for."""
        return self._of("own", agent)

    def below(self, session_id: str) -> Iterator[str]:
        """Every session that its work was handed on to, and on from there."""
        for child in self._of("child", session_id):
            yield child
            yield from self.below(child)

    def before(self, agent: str, user: str | None) -> frozenset[str]:
        """What a session that this agent asks for follows on.

        Its sessions for that user, and those that were handed on to it, for whomever: what it was
        given there it knows everywhere.
        """
        return self._of("served", agent, user) | self._of("handed", agent)

    def near(self, member: Member) -> frozenset[str]:
        """Sessions on which falls what this one has touched, itself among them or not."""
        own = self._of("own", member.agent)
        if member.parent is None:
            own &= self._of("served", member.agent, member.user)
        return self.tree(member.root) | own

    def _of(self, *tie: str | None) -> frozenset[str]:
        return frozenset(self._tied.get(tie, ()))


def _ties(member: Member) -> Iterator[Tie]:
    yield "tree", member.root
    yield "served", member.agent, member.user
    if member.parent is not None:
        yield "child", member.parent
        yield "handed", member.agent
    if member.own:
        yield "own", member.agent

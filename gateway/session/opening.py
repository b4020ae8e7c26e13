"""Openings: how sessions come to be, by the agent itself, for a person, or handed on.

What a session begins with follows from who asks for it. One that its agent asks for keeps what the
agent has touched lately; one that work is handed on to has what its parent has, and what its own
agent has; only an operator or a declared front end opens a clean one. How many an agent has of its
own, and how many a request has in all, is bounded, those on their way into the log included.
"""

from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from audit.canonical import Json
from gateway.identity.errors import DelegationRefused, OAuthError
from gateway.recorder import Recorder
from gateway.session.purpose import Purpose
from gateway.session.session import Session
from gateway.session.sessions import Sessions

LIFETIME_S = 8 * 3600
MOST_OWN = 1000
"""Open sessions that one agent has asked for by itself, unless the deployment says otherwise."""


@dataclass(frozen=True, slots=True)
class HandedOn:
    """What a session that is handed on begins with.

    parent        the session whose work it is
    chain         the agents that it acts for, newest first
    ends          not later than what it is handed on with
    granted_by    id of the token that it is handed on with
    max_children  how many sessions its tree may have beside the first
    """

    parent: Session
    agent: str
    chain: tuple[str, ...]
    ends: int
    granted_by: str
    max_children: int


@dataclass(frozen=True, slots=True)
class Opening:
    """A session whose entry is on its way into the log; awaited, it is open.

    What is recorded meanwhile stands behind its entry. Awaiting raises AuditUnavailable.
    """

    id: str
    opened: Callable[[], Coroutine[None, None, Session]]

    def __await__(self) -> Generator[None, None, Session]:
        return self.opened().__await__()


class Openings:
    """The ways to open a session; each is an entry first."""

    def __init__(self, recorder: Recorder, sessions: Sessions, *, most_own: int = MOST_OWN) -> None:
        self._recorder = recorder
        self._sessions = sessions
        self._most_own = most_own
        self._under_way: dict[str, set[str]] = {}  # children by root, own by agent

    async def by_agent(self, agent: str, user: str | None, *, by: str | None = None) -> Session:
        """Open a session that the agent asked for: it keeps what its last ones have touched.

        by  who asked for it, if that is not the agent itself

        Raises OAuthError (`slow_down`) when the agent has too many.
        """
        now_s = self._now_s
        if self._count_own(agent, now_s) >= self._most_own:
            raise OAuthError(
                "slow_down",
                f"this agent has {self._most_own} open sessions: renew a token, or end one",
                retry_after=60,
            )
        fields = self._entry(agent, user, opened=now_s, own=True, by=by or f"agent:{agent}")
        fields["labels"] = _list(self._sessions.inherited(agent, user, now_s))
        return await self._counted(f"own:{agent}", fields)

    def clean(
        self,
        agent: str,
        user: str | None,
        *,
        by: str,
        purpose: Purpose | None = None,
        lifetime_s: int = LIFETIME_S,
        labels: frozenset[str] = frozenset(),
    ) -> Opening:
        """Open a session without labels, for an operator or a declared front end.

        labels  of what is brought along into it all the same
        """
        fields = self._entry(agent, user, opened=self._now_s, own=False, by=by)
        fields["ends"] = cast("int", fields["opened"]) + lifetime_s
        fields["labels"] = _list(labels)
        if purpose is not None and purpose.tools is not None:
            fields["purpose_tools"] = list[Json](purpose.tools)
        return self._open(fields, purpose)

    async def handed_on(self, to: HandedOn) -> Session:
        """Open a session for an agent that another hands its work on to.

        It has the purpose of the other and its labels, and those of its own agent.

        Raises DelegationRefused when the tree has no room for it.
        """
        parent, now_s = to.parent, self._now_s
        if (
            len(self._with_under_way(parent.root, self._sessions.tree(parent.root)))
            > to.max_children
        ):
            raise DelegationRefused("fan-out", f"a request has {to.max_children} such sessions")
        by = f"agent:{to.agent}"
        fields = self._entry(to.agent, parent.user, opened=now_s, own=True, by=by)
        labels = parent.labels | self._sessions.inherited(to.agent, parent.user, now_s)
        fields |= {
            "actor": {"agent": to.agent, "sub": parent.user, "chain": list[Json](to.chain)},
            "ends": min(to.ends, parent.ends),
            "labels": _list(labels),
            "parent": parent.id,
            "root": parent.root,
            "granted_by": to.granted_by,
        }
        if parent.purpose_at:
            fields["purpose_at"] = list[Json](parent.purpose_at)
        if parent.tools is not None:
            fields["purpose_tools"] = list[Json](parent.tools)
        return await self._counted(parent.root, fields)

    async def _counted(self, among: str, fields: dict[str, Json]) -> Session:
        """Open one of those that are bounded; no await lies between their count and this."""
        session_id = cast("str", fields["session"])
        under_way = self._under_way.setdefault(among, set())
        under_way.add(session_id)
        try:
            return await self._open(fields)
        finally:
            under_way.discard(session_id)
            if not under_way:
                del self._under_way[among]

    def _with_under_way(self, among: str, known: frozenset[str]) -> frozenset[str]:
        """These and those that are under way; some are both, until who waits for them goes on."""
        return known.union(self._under_way.get(among, ()))

    def _count_own(self, agent: str, now_s: int) -> int:
        """How many sessions this agent has asked for, by itself, and could act in."""
        own = self._sessions.own(agent)
        every = self._with_under_way(f"own:{agent}", own)
        if len(every) < self._most_own:
            return len(every)
        return len(every - own) + sum(self._counts(name, now_s) for name in own)

    def _counts(self, session_id: str, now_s: int) -> bool:
        session = self._sessions.get(session_id)
        assert session is not None
        return session.parent is None and not session.ended and session.ends > now_s

    def _open(self, fields: dict[str, Json], purpose: Purpose | None = None) -> Opening:
        if purpose is None:
            written, words = self._recorder.write("session.open", fields), None
        else:
            actor = cast("Mapping[str, str | None]", fields["actor"])
            subject, words = actor["sub"] or cast("str", actor["agent"]), purpose.words
            written = self._recorder.write_sealed(
                "session.open", fields, subject=subject, name="purpose", words=words.encode()
            )
        session_id = cast("str", fields["session"])

        async def opened() -> Session:
            await written
            return self._sessions.begun(session_id, words)

        return Opening(session_id, opened)

    def _entry(
        self, agent: str, user: str | None, *, opened: int, own: bool, by: str
    ) -> dict[str, Json]:
        return {
            "session": self._recorder.new_id(),
            "actor": {"agent": agent, "sub": user, "chain": []},
            "opened": opened,
            "ends": opened + LIFETIME_S,
            "labels": [],
            "own": own,
            "by": by,
        }

    @property
    def _now_s(self) -> int:
        return self._recorder.now() // 1_000_000


def _list(names: Iterable[str]) -> list[Json]:
    return list[Json](sorted(names))

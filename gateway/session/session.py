"""Sessions: one task of one principal, minted by the gateway and named in its token.

A session hangs on the gateway's own credential, never on an id that a client chooses. Its labels
(what it has been in contact with) only grow, and they grow with a durable entry: this room is a
fold of the log, so a restart finds every label that was ever put on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from audit.canonical import Json
from gateway.errors import SessionEnded
from gateway.principal import Principal
from gateway.recorder import Recorder

LIFETIME_S = 8 * 3600
MEMORY_S = 24 * 3600
"""How long what a session has touched falls on the next one that the agent opens by itself."""


@dataclass(frozen=True, slots=True)
class Session:
    """One task of one principal; times in seconds since the epoch."""

    id: str
    agent: str
    user: str | None
    opened: int
    ends: int
    labels: frozenset[str] = frozenset()
    touched: int = 0  # when it last did something
    purpose: str | None = None
    tools: tuple[str, ...] | None = None  # what the purpose needs; None: not stated
    ended: bool = False


class Sessions:
    """Every session that may still act, by id."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._by_id: dict[str, Session] = {}
        self.changed: set[str] = set()

    def live(self, principal: Principal, now_s: int) -> Session:
        """The session that `principal` acts in.

        Raises SessionEnded when it is unknown, over, ended, or another principal's: to the
        caller these are one and the same.
        """
        session = self._by_id.get(principal.session)
        if (
            session is None
            or session.ended
            or session.ends <= now_s
            or session.agent != principal.agent
            or session.user != principal.user
        ):
            raise SessionEnded
        return session

    def get(self, session_id: str) -> Session | None:
        """The session of that id, also when it has ended; None when it was never opened."""
        return self._by_id.get(session_id)

    def all(self) -> tuple[Session, ...]:
        """Every known session, oldest first."""
        return tuple(sorted(self._by_id.values(), key=lambda session: session.opened))

    async def open_by_agent(self, agent: str, user: str | None) -> Session:
        """Open a session that the agent asked for: it keeps what its last ones have touched."""
        now_s = self._recorder.now() // 1_000_000
        return await self._open(agent, user, labels=self._inherited(agent, user, now_s), by=agent)

    async def open_clean(self, agent: str, user: str | None, *, by: str) -> Session:
        """Open a session without labels, for an operator or a declared front end."""
        return await self._open(agent, user, labels=frozenset(), by=by)

    async def end(self, session_id: str, *, by: str) -> None:
        """End a session; calls in it are refused from now on."""
        await self._recorder.write("session.end", {"session": session_id, "by": by})

    async def _open(
        self, agent: str, user: str | None, *, labels: frozenset[str], by: str
    ) -> Session:
        session_id = self._recorder.new_id()
        opened = self._recorder.now() // 1_000_000
        fields: dict[str, Json] = {
            "session": session_id,
            "actor": {"agent": agent, "sub": user, "chain": []},
            "opened": opened,
            "ends": opened + LIFETIME_S,
            "labels": cast("list[Json]", sorted(labels)),
            "by": by,
        }
        await self._recorder.write("session.open", fields)
        return self._by_id[session_id]

    def _inherited(self, agent: str, user: str | None, now_s: int) -> frozenset[str]:
        recent = (
            session.labels
            for session in self._by_id.values()
            if session.agent == agent
            and session.user == user
            and max(session.touched, session.opened) > now_s - MEMORY_S
        )
        return frozenset().union(*recent)

    # -- the fold ---------------------------------------------------------------------------

    def opened(self, body: Mapping[str, Json]) -> None:
        """Entry `session.open`."""
        actor = cast("Mapping[str, str | None]", body["actor"])
        session = Session(
            id=str(body["session"]),
            agent=str(actor["agent"]),
            user=actor["sub"],
            opened=cast("int", body["opened"]),
            ends=cast("int", body["ends"]),
            labels=frozenset(cast("list[str]", body["labels"])),
            touched=cast("int", body["opened"]),
        )
        self._put(session)

    def closed(self, body: Mapping[str, Json]) -> None:
        """Entry `session.end`."""
        session = self._by_id.get(str(body["session"]))
        if session is not None:
            self._put(replace(session, ended=True))

    def touch(self, session_id: str, labels: Iterable[str], now_s: int) -> None:
        """An entry of this session that puts on `labels`; they are never taken off."""
        session = self._by_id.get(session_id)
        if session is None:
            return
        grown = session.labels.union(labels)
        if grown != session.labels or now_s - session.touched > 60:
            self._put(replace(session, labels=grown, touched=now_s))

    def forget(self, now_s: int) -> None:
        """Drop what can neither act nor be inherited from any more."""
        for session in list(self._by_id.values()):
            if max(session.touched + MEMORY_S, session.ends) < now_s:
                del self._by_id[session.id]
                self.changed.add(session.id)

    def _put(self, session: Session) -> None:
        self._by_id[session.id] = session
        self.changed.add(session.id)

    # -- the stored view --------------------------------------------------------------------

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one session; None when it is gone."""
        session = self._by_id.get(key)
        if session is None:
            return None
        return {
            "agent": session.agent,
            "user": session.user,
            "opened": session.opened,
            "ends": session.ends,
            "labels": cast("list[Json]", sorted(session.labels)),
            "touched": session.touched,
            "ended": session.ended,
        }

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        self._by_id[key] = Session(
            id=key,
            agent=str(row["agent"]),
            user=cast("str | None", row["user"]),
            opened=cast("int", row["opened"]),
            ends=cast("int", row["ends"]),
            labels=frozenset(cast("list[str]", row["labels"])),
            touched=cast("int", row["touched"]),
            ended=cast("bool", row["ended"]),
        )

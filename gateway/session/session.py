"""Sessions: one task of one principal, minted by the gateway and named in its token.

A session hangs on the gateway's own credential, never on an id that a client chooses. Its labels
(what it has been in contact with) only grow, and they grow with a durable entry: this room is a
fold of the log, so a restart finds every label that was ever put on.

An agent can open itself as many sessions as it likes. So one that it opened by itself is no way
to be rid of a label: it takes over what the sessions of that agent and user have touched within
`MEMORY_S`, and whatever they touch while it lives.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Self, cast

from audit.canonical import Json
from gateway.errors import SessionEnded
from gateway.principal import Principal
from gateway.recorder import Recorder

LIFETIME_S = 8 * 3600
MEMORY_S = 24 * 3600
TOUCHED_EVERY_S = 60
"""How exactly it is known when a session last did something."""


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
    own: bool = False  # the agent opened it by itself
    ended: bool = False

    @classmethod
    def from_entry(cls, body: Mapping[str, Json]) -> Self:
        """The session that entry `session.open` begins."""
        actor = cast("Mapping[str, str | None]", body["actor"])
        opened = cast("int", body["opened"])
        return cls(
            id=cast("str", body["session"]),
            agent=cast("str", actor["agent"]),
            user=actor["sub"],
            opened=opened,
            ends=cast("int", body["ends"]),
            labels=frozenset(cast("list[str]", body["labels"])),
            touched=opened,
            own=cast("bool", body["own"]),
        )

    def to_row(self) -> dict[str, Json]:
        """The whole session, for the stored view."""
        tools = None if self.tools is None else list[Json](self.tools)
        return {**asdict(self), "labels": list[Json](sorted(self.labels)), "tools": tools}

    @classmethod
    def from_row(cls, row: Mapping[str, Json]) -> Self:
        """The inverse of `to_row`."""
        tools = cast("list[str] | None", row["tools"])
        return cls(
            id=cast("str", row["id"]),
            agent=cast("str", row["agent"]),
            user=cast("str | None", row["user"]),
            opened=cast("int", row["opened"]),
            ends=cast("int", row["ends"]),
            labels=frozenset(cast("list[str]", row["labels"])),
            touched=cast("int", row["touched"]),
            purpose=cast("str | None", row["purpose"]),
            tools=None if tools is None else tuple(tools),
            own=cast("bool", row["own"]),
            ended=cast("bool", row["ended"]),
        )


class Sessions:
    """Every session that may still act, or be remembered, by id."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._by_id: dict[str, Session] = {}
        self._of: dict[tuple[str, str | None], set[str]] = {}  # ids by agent and user
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
        return tuple(sorted(self._by_id.values(), key=lambda s: (s.opened, s.id)))

    async def open_by_agent(self, agent: str, user: str | None) -> Session:
        """Open a session that the agent asked for: it keeps what its last ones have touched."""
        return await self._open(agent, user, own=True, by=f"agent:{agent}")

    async def open_clean(self, agent: str, user: str | None, *, by: str) -> Session:
        """Open a session without labels, for an operator or a declared front end."""
        return await self._open(agent, user, own=False, by=by)

    async def end(self, session_id: str, *, by: str) -> None:
        """End a session; calls in it are refused from now on. Raises AuditUnavailable."""
        await self._recorder.write("session.end", {"session": session_id, "by": by})

    def forget(self, now_s: int) -> None:
        """Drop what can neither act nor be inherited from any more."""
        for session in list(self._by_id.values()):
            if max(session.touched + MEMORY_S + TOUCHED_EVERY_S, session.ends) < now_s:
                del self._by_id[session.id]
                self._of[session.agent, session.user].discard(session.id)
                self.changed.add(session.id)

    async def _open(self, agent: str, user: str | None, *, own: bool, by: str) -> Session:
        session_id = self._recorder.new_id()
        opened = self._recorder.now() // 1_000_000
        labels = self._inherited(agent, user, opened) if own else frozenset()
        fields: dict[str, Json] = {
            "session": session_id,
            "actor": {"agent": agent, "sub": user, "chain": []},
            "opened": opened,
            "ends": opened + LIFETIME_S,
            "labels": cast("list[Json]", sorted(labels)),
            "own": own,
            "by": by,
        }
        await self._recorder.write("session.open", fields)
        return self._by_id[session_id]

    def _inherited(self, agent: str, user: str | None, now_s: int) -> frozenset[str]:
        since = now_s - MEMORY_S - TOUCHED_EVERY_S
        recent = (s.labels for s in self._sessions_of(agent, user) if s.touched >= since)
        return frozenset().union(*recent)

    def _sessions_of(self, agent: str, user: str | None) -> Iterator[Session]:
        return (self._by_id[name] for name in tuple(self._of.get((agent, user), ())))

    # -- the fold ---------------------------------------------------------------------------

    def opened(self, body: Mapping[str, Json]) -> None:
        """Entry `session.open`. What was touched while it was being written is taken over too."""
        session = Session.from_entry(body)
        if session.own:
            inherited = self._inherited(session.agent, session.user, session.opened)
            session = replace(session, labels=session.labels | inherited)
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
        if grown != session.labels or now_s - session.touched >= TOUCHED_EVERY_S:
            self._put(replace(session, labels=grown, touched=max(session.touched, now_s)))
        if grown != session.labels:
            self._spread(session, grown)

    def _spread(self, touched: Session, labels: frozenset[str]) -> None:
        for session in self._sessions_of(touched.agent, touched.user):
            if session.own and not labels <= session.labels:
                self._put(replace(session, labels=session.labels | labels))

    def _put(self, session: Session) -> None:
        self._keep(session)
        self.changed.add(session.id)

    def _keep(self, session: Session) -> None:
        self._by_id[session.id] = session
        self._of.setdefault((session.agent, session.user), set()).add(session.id)

    # -- the stored view --------------------------------------------------------------------

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one session; None when it is gone."""
        session = self._by_id.get(key)
        return None if session is None else session.to_row()

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        session = Session.from_row(row)
        assert session.id == key
        self._keep(session)

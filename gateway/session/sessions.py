"""Sessions: what the log says of each task of a principal, by the id that its token names.

A session hangs on the gateway's own credential, never on an id that a client chooses. Its labels
(what it has been in contact with) only grow, and they grow with a durable entry: this room is a
fold of the log, so a restart finds every label that was ever put on.

An agent can open itself as many sessions as it likes. So one that it opened by itself is no way
to be rid of a label: it takes over what the sessions of that agent and user have touched within
`MEMORY_S`, and whatever they touch while it lives. Neither is handing work on: a session that was
handed on from another is one tree with it, and what one of a tree touches falls on all of it, since
nobody sees what the agents tell each other (`kin.py`). How sessions begin is in `opening.py`.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import cast

from audit.canonical import Json
from audit.errors import SubjectErased
from gateway.errors import PurposeInvalid, SessionEnded
from gateway.principal import Principal
from gateway.recorder import Recorder
from gateway.session.kin import Kin
from gateway.session.purpose import MAX_SAID, Purpose
from gateway.session.session import Session
from gateway.store.row import from_row, to_row

MEMORY_S = 24 * 3600
TOUCHED_EVERY_S = 60
"""How exactly it is known when a session last did something."""


class Sessions:
    """Every session that may still act, or be remembered, by id."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._by_id: dict[str, Session] = {}
        self._kin = Kin()
        self.changed: set[str] = set()
        self.when_ended: Callable[[], Awaitable[None]] = _nothing
        self.on_begun: Callable[[Session], None] = lambda _: None

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
        if session.purpose is None and session.purpose_at:
            session = self._reminded(session)
        return session

    def get(self, session_id: str) -> Session | None:
        """The session of that id, also when it has ended; None when it was never opened."""
        return self._by_id.get(session_id)

    def tree(self, root: str) -> frozenset[str]:
        """Ids of all sessions of one request, the first included."""
        return self._kin.tree(root)

    def own(self, agent: str) -> frozenset[str]:
        """Ids of all sessions that this agent asked for."""
        return self._kin.own(agent)

    def below(self, session_id: str) -> tuple[Session, ...]:
        """What was handed on from a session, and from there on."""
        return tuple(self._by_id[name] for name in self._kin.below(session_id))

    def __contains__(self, session_id: object) -> bool:
        """Whether a session of that id is remembered."""
        return session_id in self._by_id

    def all(self) -> tuple[Session, ...]:
        """Every known session, oldest first."""
        return tuple(sorted(self._by_id.values(), key=lambda s: (s.opened, s.id)))

    def said(self, root: str) -> tuple[str, ...]:
        """What the user has said in a tree of sessions."""
        session = self._by_id.get(root)
        if session is None:
            return ()
        if session.purpose is None and session.purpose_at:
            session = self._reminded(session)
        return () if session.purpose is None else (session.purpose,)

    def trees_near(self, session_id: str) -> frozenset[str]:
        """Roots of the trees on which falls what this session reads."""
        session = self._by_id.get(session_id)
        near = () if session is None else self._kin.near(session)
        return frozenset(self._by_id[name].root for name in near)

    def trees_before(self, session: Session) -> frozenset[str]:
        """Roots of the trees in which this session's agent has read anything lately."""
        since = session.opened - MEMORY_S - TOUCHED_EVERY_S
        before = (self._by_id[name] for name in self._kin.before(session.agent, session.user))
        return frozenset(
            each.root for each in before if each.id != session.id and each.touched >= since
        )

    def handed_on(self, origin: str, to: str) -> tuple[Session, ...]:
        """The sessions in which `to` does what `origin` handed to it."""
        return tuple(
            each
            for each in self._by_id.values()
            if each.agent == to
            and each.parent in self._by_id
            and self._by_id[each.parent].agent == origin
        )

    def inherited(self, agent: str, user: str | None, now_s: int) -> frozenset[str]:
        """Labels that a session which this agent asks for takes over."""
        since = now_s - MEMORY_S - TOUCHED_EVERY_S
        before = (self._by_id[name] for name in self._kin.before(agent, user))
        return frozenset().union(*(each.labels for each in before if each.touched >= since))

    async def say(self, session: Session, words: str, *, by: str) -> None:
        """Record further words of the user, which count in the whole tree from now on.

        Raises PurposeInvalid when they are no purpose or too much was said, and AuditUnavailable.
        """
        purpose = Purpose.read(words, None)
        if len(session.purpose_at) >= MAX_SAID:
            raise PurposeInvalid(f"a user says something at most {MAX_SAID} times in a session")
        await self._recorder.write_sealed(
            "session.purpose",
            {"session": session.id, "by": by},
            subject=session.user or session.agent,
            name="purpose",
            words=purpose.words.encode(),
        )

    async def widen(self, session: Session, tools: tuple[str, ...], *, by: str) -> None:
        """Record that the purpose needs further tools, in the whole tree; for people alone.

        Raises AuditUnavailable.
        """
        fields: dict[str, Json] = {"session": session.id, "by": by, "tools": list[Json](tools)}
        await self._recorder.write("session.purpose", fields)

    async def end(self, session_id: str, *, by: str) -> None:
        """End a session, and all that was handed on from it; calls in them are refused from now on.

        Returns when `when_ended` has: what was theirs alone is gone. Raises AuditUnavailable.
        """
        await self._recorder.write("session.end", {"session": session_id, "by": by})
        await self.when_ended()

    def begun(self, session_id: str, words: str | None) -> Session:
        """The session whose entry has just become durable, with the words that it states.

        None: it states none. What else begins with a session has begun when this returns.
        """
        session = self._by_id[session_id]
        if words is not None:
            session = replace(session, purpose=words)
            self._keep(session)
        self.on_begun(session)
        return session

    def forget(self, now_s: int) -> None:
        """Drop what can neither act nor be inherited from any more."""
        for session in list(self._by_id.values()):
            if _is_past(session, now_s):
                del self._by_id[session.id]
                self._kin.drop(session)
                self.changed.add(session.id)

    def _reminded(self, session: Session) -> Session:
        """The session with the user's words, which a restart finds in the log alone."""
        said = [words for index in session.purpose_at if (words := self._words(index)) is not None]
        if not said:
            return session
        session = replace(session, purpose="\n".join(said))
        self._keep(session)
        return session

    def _words(self, index: int) -> str | None:
        try:
            words = self._recorder.words(index, "purpose")
        except SubjectErased:
            return None
        return None if words is None else words.decode()

    # -- the fold ---------------------------------------------------------------------------

    def opened(self, body: Mapping[str, Json], index: int) -> None:
        """Entry `session.open`. What was touched while it was being written is taken over too."""
        session = Session.from_entry(body, index)
        labels = session.labels
        if session.own:
            labels |= self.inherited(session.agent, session.user, session.opened)
        if session.parent is not None and session.parent in self._by_id:
            labels |= self._by_id[session.parent].labels
        session = replace(session, labels=labels)
        self._put(session)
        if session.parent is not None:
            self._spread(session, session.opened)

    def purposed(self, body: Mapping[str, Json], index: int) -> None:
        """Entry `session.purpose`: the user said more, or a person let the task need more tools."""
        named = self._by_id.get(cast("str", body["session"]))
        if named is None:
            return
        said = (index,) if "purpose" in body else ()
        more = tuple(cast("list[str]", body.get("tools", [])))
        for name in self._kin.tree(named.root):
            session = self._by_id[name]
            tools = session.tools
            if tools is not None:
                tools = (*tools, *(tool for tool in more if tool not in tools))
            told = None if said else session.purpose  # to be read again, with what is new
            at = (*session.purpose_at, *said)
            self._put(replace(session, purpose=told, purpose_at=at, tools=tools))

    def closed(self, body: Mapping[str, Json]) -> tuple[Session, ...]:
        """Entry `session.end`: what has ended by it."""
        return self._close(cast("str", body["session"]))

    def withdrawn(self, session_id: str, token_id: str) -> tuple[Session, ...]:
        """A token of a session was withdrawn: what was handed on with it ends; which that is."""
        with_it = [
            child
            for child in self._kin.below(session_id)
            if self._by_id[child].granted_by == token_id
        ]
        return tuple(ended for child in with_it for ended in self._close(child))

    def touch(self, session_id: str, labels: Iterable[str], now_s: int) -> None:
        """An entry of this session that puts on `labels`; they are never taken off."""
        session = self._by_id.get(session_id)
        if session is None:
            return
        grown = session.labels.union(labels)
        if grown != session.labels or now_s - session.touched >= TOUCHED_EVERY_S:
            touched = replace(session, labels=grown, touched=max(session.touched, now_s))
            self._put(touched)
            if grown != session.labels:
                self._spread(touched, now_s)

    def _spread(self, touched: Session, now_s: int) -> None:
        """Let the labels of a session fall on those near it, and from there on.

        What has nothing to do with anybody any more takes no part, whether it is forgotten yet or
        not: the same entries make the same labels.
        """
        waiting = [touched]
        while waiting:
            for name in self._kin.near(waiting.pop()):
                other = self._by_id[name]
                if not touched.labels <= other.labels and not _is_past(other, now_s):
                    grown = replace(other, labels=other.labels | touched.labels)
                    self._put(grown)
                    waiting.append(grown)

    def _close(self, session_id: str) -> tuple[Session, ...]:
        known = [self._by_id[name] for name in (session_id,) if name in self._by_id]
        below = [self._by_id[name] for name in self._kin.below(session_id)]
        ended = tuple(replace(each, ended=True) for each in (*known, *below) if not each.ended)
        for session in ended:
            self._put(session)
        return ended

    def _put(self, session: Session) -> None:
        self._keep(session)
        self.changed.add(session.id)

    def _keep(self, session: Session) -> None:
        self._by_id[session.id] = session
        self._kin.add(session)

    # -- the stored view --------------------------------------------------------------------

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one session; None when it is gone."""
        session = self._by_id.get(key)
        return None if session is None else to_row(session)

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        session = from_row(Session, row)
        assert session.id == key
        self._keep(session)


async def _nothing() -> None:
    """What follows an end where nothing else is bound to sessions."""


def _is_past(session: Session, now_s: int) -> bool:
    return max(session.touched + MEMORY_S + TOUCHED_EVERY_S, session.ends) < now_s

"""Sessions: one task of one principal, minted by the gateway and named in its token.

A session hangs on the gateway's own credential, never on an id that a client chooses. Its labels
(what it has been in contact with) only grow, and they grow with a durable entry: this room is a
fold of the log, so a restart finds every label that was ever put on.

An agent can open itself as many sessions as it likes. So one that it opened by itself is no way
to be rid of a label: it takes over what the sessions of that agent and user have touched within
`MEMORY_S`, and whatever they touch while it lives. Neither is handing work on: a session that was
handed on from another is one tree with it, and what one of a tree touches falls on all of it, since
nobody sees what the agents tell each other (`gateway.session.kin`).
"""

from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from audit.canonical import Json
from audit.errors import SubjectErased
from gateway.errors import PurposeInvalid, SessionEnded
from gateway.identity.errors import DelegationRefused, OAuthError
from gateway.principal import Principal
from gateway.recorder import Recorder
from gateway.session.kin import Kin
from gateway.session.purpose import MAX_SAID, Purpose
from gateway.session.task import Session
from gateway.store.row import from_row, to_row

__all__ = ["HandedOn", "Session", "Sessions"]

LIFETIME_S = 8 * 3600
MEMORY_S = 24 * 3600
MOST_OWN = 1000
"""Open sessions that one agent has asked for by itself, unless the deployment says otherwise."""

TOUCHED_EVERY_S = 60
"""How exactly it is known when a session last did something."""


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


class Sessions:
    """Every session that may still act, or be remembered, by id."""

    def __init__(self, recorder: Recorder, *, most_own: int = MOST_OWN) -> None:
        self._recorder = recorder
        self._most_own = most_own
        self._by_id: dict[str, Session] = {}
        self._kin = Kin()
        self._opening: dict[str, set[str]] = {}  # under way: children by root, own by agent
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

    async def open_by_agent(
        self, agent: str, user: str | None, *, by: str | None = None
    ) -> Session:
        """Open a session that the agent asked for: it keeps what its last ones have touched.

        by  who asked for it, if that is not the agent itself

        Raises OAuthError (`slow_down`) when the agent has too many.
        """
        opened = self._recorder.now() // 1_000_000
        if self._own_of(agent, opened) >= self._most_own:
            raise OAuthError(
                "slow_down",
                f"this agent has {self._most_own} open sessions: renew a token, or end one",
                retry_after=60,
            )
        by = by or f"agent:{agent}"
        fields = _entry(self._recorder.new_id(), agent, user, opened=opened, own=True, by=by)
        fields["labels"] = _list(self._inherited(agent, user, opened))
        return await self._counted(f"own:{agent}", fields)

    def open_clean(
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
        opened = self._recorder.now() // 1_000_000
        fields = _entry(self._recorder.new_id(), agent, user, opened=opened, own=False, by=by)
        fields["ends"] = opened + lifetime_s
        fields["labels"] = _list(labels)
        if purpose is not None and purpose.tools is not None:
            fields["purpose_tools"] = list[Json](purpose.tools)
        return self._open(fields, purpose)

    async def open_handed_on(self, to: HandedOn) -> Session:
        """Open a session for an agent that another hands its work on to.

        It has the purpose of the other and its labels, and those of its own agent.

        Raises DelegationRefused when the tree has no room for it.
        """
        parent, opened = to.parent, self._recorder.now() // 1_000_000
        if len(self._with_opening(parent.root, self._kin.tree(parent.root))) > to.max_children:
            raise DelegationRefused("fan-out", f"a request has {to.max_children} such sessions")
        by = f"agent:{to.agent}"
        fields = _entry(
            self._recorder.new_id(), to.agent, parent.user, opened=opened, own=True, by=by
        )
        labels = parent.labels | self._inherited(to.agent, parent.user, opened)
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

    def forget(self, now_s: int) -> None:
        """Drop what can neither act nor be inherited from any more."""
        for session in list(self._by_id.values()):
            if _is_past(session, now_s):
                del self._by_id[session.id]
                self._kin.drop(session)
                self.changed.add(session.id)

    async def _counted(self, among: str, fields: dict[str, Json]) -> Session:
        """Open one of those that are bounded; no await lies between their count and this."""
        session_id, opening = cast("str", fields["session"]), self._opening.setdefault(among, set())
        opening.add(session_id)
        try:
            return await self._open(fields)
        finally:
            opening.discard(session_id)
            if not opening:
                del self._opening[among]

    def _with_opening(self, among: str, known: frozenset[str]) -> frozenset[str]:
        """These and those that are under way; some are both, until who waits for them goes on."""
        return known.union(self._opening.get(among, ()))

    def _own_of(self, agent: str, now_s: int) -> int:
        """How many sessions this agent has asked for, by itself, and could act in."""
        own = self._kin.own(agent)
        every = self._with_opening(f"own:{agent}", own)
        if len(every) < self._most_own:
            return len(every)
        known = (self._by_id[name] for name in own)
        return len(every - own) + sum(
            each.parent is None and not each.ended and each.ends > now_s for each in known
        )

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
            session = self._by_id[session_id]
            if words is not None:
                session = replace(session, purpose=words)
                self._keep(session)
            self.on_begun(session)
            return session

        return Opening(session_id, opened)

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

    def _inherited(self, agent: str, user: str | None, now_s: int) -> frozenset[str]:
        since = now_s - MEMORY_S - TOUCHED_EVERY_S
        before = (self._by_id[name] for name in self._kin.before(agent, user))
        return frozenset().union(*(each.labels for each in before if each.touched >= since))

    # -- the fold ---------------------------------------------------------------------------

    def opened(self, body: Mapping[str, Json], index: int) -> None:
        """Entry `session.open`. What was touched while it was being written is taken over too."""
        session = Session.from_entry(body, index)
        labels = session.labels
        if session.own:
            labels |= self._inherited(session.agent, session.user, session.opened)
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


def _entry(
    session_id: str, agent: str, user: str | None, *, opened: int, own: bool, by: str
) -> dict[str, Json]:
    return {
        "session": session_id,
        "actor": {"agent": agent, "sub": user, "chain": []},
        "opened": opened,
        "ends": opened + LIFETIME_S,
        "labels": [],
        "own": own,
        "by": by,
    }


def _list(names: Iterable[str]) -> list[Json]:
    return list[Json](sorted(names))

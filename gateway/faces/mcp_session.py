"""MCP sessions: what a handshake agreed on, for as long as its client comes back.

A session is bookkeeping of the protocol, never a credential: each request is authenticated by
itself, and an id is looked up together with the principal and the endpoint that opened it. To
anybody else it does not exist.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.errors import RequestRefused
from gateway.principal import Principal

IDLE_S = 30 * 60
PER_OWNER = 32
"""Sessions of one principal on one endpoint: some clients open one per call and close none."""
MAX_SESSIONS = 10_000


@dataclass(frozen=True, slots=True)
class Owner:
    """Who may use a session, and where."""

    agent: str
    user: str | None
    chain: tuple[str, ...]
    session: str
    endpoint: str | None

    @classmethod
    def of(cls, principal: Principal, endpoint: str | None) -> "Owner":
        """The owner of what `principal` opens on `endpoint`."""
        return cls(principal.agent, principal.user, principal.chain, principal.session, endpoint)


@dataclass(slots=True)
class McpSession:
    """One handshake."""

    id: str
    owner: Owner
    version: str
    used: float  # seconds of the monotonic clock


class McpSessions:
    """The open sessions of one listener, least recently used first.

    clock   monotonic seconds
    new_id  unguessable, in visible ASCII
    """

    def __init__(self, clock: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._clock = clock
        self._new_id = new_id
        self._by_id: dict[str, McpSession] = {}
        self._by_owner: dict[Owner, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def open(self, owner: Owner, version: str) -> McpSession:
        """Open a session; the owner's least recently used one ends when there are too many.

        Raises RequestRefused (`request.sessions`) when all principals together have too many.
        """
        self._expire()
        own = self._by_owner.get(owner, {})
        if len(own) >= PER_OWNER:
            self._drop(self._by_id[next(iter(own))])
        if len(self._by_id) >= MAX_SESSIONS:
            raise RequestRefused("request.sessions", "too many sessions are open")
        session = McpSession(self._new_id(), owner, version, self._clock())
        self._by_id[session.id] = session
        self._by_owner.setdefault(owner, {})[session.id] = None
        return session

    def use(self, session_id: str, owner: Owner) -> McpSession | None:
        """The owner's session of that id, now most recently used; None: there is no such."""
        session = self._by_id.get(session_id)
        if session is None or session.owner != owner:
            return None
        now = self._clock()
        if now - session.used > IDLE_S:
            self._drop(session)
            return None
        session.used = now
        self._by_id[session_id] = self._by_id.pop(session_id)
        own = self._by_owner[owner]
        own[session_id] = own.pop(session_id)
        return session

    def close(self, session_id: str, owner: Owner) -> bool:
        """End the owner's session of that id; whether there was one."""
        session = self.use(session_id, owner)
        if session is None:
            return False
        self._drop(session)
        return True

    def _expire(self) -> None:
        oldest_kept = self._clock() - IDLE_S
        while self._by_id:
            session = next(iter(self._by_id.values()))
            if session.used >= oldest_kept:
                return
            self._drop(session)

    def _drop(self, session: McpSession) -> None:
        del self._by_id[session.id]
        own = self._by_owner[session.owner]
        del own[session.id]
        if not own:
            del self._by_owner[session.owner]

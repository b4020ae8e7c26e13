"""Browser sessions: people who have logged in, and the cookie by which they are known again.

The cookie is random and means nothing by itself: what it is good for is kept here, in memory, so
that it ends when it is told to, and with the process. What changes something must also carry a
second secret that the browser never sends by itself, against requests that another page makes in
its place.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from hmac import compare_digest

from gateway.identity.errors import AuthError
from gateway.identity.public_keys import base64url
from gateway.operator.credentials import Operator

LIFE_S = 3600
"""How long after logging in somebody is known."""

IDLE_S = 900
"""How long without a request."""

MAX_EACH = 8
"""Browsers of one person at a time; the one that logged in first is forgotten."""

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """One person in one browser.

    csrf   what requests that change something must carry besides the cookie
    by     how they logged in: `code`, `passkey`, or at which provider
    began  second of the log-in; `seen`: of the last request
    """

    operator: Operator
    by: str
    csrf: str = field(repr=False)
    began: int
    seen: int

    def may_change(self, csrf: str) -> bool:
        """Whether this is the secret that only a page of ours can know."""
        return compare_digest(csrf.encode("utf-8", "surrogatepass"), self.csrf.encode())


class BrowserSessions:
    """Everyone who is logged in.

    random  so many bytes that nobody can guess
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._sessions: dict[str, BrowserSession] = {}  # by digest of the cookie, oldest first

    def begin(self, operator: Operator, now_s: int, *, by: str) -> tuple[str, BrowserSession]:
        """Make a session that nobody had; the value of its cookie, seen here alone."""
        self.forget(now_s)
        own = [key for key, each in self._sessions.items() if each.operator.name == operator.name]
        for key in own[: max(0, len(own) + 1 - MAX_EACH)]:
            del self._sessions[key]
        cookie, csrf = (base64url(self._random(_SECRET_BYTES)) for _ in range(2))
        session = BrowserSession(operator, by, csrf, began=now_s, seen=now_s)
        self._sessions[_digest(cookie)] = session
        return cookie, session

    def find(self, cookie: str, now_s: int) -> BrowserSession:
        """Whose cookie this is. Raises AuthError: `expired`, or `invalid` for everything else."""
        session = replace(self.peek(cookie, now_s), seen=now_s)
        self._sessions[_digest(cookie)] = session
        return session

    def peek(self, cookie: str, now_s: int) -> BrowserSession:
        """As `find`, for what a page asks by itself: it does not show that somebody is there."""
        digest = _digest(cookie)
        session = self._sessions.get(digest)
        if session is None:
            raise AuthError("invalid", "nobody is logged in with this cookie")
        if _is_over(session, now_s):
            del self._sessions[digest]
            raise AuthError("expired", "log in again")
        return session

    def end(self, cookie: str) -> None:
        """Forget one session; nothing when there is none."""
        self._sessions.pop(_digest(cookie), None)

    def end_of(self, name: str, *, by: str | None = None) -> None:
        """Forget every session of one person; only those that began so, where `by` says how."""
        for digest, session in list(self._sessions.items()):
            if session.operator.name == name and by in {None, session.by}:
                del self._sessions[digest]

    def forget(self, now_s: int) -> None:
        """Drop what is over."""
        for digest, session in list(self._sessions.items()):
            if _is_over(session, now_s):
                del self._sessions[digest]


def _is_over(session: BrowserSession, now_s: int) -> bool:
    return now_s >= min(session.began + LIFE_S, session.seen + IDLE_S)


def _digest(cookie: str) -> str:
    return sha256(cookie.encode("utf-8", "surrogatepass")).hexdigest()

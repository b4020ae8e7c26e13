"""Revocations: which credentials are worth nothing although they verify.

A room of the state, filled from the log. Every change raises the epoch, so that what was verified
before it is verified anew: it takes effect at the next call.
"""

from collections.abc import Mapping
from typing import Final

from audit.canonical import Json
from gateway.epoch import Epoch
from gateway.principal import Principal

GRACE_S = 3600
"""How long a revocation is kept beyond the end of what it revokes; more than any skew."""

_TOKEN: Final = "token:"  # noqa: S105 - the first part of a row's key
_SESSION: Final = "session:"
_AGENT: Final = "agent:"


class Revocations:
    """Withdrawn tokens, ended sessions and suspended agents, in memory.

    changed  keys of the rows that are no longer as last stored
    """

    def __init__(self, epoch: Epoch) -> None:
        self._epoch = epoch
        # By `token:<id>`, `session:<id>` or `agent:<name>`: the second from which the credentials
        # are dead by their own end; None: not before somebody takes it back.
        self._until: dict[str, int | None] = {}
        self.changed: set[str] = set()

    def revoke_token(self, token_id: str, *, until_s: int) -> None:
        """Withdraw one token.

        until_s  when it can be neither used nor renewed any more, so that it may be forgotten
        """
        self._withdraw(_TOKEN + token_id, until_s)

    def end_session(self, session: str, *, until_s: int) -> None:
        """Withdraw every token of a session.

        until_s  the end that the session had; none of its tokens outlives it
        """
        self._withdraw(_SESSION + session, until_s)

    def suspend_agent(self, agent: str) -> None:
        """Withdraw every token in which this agent acts, or for which it acted, until resumed."""
        self._put(_AGENT + agent, None)

    def resume_agent(self, agent: str) -> None:
        """Take a suspension back."""
        if self._until.pop(_AGENT + agent, 0) is None:
            self.changed.add(_AGENT + agent)
            self._epoch.advance()

    def suspended(self, agent: str) -> bool:
        """Tell whether this agent is suspended."""
        return _AGENT + agent in self._until

    def revoked(self, principal: Principal) -> bool:
        """Tell whether the credential that `principal` was read from is withdrawn."""
        return (
            _TOKEN + principal.token_id in self._until
            or _SESSION + principal.session in self._until
            or any(self.suspended(agent) for agent in (principal.agent, *principal.chain))
        )

    def forget(self, now_s: int) -> None:
        """Drop what has been dead by its own end for longer than any clock is off."""
        for key, until_s in list(self._until.items()):
            if until_s is not None and until_s + GRACE_S < now_s:
                del self._until[key]
                self.changed.add(key)

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one key; None when there is nothing to keep any more."""
        return {"until": self._until[key]} if key in self._until else None

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        until_s = row["until"]
        assert until_s is None or isinstance(until_s, int)
        self._until[key] = until_s
        self._epoch.advance()

    def _withdraw(self, key: str, until_s: int) -> None:
        self._put(key, max(until_s, self._until.get(key) or 0))

    def _put(self, key: str, until_s: int | None) -> None:
        self._until[key] = until_s
        self.changed.add(key)
        self._epoch.advance()

"""Revocations: what is withdrawn, and therefore worth nothing although it verifies.

Tokens and sessions are withdrawn for good; agents, users, servers and tools are suspended until
somebody resumes them, and so is everything at once. A room of the state, filled from the log.
Every change raises the epoch, so that what was verified before it is verified anew: it takes effect
at the next call.
"""

from collections.abc import Mapping
from typing import Final, Literal, get_args

from audit.canonical import Json
from gateway.epoch import Epoch
from gateway.principal import Principal

GRACE_S = 3600
"""How long a revocation is kept beyond the end of what it revokes; more than any skew."""

Kind = Literal["agent", "user", "server", "tool"]
"""What can be suspended by its name; a tool's is `server.tool`."""

KINDS: tuple[Kind, ...] = get_args(Kind)

Bar = Literal["gateway.stopped", "auth.revoked", "server.suspended", "tool.suspended"]
"""What can stand against a call: a stable code."""

_TOKEN: Final = "token:"  # noqa: S105 - the first part of a row's key
_SESSION: Final = "session:"
_EVERYTHING: Final = "everything"


class Revocations:
    """Withdrawn tokens, ended sessions and everything suspended, in memory.

    changed  keys of the rows that are no longer as last stored
    """

    def __init__(self, epoch: Epoch) -> None:
        self._epoch = epoch
        # By `token:<id>`, `agent:<name>` and so on: the second from which the credentials are dead
        # by their own end; None: not before somebody takes it back.
        self._until: dict[str, int | None] = {}
        self.changed: set[str] = set()

    # -- what stands ------------------------------------------------------------------------

    def against(self, principal: Principal, tool: str) -> Bar | None:
        """What stands against a call of this caller; None when nothing does.

        tool  as `server.tool`
        """
        if self.stopped:
            return "gateway.stopped"
        if self.revoked(principal):
            return "auth.revoked"
        if self.suspended("server", tool.partition(".")[0]):
            return "server.suspended"
        return "tool.suspended" if self.suspended("tool", tool) else None

    def revoked(self, principal: Principal) -> bool:
        """Tell whether the credential that `principal` was read from is withdrawn."""
        return (
            _TOKEN + principal.token_id in self._until
            or _SESSION + principal.session in self._until
            or (principal.user is not None and self.suspended("user", principal.user))
            or any(self.suspended("agent", name) for name in (principal.agent, *principal.chain))
        )

    def suspended(self, kind: Kind, name: str) -> bool:
        """Tell whether this agent, user, server or tool is suspended."""
        return f"{kind}:{name}" in self._until

    def all_suspended(self, kind: Kind) -> tuple[str, ...]:
        """Names of all that are suspended, of one kind."""
        keys = (key.partition(":") for key in self._until)
        return tuple(sorted(name for of, _, name in keys if of == kind))

    @property
    def stopped(self) -> bool:
        """Whether everything is stopped."""
        return _EVERYTHING in self._until

    # -- the fold ---------------------------------------------------------------------------

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

    def suspend(self, kind: Kind, name: str) -> None:
        """Let no call pass in which this agent, user, server or tool has a part, until resumed.

        An agent has a part in what it does itself and in what is done through it.
        """
        self._put(f"{kind}:{name}", None)

    def resume(self, kind: Kind, name: str) -> None:
        """Take a suspension back."""
        self._lift(f"{kind}:{name}")

    def stop(self) -> None:
        """Let no call pass at all, until `go`."""
        self._put(_EVERYTHING, None)

    def go(self) -> None:
        """Take a stop of everything back; what is suspended besides stays so."""
        self._lift(_EVERYTHING)

    def forget(self, now_s: int) -> None:
        """Drop what has been dead by its own end for longer than any clock is off."""
        for key, until_s in list(self._until.items()):
            if until_s is not None and until_s + GRACE_S < now_s:
                del self._until[key]
                self.changed.add(key)

    # -- the stored view --------------------------------------------------------------------

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

    def _lift(self, key: str) -> None:
        if key in self._until:
            del self._until[key]
            self.changed.add(key)
            self._epoch.advance()

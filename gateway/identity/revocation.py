"""Revocations: what is withdrawn, and therefore worth nothing although it verifies.

Tokens and sessions are withdrawn for good; agents, users, servers and tools are suspended until
somebody resumes them, and so is everything at once. A room of the state, filled from the log; over
it lies what other gateways of the same fleet have told, which is theirs to keep and is asked for
anew at each start. Every change raises the epoch, so that what was verified before it is verified
anew: it takes effect at the next call.
"""

from collections.abc import Mapping
from dataclasses import dataclass
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
EVERYTHING: Final = "everything"
"""Key of a stop of everything."""


def key_of(kind: Kind, name: str) -> str:
    """The key of a suspension."""
    return f"{kind}:{name}"


@dataclass(frozen=True, slots=True)
class Untold:
    """Something withdrawn here that the fleet does not know yet.

    until  as in the room; None: until it is taken back
    act    which act it was that withdrew it
    """

    key: str
    until: int | None
    act: int


class Revocations:
    """Withdrawn tokens, ended sessions and everything suspended, in memory.

    changed  keys of the rows that are no longer as last stored
    """

    def __init__(self, epoch: Epoch) -> None:
        self._epoch = epoch
        # By `token:<id>`, `agent:<name>` and so on: the second from which the credentials are dead
        # by their own end; None: not before somebody takes it back.
        self._until: dict[str, int | None] = {}
        self._untold: dict[str, int] = {}  # those that the fleet has not been told, and which act
        self.acts = 0  # how often something was withdrawn here since the start
        self._elsewhere: dict[str, int | None] = {}  # what the fleet holds withdrawn
        self._lifted: set[str] = set()  # what the fleet has taken back
        self._standing: set[str] = set()  # what all this amounts to
        self.changed: set[str] = set()

    # -- what stands ------------------------------------------------------------------------

    def against(self, principal: Principal, tool: str) -> Bar | None:
        """What stands against a call of this caller; None when nothing does.

        tool  as `server.tool`
        """
        if not self._standing:  # nearly always, and every call asks
            return None
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
            _TOKEN + principal.token_id in self._standing
            or _SESSION + principal.session in self._standing
            or (principal.user is not None and self.suspended("user", principal.user))
            or any(self.suspended("agent", name) for name in (principal.agent, *principal.chain))
        )

    def stands(self, key: str) -> bool:
        """Tell whether what has this key is withdrawn."""
        return key in self._standing

    def suspended(self, kind: Kind, name: str) -> bool:
        """Tell whether this agent, user, server or tool is suspended."""
        return key_of(kind, name) in self._standing

    def all_suspended(self, kind: Kind) -> tuple[str, ...]:
        """Names of all that are suspended, of one kind."""
        keys = (key.partition(":") for key in self._standing)
        return tuple(sorted(name for of, _, name in keys if of == kind))

    @property
    def stopped(self) -> bool:
        """Whether everything is stopped."""
        return EVERYTHING in self._standing

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
        self._put(key_of(kind, name), None)

    def resume(self, kind: Kind, name: str) -> None:
        """Take a suspension back."""
        self._lift(key_of(kind, name))

    def stop(self) -> None:
        """Let no call pass at all, until `go`."""
        self._put(EVERYTHING, None)

    def go(self) -> None:
        """Take a stop of everything back; what is suspended besides stays so."""
        self._lift(EVERYTHING)

    def told(self, key: str, act: int | None = None) -> bool:
        """The fleet has been told of this: from now on what it says of it counts.

        act  what it was told of, as `untold` said; None: the last one

        False when it was withdrawn anew since.
        """
        if key not in self._untold or act not in {None, self._untold[key]}:
            return False
        del self._untold[key]
        self._changed(key)
        return True

    def tell_anew(self) -> None:
        """This gateway belongs to another fleet now, which knows of nothing that stands here."""
        known = {*self._until, *self._elsewhere}
        self._elsewhere.clear()
        self._lifted.clear()
        for key in self._until:
            self._act(key)
        for key in known:
            self._changed(key)

    def forget(self, now_s: int) -> None:
        """Drop what has been dead by its own end for longer than any clock is off."""
        for key, until_s in [*self._until.items(), *self._elsewhere.items()]:
            if until_s is not None and until_s + GRACE_S < now_s:
                self._until.pop(key, None)
                self._elsewhere.pop(key, None)
                self._untold.pop(key, None)
                self._changed(key)

    # -- the fleet --------------------------------------------------------------------------

    @property
    def untold(self) -> tuple[Untold, ...]:
        """What was withdrawn here and the fleet does not know yet, in the order of the acts."""
        return tuple(Untold(key, self._until[key], act) for key, act in self._untold.items())

    def is_own(self, key: str) -> bool:
        """Tell whether this gateway has withdrawn it, and has not taken that back."""
        return key in self._until

    def heard(self, key: str, *, stands: bool, until_s: int | None = None) -> None:
        """What the fleet says. It says nothing against what it has not been told yet."""
        if stands:
            self._elsewhere[key] = until_s
            self._lifted.discard(key)
        else:
            self._elsewhere.pop(key, None)
            self._lifted.add(key)
        self._weigh(key)

    # -- the stored view --------------------------------------------------------------------

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one key; None when there is nothing to keep any more."""
        if key not in self._until:
            return None
        return {"until": self._until[key], "told": key not in self._untold}

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        until_s = row["until"]
        assert until_s is None or isinstance(until_s, int)
        self._until[key] = until_s
        if row.get("told") is not True:
            self._act(key)
        self._weigh(key)

    def _withdraw(self, key: str, until_s: int) -> None:
        self._put(key, max(until_s, self._until.get(key) or 0))

    def _put(self, key: str, until_s: int | None) -> None:
        self._until[key] = until_s
        self._act(key)
        self._changed(key)

    def _lift(self, key: str) -> None:
        if key in self._until:
            del self._until[key]
            self._untold.pop(key, None)
            self._changed(key)

    def _act(self, key: str) -> None:
        self.acts += 1
        self._untold.pop(key, None)  # the newest act stands last
        self._untold[key] = self.acts

    def _changed(self, key: str) -> None:
        self.changed.add(key)
        self._weigh(key)

    def _weigh(self, key: str) -> None:
        """Bring what counts up to date after something about this key has changed."""
        is_ours = key in self._untold or (key in self._until and key not in self._lifted)
        stands = is_ours or key in self._elsewhere
        if stands == (key in self._standing):
            return
        if stands:
            self._standing.add(key)
        else:
            self._standing.remove(key)
        self._epoch.advance()

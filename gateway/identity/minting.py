"""Minting: the one place where an access token comes to be.

Whoever asks (the authorization server for a client, the operators' API for a person), a token is
in the log before it is in anybody's hands, and never outlives its session.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from audit.canonical import Json
from audit.entry import Receipt
from gateway.errors import SessionEnded
from gateway.identity.renewals import Renewal
from gateway.identity.scopes import Scopes, write
from gateway.identity.tokens import Issuer
from gateway.principal import Principal, actor

ISSUED = "token.issue"
"""The entry of whatever makes somebody a principal."""

Record = Callable[[str, Mapping[str, Json]], Awaitable[Receipt]]
"""Writes an entry of a kind; returns when it is durable and the state has taken it in.

Raises AuditUnavailable.
"""


class SessionLike(Protocol):
    """What a token must know of its session."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def ends(self) -> int:
        """The second from which nothing may be done in it."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a token is to say.

    lifetime_s  seconds; shortened to the longest life of a token and to the session's end
    by          who asked for it: `agent:clerk`, `operator:ana`
    renews      id of the token that it continues
    bound_to    thumbprint of the key without which it is worth nothing
    root        session in which all this began; "": its own
    source      peer address of who asked
    renewal     how its session is renewed, where an application holds it
    """

    agent: str
    session: SessionLike
    scopes: Scopes
    lifetime_s: int
    by: str
    source: str
    user: str | None = None
    user_groups: frozenset[str] = frozenset()
    chain: tuple[str, ...] = ()
    hops: int = 0
    renews: str | None = None
    bound_to: str | None = None
    root: str = ""
    renewal: Renewal | None = None


@dataclass(frozen=True, slots=True)
class Minted:
    """A token, what it says, and the entry that recorded it.

    refresh  what the next one is asked for with, where an application holds the session
    """

    token: str = field(repr=False)
    principal: Principal
    receipt: Receipt
    refresh: str | None = field(default=None, repr=False)


class Mint:
    """Issues tokens that are recorded first.

    new_id  fresh ids that nobody can guess
    """

    def __init__(
        self, issuer: Issuer, record: Record, new_id: Callable[[], str], *, max_ttl_s: int
    ) -> None:
        self._issuer = issuer
        self._record = record
        self._new_id = new_id
        self._max_ttl_s = max_ttl_s

    async def mint(self, order: Order, now_s: int) -> Minted:
        """Make the token that `order` asks for.

        Raises SessionEnded, AuthError (`invalid`) for what no token can say, and AuditUnavailable
        when it could not be recorded; then it was given to nobody.
        """
        principal = self._ordered(order, now_s)
        token = self._issuer.issue(principal)
        receipt = await self._record(ISSUED, _entry(principal, order))
        return Minted(token, principal, receipt)

    def untold(self, order: Order, now_s: int) -> tuple[Principal, dict[str, Json]]:
        """A principal that acts within this process alone, so that no token has to say so.

        Beside it the members of its entry `token.issue`, which whoever lets it act records before.

        Raises SessionEnded and AuthError as `mint` does.
        """
        principal = self._ordered(order, now_s)
        self._issuer.check(principal)
        return principal, _entry(principal, order)

    def _ordered(self, order: Order, now_s: int) -> Principal:
        expires = min(now_s + min(order.lifetime_s, self._max_ttl_s), order.session.ends)
        if expires <= now_s:
            raise SessionEnded
        return Principal(
            agent=order.agent,
            user=order.user,
            user_groups=order.user_groups,
            chain=order.chain,
            session=order.session.id,
            scopes=order.scopes,
            hops=order.hops,
            token_id=self._new_id(),
            issued=now_s,
            expires=expires,
            bound_to=order.bound_to,
            root=order.root,
        )


def _entry(principal: Principal, order: Order) -> dict[str, Json]:
    entry: dict[str, Json] = {
        "actor": actor(principal),
        "session": principal.session,
        "jti": principal.token_id,
        "scope": write(principal.scopes),
        "groups": list[Json](sorted(principal.user_groups)),
        "hops": principal.hops,
        "bound_to": principal.bound_to,
        "iat": principal.issued,
        "exp": principal.expires,
        "by": order.by,
        "renews": order.renews,
        "source": order.source,
    }
    if order.renewal is not None:
        entry["renewal"] = order.renewal.to_json()
    return entry

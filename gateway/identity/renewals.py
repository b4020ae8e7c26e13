"""Renewals: the sessions that applications hold, and how each may be renewed.

What is to be known for that stands in the entry of each access token that an application is given;
this room is folded from those. The tokens themselves are made in `gateway.identity.refresh_tokens`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import cast

from audit.canonical import Json
from gateway.store.row import from_row, to_row


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a session that an application holds is renewed by.

    client   the application's id
    consent  id of what its tokens rest on
    number   of the newest refresh token, from 1
    scope    what the session may have at most
    until    second from which it cannot be renewed
    """

    client: str
    consent: str
    number: int
    scope: str
    until: int

    def to_json(self) -> dict[str, Json]:
        """The member `renewal` of an entry, and of a stored row."""
        return asdict(self)

    @classmethod
    def from_json(cls, members: Mapping[str, Json]) -> "Renewal":
        """The inverse of `to_json`."""
        return cls(
            client=cast("str", members["client"]),
            consent=cast("str", members["consent"]),
            number=cast("int", members["number"]),
            scope=cast("str", members["scope"]),
            until=cast("int", members["until"]),
        )


@dataclass(frozen=True, slots=True)
class Holder:
    """For whom and as what tokens of a session are renewed; as the last one said."""

    agent: str
    user: str
    groups: frozenset[str]
    hops: int
    bound_to: str | None
    token_id: str


@dataclass(frozen=True, slots=True)
class Renewable:
    """A session of an application that can be renewed."""

    session: str
    holder: Holder
    renewal: Renewal


class Renewals:
    """Every session that an application can renew; a room of the state.

    changed  sessions whose row is no longer as last stored
    """

    def __init__(self) -> None:
        self._by_session: dict[str, Renewable] = {}
        self.changed: set[str] = set()

    def get(self, session: str) -> Renewable | None:
        """How a session is renewed; None when no application holds it."""
        return self._by_session.get(session)

    def resting_on(self, consent: str) -> Iterator[str]:
        """The sessions whose tokens rest on a consent."""
        return iter([s for s, each in self._by_session.items() if each.renewal.consent == consent])

    def forget(self, now_s: int) -> None:
        """Drop what cannot be renewed any more."""
        for session, each in list(self._by_session.items()):
            if each.renewal.until <= now_s:
                del self._by_session[session]
                self.changed.add(session)

    def issued(self, body: Mapping[str, Json]) -> None:
        """Entry `token.issue`; of an application's if it has `renewal`."""
        renewal = body.get("renewal")
        if renewal is None:
            return
        actor = cast("Mapping[str, str]", body["actor"])
        holder = Holder(
            agent=actor["agent"],
            user=actor["sub"],
            groups=frozenset(cast("list[str]", body["groups"])),
            hops=cast("int", body["hops"]),
            bound_to=cast("str | None", body["bound_to"]),
            token_id=cast("str", body["jti"]),
        )
        members = cast("Mapping[str, Json]", renewal)
        self._keep(Renewable(str(body["session"]), holder, Renewal.from_json(members)))

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one session; None when there is nothing to keep any more."""
        found = self._by_session.get(key)
        return None if found is None else to_row(found)

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        self._by_session[key] = from_row(Renewable, row)

    def _keep(self, renewable: Renewable) -> None:
        self._by_session[renewable.session] = renewable
        self.changed.add(renewable.session)

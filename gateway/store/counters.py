"""The fleet's counters: what each gateway has used, or may still use, of limits that all share.

Beside what is withdrawn, the fleet's database holds one row for each gateway, counter and slot: the
share that this gateway has there, be it used or not. A share grows only in a transaction that sees
all rows and finds room, so the sum never exceeds what the policy says; whatever happens to a
gateway afterwards, its share counts until its slot has left the window. It shrinks, and is set,
when its gateway says so.
"""

from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, Connection, Integer, String, Table, delete, func, select
from sqlalchemy.dialects.sqlite import insert as put

from audit.value import value_type
from gateway.errors import FleetUnavailable
from gateway.store.fleet import METADATA, FleetDatabase, check_fleet

SPLIT = 8
"""A gateway is given at most this part of what is left beyond what it needs at once."""

_SHARES = Table(
    "shares",
    METADATA,
    Column("counter", String(1024), primary_key=True),
    Column("origin", String(256), primary_key=True),
    Column("slot", BigInteger, primary_key=True),
    Column("end", BigInteger, nullable=False),  # microseconds: counts in windows that reach there
    Column("until", BigInteger, nullable=False),  # microseconds: from then on in none
    Column("amount", BigInteger, nullable=False),
    Column("latest", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False, index=True),
)
_COUNTED = Table(
    "counted",
    METADATA,
    Column("one", Integer, primary_key=True),
    Column("number", BigInteger, nullable=False),
)


@value_type
class Slot:
    """A slot of a counter; all times in microseconds.

    name   the number by which it is known
    end    it counts in a window that reaches back to before this
    until  when it counts no more
    """

    counter: str
    name: int
    end: int
    until: int


@value_type
class Share:
    """What one gateway has of a slot.

    latest  when it was last used, for histories; 0: not said
    """

    slot: Slot
    amount: int
    latest: int = 0


@value_type
class Want:
    """More of a slot for the calls that wait.

    since  where the window begins
    least  what one of them needs; wished: what all need
    most   how much may count in the window
    """

    slot: Slot
    since: int
    least: int
    wished: int
    most: int


@value_type
class Telling:
    """What a gateway says and asks.

    fleet   which one it belongs to
    since   number of the last change that it has heard of; 0: it has just started
    before  microseconds: what counts no more by then may be forgotten
    """

    fleet: str
    origin: str
    since: int
    before: int
    shares: Sequence[Share] = ()
    wants: Sequence[Want] = ()


@value_type
class News:
    """What a gateway learns.

    granted  to each want, in their order; 0: there is no room
    others   shares of other gateways that have changed, by their origins
    own      its own that have changed: all, when it has just started
    """

    number: int
    granted: tuple[int, ...]
    others: tuple[tuple[str, Share], ...]
    own: tuple[Share, ...]


class FleetCounters:
    """The shares in the fleet's database. Its method blocks: it belongs into a thread."""

    def __init__(self, database: FleetDatabase) -> None:
        self._database = database

    def exchange(self, telling: Telling) -> News:
        """Say and ask everything in one transaction. Raises FleetUnavailable."""
        with self._database.transaction() as connection:
            check_fleet(connection, telling.fleet)
            if not telling.since:
                METADATA.create_all(connection)
            return _exchange(connection, telling)


def _exchange(connection: Connection, telling: Telling) -> News:
    number = connection.execute(select(_COUNTED.c.number)).scalar_one_or_none() or 0
    if number < telling.since:
        raise FleetUnavailable("its database is older than what is known of it")
    changed = _changed(connection, telling.since)
    others = tuple((origin, share) for origin, share in changed if origin != telling.origin)
    own = tuple(share for origin, share in changed if origin == telling.origin)
    if not (telling.shares or telling.wants):
        return News(number, (), others, own)
    number += 1
    connection.execute(delete(_SHARES).where(_SHARES.c.until <= telling.before))
    for share in telling.shares:
        _put(connection, telling.origin, share, number)
    granted = tuple(_grant(connection, telling.origin, want, number) for want in telling.wants)
    counted = put(_COUNTED).values(one=1, number=number)
    connection.execute(
        counted.on_conflict_do_update(index_elements=["one"], set_={"number": number})
    )
    return News(number, granted, others, own)


def _changed(connection: Connection, since: int) -> list[tuple[str, Share]]:
    """Every share that has changed after `since`, with whose it is."""
    found = connection.execute(select(_SHARES).where(_SHARES.c.number > since))
    return [
        (row.origin, Share(Slot(row.counter, row.slot, row.end, row.until), row.amount, row.latest))
        for row in found
    ]


def _put(connection: Connection, origin: str, share: Share, number: int) -> None:
    slot = share.slot
    members = {
        "end": slot.end,
        "until": slot.until,
        "amount": share.amount,
        "latest": share.latest,
        "number": number,
    }
    key = {"counter": slot.counter, "origin": origin, "slot": slot.name}
    written = put(_SHARES).values(**key, **members)
    connection.execute(written.on_conflict_do_update(index_elements=list(key), set_=members))


def _grant(connection: Connection, origin: str, want: Want, number: int) -> int:
    """Give as much as there is room for: what is wished, or a fair part of what is left."""
    slot = want.slot
    counts = (_SHARES.c.counter == slot.counter) & (_SHARES.c.end > want.since)
    used = connection.execute(select(func.sum(_SHARES.c.amount)).where(counts)).scalar_one() or 0
    room = want.most - used
    if room < want.least:
        return 0
    granted = min(room, max(want.wished, room // SPLIT))
    own = counts & (_SHARES.c.origin == origin) & (_SHARES.c.slot == slot.name)
    held = connection.execute(select(_SHARES.c.amount).where(own)).scalar_one_or_none() or 0
    _put(connection, origin, Share(slot, held + granted), number)
    return granted

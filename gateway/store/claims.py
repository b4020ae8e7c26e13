"""Claims: which gateway of a fleet answers an event that reaches all of them.

The first that asks has it, in the database that they share. Whoever has one keeps it: after a crash
it asks again and is told the same.
"""

from sqlalchemy import BigInteger, Column, String, Table, delete, select
from sqlalchemy.dialects.sqlite import insert as put

from gateway.store.fleet import METADATA, FleetDatabase

KEPT_S = 7 * 24 * 3600
"""How long it is known who has answered an event."""

_CLAIMS = Table(
    "claims",
    METADATA,
    Column("event", String(512), primary_key=True),
    Column("origin", String(256), nullable=False),
    Column("at", BigInteger, nullable=False),  # seconds since 1970
)


class FleetClaims:
    """The claims of one gateway, by the name of its log. Its method blocks."""

    def __init__(self, database: FleetDatabase, origin: str) -> None:
        self._database = database
        self._origin = origin

    def claim(self, event: str, now_s: int) -> bool:
        """Take an event; False when another has it. Raises FleetUnavailable."""
        with self._database.transaction() as connection:
            METADATA.create_all(connection, tables=[_CLAIMS])
            connection.execute(delete(_CLAIMS).where(_CLAIMS.c.at < now_s - KEPT_S))
            mine = put(_CLAIMS).values(event=event, origin=self._origin, at=now_s)
            connection.execute(mine.on_conflict_do_nothing(index_elements=["event"]))
            has = select(_CLAIMS.c.origin).where(_CLAIMS.c.event == event)
            return str(connection.execute(has).scalar_one()) == self._origin

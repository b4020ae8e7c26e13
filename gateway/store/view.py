"""The view: the folded state in a database, with the number of entries it amounts to.

It holds nothing of its own. A start takes the rows, folds the entries beyond them, and refuses to
go on when the log is shorter than its view or does not hold the entry that the view ends with:
then somebody put an old log back, and what was revoked or used up since would come to life again.
Rows that other code has folded are dropped, and the whole log is folded anew: so nothing ever has
to be carried from one form of a row to the next.
"""

from collections.abc import Iterable, Mapping

import orjson
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    create_engine,
    delete,
    event,
    insert,
    select,
)
from sqlalchemy.engine.interfaces import DBAPIConnection

from audit.canonical import Json
from audit.value import value_type
from gateway.errors import StateAhead

_METADATA = MetaData()
_ROWS = Table(
    "state",
    _METADATA,
    Column("room", String(32), primary_key=True),
    Column("key", String(512), primary_key=True),
    Column("row", LargeBinary, nullable=False),
)
_APPLIED = Table(
    "folded",
    _METADATA,
    Column("one", Integer, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("leaf", String(64), nullable=False),
    Column("code", String(64), nullable=False),
)
_REMOVE = delete(_ROWS).where(
    (_ROWS.c.room == bindparam("of_room")) & (_ROWS.c.key == bindparam("of_key"))
)


@value_type
class Change:
    """One row that changed; `row` is None when it is to be removed."""

    room: str
    key: str
    row: bytes | None

    @classmethod
    def of(cls, room: str, key: str, row: Mapping[str, Json] | None) -> "Change":
        """The change that makes the view hold `row` (None: nothing) under that key."""
        return cls(room, key, None if row is None else orjson.dumps(row))


class View:
    """Rows by room and key, and how many entries they amount to.

    Its methods block: they are called at start, and afterwards from a thread of their own.

    code  digest of what folds the log now
    """

    def __init__(self, url: str, *, code: str) -> None:
        self._code = code
        self._engine = create_engine(url)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _prepare_sqlite)
        _METADATA.create_all(self._engine)
        with self._engine.begin() as connection:
            found = connection.execute(select(_ROWS.c.room, _ROWS.c.key)).all()
        self._held = {(row.room, row.key) for row in found}  # keys that may have a row

    @property
    def engine(self) -> Engine:
        """The one database of the gateway."""
        return self._engine

    def applied(self) -> tuple[int, str]:
        """How many entries were folded, and the leaf hash of the last one (hex)."""
        with self._engine.begin() as connection:
            found = connection.execute(select(_APPLIED.c.size, _APPLIED.c.leaf)).first()
        return (0, "") if found is None else (found.size, found.leaf)

    def drop_foreign(self) -> bool:
        """Drop every row when other code than today's has made them; whether it did."""
        with self._engine.begin() as connection:
            by = connection.execute(select(_APPLIED.c.code)).scalar_one_or_none()
            if by == self._code:
                return False
            connection.execute(delete(_ROWS))
        self._held = set()
        return True

    def rows(self) -> Iterable[tuple[str, str, dict[str, Json]]]:
        """Every row: room, key, members."""
        with self._engine.begin() as connection:
            found = connection.execute(select(_ROWS.c.room, _ROWS.c.key, _ROWS.c.row)).all()
        return [(row.room, row.key, orjson.loads(row.row)) for row in found]

    def save(self, changes: Iterable[Change], *, size: int, leaf: str) -> None:
        """Take the changes over in one transaction that also says which entry they end with.

        Most calls begin and end between two saves: what never had a row costs no statement.
        """
        by_key = {(change.room, change.key): change.row for change in changes}
        kept = [
            {"room": room, "key": key, "row": row}
            for (room, key), row in by_key.items()
            if row is not None
        ]
        stale = by_key.keys() & self._held
        # Before, not after: of a transaction that fails nobody knows whether it took place.
        self._held |= {key for key, row in by_key.items() if row is not None}
        with self._engine.begin() as connection:
            if stale:
                gone = [{"of_room": room, "of_key": key} for room, key in stale]
                connection.execute(_REMOVE, gone)
            if kept:
                connection.execute(insert(_ROWS), kept)
            connection.execute(delete(_APPLIED))
            said = {"one": 1, "size": size, "leaf": leaf, "code": self._code}
            connection.execute(insert(_APPLIED).values(said))
        self._held -= {key for key, row in by_key.items() if row is None}

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()


def check_continues(size: int, leaf: str, *, log_size: int, leaf_in_log: str | None) -> None:
    """Raise StateAhead unless the log goes on where the view ends.

    size, leaf   what the view amounts to
    leaf_in_log  of entry `size - 1` in the log; None when the log is shorter
    """
    if size > log_size:
        raise StateAhead(f"the state knows {size} entries and the log holds {log_size}")
    if size and leaf_in_log != leaf:
        raise StateAhead(f"entry {size - 1} of the log is not the one that the state knows")


def _prepare_sqlite(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()

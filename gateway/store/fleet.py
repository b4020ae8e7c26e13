"""The fleet's database: what is withdrawn, for every gateway that shares it.

Beside each gateway's own log and view there is one small database for all of them. It holds facts
(what stands withdrawn, or was taken back), the digest of the policy in force, and a number that
every change raises. A gateway writes what it has recorded, and reads what the others wrote, in one
exchange, which is one transaction.

An exchange takes the lock that writing needs even when it only reads: whoever can read while
nobody could write would go on believing that nothing happened. The file is opened anew each time
and never made by an exchange, so one that was moved away, replaced, or put back from a copy is
noticed at the next one.
"""

import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    MetaData,
    NullPool,
    String,
    Table,
    create_engine,
    delete,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as put
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import FleetUnavailable

LOCKED_S = 0.25
"""How long an exchange waits for its turn."""

METADATA = MetaData()
"""Every table of the fleet's database."""

_FLEET = Table(
    "fleet",
    METADATA,
    Column("one", Integer, primary_key=True),
    Column("id", String(64), nullable=False),
    Column("number", Integer, nullable=False),
    Column("policy", String(64)),
)
_FACTS = Table(
    "facts",
    METADATA,
    Column("key", String(512), primary_key=True),
    Column("until", Integer),  # seconds since 1970; NULL: until somebody takes it back
    Column("stands", Boolean, nullable=False),
    Column("number", Integer, nullable=False),
    Column("origin", String(256), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that stands withdrawn, or stood so once.

    key     as `Revocations` names it
    until   the second from which it may be forgotten; None: not before it is taken back
    number  of the change that made it what it is
    origin  the log that has its entry
    """

    key: str
    until: int | None
    stands: bool
    number: int
    origin: str


@dataclass(frozen=True, slots=True)
class Known:
    """What a gateway knows of its fleet: which one it is, and how far it has heard."""

    fleet: str | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class Telling:
    """What a gateway has to say.

    withdrawn  what it has recorded as withdrawn since it last could say so: keys and ends
    resumed    what it has recorded as resumed, unless the others changed it meanwhile
    policy     digest of the policy that it has activated; None: no change
    replaces   the one that was the fleet's then: another one that came since is not replaced
    in_force   digest of its policy, for a fleet that has none yet
    before     second since 1970: what could be forgotten by then is
    """

    origin: str
    before: int = 0
    withdrawn: Sequence[tuple[str, int | None]] = ()
    resumed: Sequence[str] = ()
    policy: str | None = None
    replaces: str | None = None
    in_force: str | None = None

    @property
    def is_change(self) -> bool:
        """Whether there is anything new."""
        return bool(self.withdrawn or self.resumed or self.policy is not None)


@dataclass(frozen=True, slots=True)
class News:
    """What a gateway learns.

    number  of the last change
    policy  digest of the policy in force
    facts   what changed since it last heard, its own included
    """

    fleet: str
    number: int
    policy: str | None
    facts: tuple[Fact, ...]


class FleetDatabase:
    """One SQLite file, shared by gateways that all can lock and write it.

    Its methods block, for `LOCKED_S` and a little more at most: they belong into a thread.
    """

    def __init__(self, path: Path) -> None:
        uri = f"file:{quote(str(path))}?mode=rw"

        def connect() -> sqlite3.Connection:
            return sqlite3.connect(uri, uri=True, timeout=LOCKED_S, isolation_level=None)

        self._path = path
        self._engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
        event.listen(self._engine, "begin", _lock)

    def create(self, fleet: str) -> str:
        """Make the database of a new fleet of that id, unless there is one; the id it has.

        Raises FleetUnavailable.
        """
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            with self._engine.begin() as connection:
                METADATA.create_all(connection)
                found = connection.execute(select(_FLEET.c.id)).scalar_one_or_none()
                if found is None:
                    connection.execute(insert(_FLEET).values(one=1, id=fleet, number=1))
                return found or fleet
        except (SQLAlchemyError, OSError) as error:
            raise FleetUnavailable(_reason(error)) from error

    def exchange(self, known: Known, since: int, telling: Telling) -> News:
        """Say everything, and hear every change after `since`, in one transaction.

        Raises FleetUnavailable when that is not possible now, or what lies there is another
        fleet's database or an older one than is known; then nothing has been said.
        """
        with self.transaction() as connection:
            return _exchange(connection, known, since, telling)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that nobody else writes beside. Raises FleetUnavailable."""
        try:
            self._check_private()
            with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise FleetUnavailable(_reason(error)) from error

    def _check_private(self) -> None:
        """Whoever could write here could take back what was withdrawn."""
        found = self._path.stat()
        if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) & 0o077:
            raise FleetUnavailable("its database is open to others, or no plain file")


def check_fleet(connection: Connection, fleet: str) -> None:
    """Raise FleetUnavailable when this is the database of another fleet."""
    if connection.execute(select(_FLEET.c.id)).scalar_one() != fleet:
        raise FleetUnavailable("its database is another fleet's")


def _lock(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _exchange(connection: Connection, known: Known, since: int, telling: Telling) -> News:
    fleet = connection.execute(select(_FLEET)).one()
    if known.fleet not in {None, fleet.id}:
        raise FleetUnavailable("its database is another fleet's")
    if fleet.number < max(known.number, since):
        raise FleetUnavailable("its database is older than what is known of it")
    number, policy = fleet.number, fleet.policy
    if telling.is_change or (policy is None and telling.in_force is not None):
        number += 1
        if telling.policy is not None and policy in {None, telling.replaces}:
            policy = telling.policy
        policy = policy or telling.in_force
        connection.execute(update(_FLEET).values(number=number, policy=policy))
        _tell(connection, telling, since=since, number=number)
    changed = select(_FACTS).where(_FACTS.c.number > since).order_by(_FACTS.c.number)
    facts = tuple(
        Fact(row.key, row.until, row.stands, row.number, row.origin)
        for row in connection.execute(changed)
    )
    return News(fleet.id, number, policy, facts)


def _tell(connection: Connection, telling: Telling, *, since: int, number: int) -> None:
    for key, until in telling.withdrawn:
        members = {
            "until": until,
            "stands": True,
            "number": number,
            "origin": telling.origin,
        }
        written = put(_FACTS).values(key=key, **members)
        connection.execute(written.on_conflict_do_update(index_elements=["key"], set_=members))
    connection.execute(delete(_FACTS).where(_FACTS.c.until < telling.before))
    for key in telling.resumed:
        # What somebody withdrew again meanwhile stays withdrawn: nobody has seen that yet here.
        as_seen = (_FACTS.c.key == key) & (_FACTS.c.number <= since)
        connection.execute(
            update(_FACTS).where(as_seen).values(stands=False, number=number, origin=telling.origin)
        )


def _reason(error: Exception) -> str:
    """Our words for what keeps the database from being used."""
    if isinstance(error, OSError):
        return f"its database cannot be opened ({error.strerror})"
    cause = getattr(error, "orig", None)
    return f"its database cannot be used ({cause or type(error).__name__})"

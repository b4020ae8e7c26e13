"""The store: where the engine keeps what runs have done, and the key that it is sealed with.

A SQLite file of this machine, or Postgres where runs are carried by several machines. Each gateway
has a schema of its own there, named after its log: two gateways never take up each other's runs.
"""

import hashlib
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from orchestration.errors import EngineRefused

_POSTGRES = frozenset({"postgres", "postgresql", "postgresql+psycopg"})
_CONNECT_S = 10


@dataclass(frozen=True, slots=True)
class Store:
    """One database.

    url     as SQLAlchemy takes it; it may hold a password
    schema  of Postgres; SQLite has none
    file    the SQLite file; None: it is no file
    """

    url: str = field(repr=False)
    schema: str
    file: Path | None = None

    @classmethod
    def at(cls, file: Path) -> Self:
        """A SQLite file."""
        return cls(f"sqlite:///{file}", "", file)

    @classmethod
    def parse(cls, text: str, *, origin: str) -> Self:
        """The store that a deployment names by its URL.

        origin  of the gateway's log

        Raises EngineRefused, without what the URL holds.
        """
        try:
            url = make_url(text)
        except ArgumentError:
            raise EngineRefused("runs.database: expected a URL of Postgres or SQLite") from None
        if url.drivername == "sqlite":
            return cls.at(_file(url))
        if url.drivername not in _POSTGRES or not url.database:
            raise EngineRefused("runs.database: expected postgresql://USER@HOST/DATABASE")
        named = url.set(drivername="postgresql+psycopg")
        return cls(named.render_as_string(hide_password=False), _schema(origin))

    def prepare(self) -> None:
        """Make a SQLite file where it is missing, for this account alone; reach anything else.

        Raises EngineRefused: the engine would try for ever.
        """
        if self.file is None:
            _reach(self.url)
            return
        self.file.touch(mode=0o600)
        connection = sqlite3.connect(self.file)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        finally:
            connection.close()


def _reach(url: str) -> None:
    engine = create_engine(url, connect_args={"connect_timeout": _CONNECT_S})
    try:
        engine.connect().close()
    except SQLAlchemyError as error:  # its words may hold the password
        raise EngineRefused(f"runs.database: {type(error).__name__}") from None
    finally:
        engine.dispose()


def _file(url: URL) -> Path:
    if not url.database or not Path(url.database).is_absolute() or url.query:
        raise EngineRefused("runs.database: expected sqlite:////ABSOLUTE/FILE")
    return Path(url.database)


def _schema(origin: str) -> str:
    return f"passavant_{hashlib.sha256(origin.encode()).hexdigest()[:16]}"

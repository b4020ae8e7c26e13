"""The index: where in the log words and values occur. Derived, and never the source of an answer.

One full-text table (SQLite FTS5, contentless) proposes entries; each is read again from the log,
checked against the signed root, and compared with the query there. A thread feeds the table from
durable entries and rests most of the time; a search first catches up. The file holds how many
entries it covers and the log's root at that size: where they disagree with the log, it is deleted
and built anew. Sealed payloads never enter it.
"""

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from audit.canonical import Json
from audit.checkpoint import Checkpoint
from audit.entry import Entry
from audit.errors import AuditError
from audit.query import BUILT_IN, Column, Query

_VERSION = 1
_CHUNK = 500
_LONGEST_CATCH_UP_S = 5.0
_MOST_EXAMINED = 1000
_BUSY = 1000.0  # entries a second
_BUSY_REST = 20.0
_SHORTEST_REST_S = 0.01
_NAME = re.compile(r"[a-z][a-z0-9]*", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Source(Protocol):
    """What is asked of a log, from any thread."""

    @property
    def size(self) -> int:
        """How many entries are durable."""

    def now(self) -> int:
        """Microseconds since 1970."""

    def entry(self, index: int) -> Entry:
        """A durable entry, checked against the signed root."""

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """The durable entries from `start` up to `stop`."""

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        """The state of the log when it had `size` entries."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of an answer, newest first.

    cursor  hand it in to get the next part; None when there is none
    behind  durable entries that the index does not cover yet: they may be missing here
    """

    entries: tuple[Entry, ...]
    cursor: int | None
    behind: int


class Index:
    """An index file and the thread that feeds it.

    columns  the qualifiers of queries beside those of `audit.query.BUILT_IN`
    rest     after a second of work, seconds of rest, unless a search waits; more of them while
             the log grows fast
    """

    def __init__(
        self,
        path: Path,
        log: Source,
        columns: Mapping[str, Column],
        *,
        rest: float = 9.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the file, or make it. Raises OSError or sqlite3.Error when that cannot be done."""
        if not all(_NAME.fullmatch(name) for name in columns):
            raise ValueError("a qualifier is written in lower-case letters and digits")
        self._path = path
        self._log = log
        self._columns: Mapping[str, Column] = {**BUILT_IN, **columns}
        self._rest = rest
        self._monotonic = monotonic
        self._lock = threading.Lock()  # over the connection and `_covered`
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection, self._covered = self._open()

    @property
    def covered(self) -> int:
        """How many entries the index covers."""
        return self._covered

    def start(self) -> None:
        """Begin to feed the index in the background."""
        self._thread = threading.Thread(target=self._run, name="audit-index", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop feeding and close the file; called before the log is closed."""
        self._stopping.set()
        if self._thread:
            self._thread.join()
        self._connection.close()

    def parse(self, text: str) -> Query:
        """Read a query with the qualifiers of this index. Raises QueryInvalid."""
        return Query.parse(text, names=self._columns, now=self._log.now())

    def search(self, query: Query, *, cursor: int | None = None, limit: int = 50) -> Page:
        """Find entries, newest first.

        cursor  from the page before
        limit   most entries of this page

        Raises LogDamaged when an entry is not what was signed, OSError or sqlite3.Error.
        """
        self.catch_up(_LONGEST_CATCH_UP_S)
        covered = self._covered
        low = 0 if query.after is None else self._first_at(query.after, covered)
        high = covered if query.before is None else self._first_at(query.before, covered)
        high = high if cursor is None else min(high, cursor)
        found: list[Entry] = []
        proposed = self._proposed(query, low, high)
        for examined, index in enumerate(proposed):
            if len(found) == limit or examined == _MOST_EXAMINED:
                return Page(tuple(found), index + 1, self._log.size - covered)
            entry = self._log.entry(index)
            if query.matches(entry.body, self._columns):
                found.append(entry)
        return Page(tuple(found), None, self._log.size - covered)

    def catch_up(self, longest_s: float | None = None) -> None:
        """Cover all durable entries, or as many as fit into `longest_s`."""
        until = None if longest_s is None else self._monotonic() + longest_s
        while self._feed() and (until is None or self._monotonic() < until):
            pass

    def _run(self) -> None:
        pause, size = 1.0, self._log.size
        while not self._stopping.wait(pause):
            begun, before, size = self._monotonic(), size, self._log.size
            growth = (size - before) / pause
            more = False
            with suppress(OSError, AuditError, sqlite3.Error):  # a search would raise it
                more = self._feed()
            pause = self.rest_after(self._monotonic() - begun, growth) if more else 1.0

    def rest_after(self, worked: float, growth: float) -> float:
        """Seconds of rest after seconds of work, of which calls under way have more need.

        growth  entries a second that the log gained meanwhile
        """
        longer = _BUSY_REST if growth > _BUSY else 1.0
        return max(worked * self._rest * longer, _SHORTEST_REST_S)

    def _feed(self) -> bool:
        """Cover the next entries; True when there are more."""
        with self._lock:
            stop = min(self._covered + _CHUNK, self._log.size)
            if stop == self._covered:
                return False
            rows = [self._row(entry) for entry in self._log.entries(self._covered, stop)]
            root = self._log.checkpoint(stop).root
            with self._connection as transaction:
                transaction.executemany(self._insert, rows)
                transaction.execute("UPDATE covered SET size = ?, root = ?", (stop, root))
            self._covered = stop
            return stop < self._log.size

    def _row(self, entry: Entry) -> tuple[int | str, ...]:
        body = entry.body
        values = (column(body) for column in self._columns.values())
        cells = [value if isinstance(value, str) else " ".join(value or ()) for value in values]
        return (entry.index, *cells, " ".join(_texts(body)))

    def _proposed(self, query: Query, low: int, high: int) -> Iterator[int]:
        """Indices below `high`, newest first, among which all that match are."""
        expression = _expression(query)
        if not expression:
            yield from range(high - 1, low - 1, -1)
            return
        while low < high:
            with self._lock:
                rows = self._connection.execute(
                    "SELECT rowid FROM words WHERE words MATCH ? AND rowid >= ? AND rowid < ?"
                    " ORDER BY rowid DESC LIMIT ?",
                    (expression, low, high, _CHUNK),
                ).fetchall()
            yield from (index for (index,) in rows)
            high = rows[-1][0] if len(rows) == _CHUNK else low

    def _first_at(self, ts: int, stop: int) -> int:
        """The first entry that is not older; entries are in the order of their time."""
        low, high = 0, stop
        while low < high:
            middle = (low + high) // 2
            if self._log.entry(middle).body["ts"] < ts:
                low = middle + 1
            else:
                high = middle
        return low

    def _open(self) -> tuple[sqlite3.Connection, int]:
        with suppress(sqlite3.DatabaseError):
            connection = self._connect()
            try:
                row = connection.execute("SELECT form, size, root FROM covered").fetchone()
            except sqlite3.DatabaseError:
                row = None
            if row and self._agrees(*row):
                return connection, int(row[1])
            connection.close()
        return self._create(), 0

    def _agrees(self, form: str, size: int, root: bytes) -> bool:
        if form != self._form or size > self._log.size:
            return False
        return self._log.checkpoint(size).root == root

    def _create(self) -> sqlite3.Connection:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        connection = self._connect()
        names = ", ".join(f"q_{name}" for name in self._columns)
        with connection as transaction:
            transaction.execute(
                f"CREATE VIRTUAL TABLE words USING fts5({names}, rest, content='', columnsize=0)"
            )
            transaction.execute("CREATE TABLE covered (form TEXT, size INTEGER, root BLOB)")
            first = (self._form, 0, self._log.checkpoint(0).root)
            transaction.execute("INSERT INTO covered VALUES (?, ?, ?)", first)
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, check_same_thread=False)
        self._path.chmod(0o600)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # what is lost is built again
        return connection

    @property
    def _form(self) -> str:
        """Changes with the columns, so that an index made for others is built anew."""
        return f"{_VERSION} {' '.join(self._columns)}"

    @property
    def _insert(self) -> str:
        names = ", ".join(f"q_{name}" for name in self._columns)
        marks = ", ".join("?" * (len(self._columns) + 2))
        # The names were checked to be letters and digits; every value is a parameter.
        return f"INSERT INTO words (rowid, {names}, rest) VALUES ({marks})"  # noqa: S608


def _expression(query: Query) -> str:
    """The FTS5 expression that proposes entries: no fewer than match, sometimes more."""
    groups: dict[str, list[str]] = {}
    for term in query.terms:
        star = " *" if term.is_prefix else ""
        groups.setdefault(term.name, []).append(f"q_{term.name} : {_phrase(term.value)}{star}")
    parts = [f"({' OR '.join(group)})" for group in groups.values()]
    return " AND ".join([*parts, *map(_phrase, query.words)])


def _phrase(text: str) -> str:
    return '"' + text.replace('"', '""').replace("\0", " ") + '"'


def _texts(value: Json) -> Iterator[str]:
    """All texts in an entry but digests, which nobody types."""
    if isinstance(value, str):
        if not _DIGEST.fullmatch(value):
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)

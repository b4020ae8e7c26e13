"""Exporting entries: one JSON object a line, each of which can be proven later or at once.

    {"entry":{...},"index":41,"leaf":"<hex>","origin":"<log>"}
    {"entry":{...},"index":41,"leaf":"<hex>","origin":"<log>","proof":"<tlog-proof@v1>"}

`entry` stands there byte for byte as it is in the log: SHA-256 over 0x00 and these bytes is `leaf`,
and origin, index and leaf make a receipt (`audit.pin`). A reader that stopped goes on at its last
index plus one; what it had begun may come twice, nothing is left out.
"""

from collections.abc import Iterator
from typing import Protocol

import orjson

from audit.entry import Entry


class Source(Protocol):
    """What is asked of a log."""

    @property
    def origin(self) -> str:
        """The name of the log."""

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """The committed entries from `start` up to, without, `stop`."""

    def prove(self, index: int, size: int | None = None) -> str:
        """A tlog-proof@v1 for one of them."""


def rows(log: Source, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """Yield a line for each committed entry from `start` up to `stop` or the present end.

    Raises LogDamaged or OSError.
    """
    for entry in log.entries(start, stop):
        yield row(log, entry)


def proven_rows(log: Source, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """Yield the same lines with an inclusion proof in each. Raises as `rows` does."""
    for entry in log.entries(start, stop):
        yield proven_row(log, entry)


def row(log: Source, entry: Entry) -> bytes:
    """The line of one entry."""
    return _line(entry, _place(log, entry))


def proven_row(log: Source, entry: Entry, size: int | None = None) -> bytes:
    """The line of one entry with a proof in it.

    size  entries of the log that the proof is about; None: all of now

    Raises as `rows` does.
    """
    return _line(entry, {**_place(log, entry), "proof": log.prove(entry.index, size)})


def _place(log: Source, entry: Entry) -> dict[str, str | int]:
    return {"index": entry.index, "leaf": entry.leaf.hex(), "origin": log.origin}


def _line(entry: Entry, statement: dict[str, str | int]) -> bytes:
    # Joined, not serialised: what was hashed is not to be written a second time.
    return b'{"entry":' + entry.raw + b"," + orjson.dumps(statement)[1:] + b"\n"

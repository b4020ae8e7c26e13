"""Exporting: what a search finds, as a file to take away, with the checkpoint it rests on.

JSON lines: first what was asked and the signed checkpoint, then a line for each entry as it is in
the log (`audit.export`), each provable by its leaf, last how many there were: a file without that
line is cut off. CSV: a table for a spreadsheet, in which no cell is taken for a formula; its last
row holds the checkpoint. What entries hold sealed is in neither. That somebody took it is an entry.
"""

import asyncio
import csv
import io
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from audit import export
from audit.checkpoint import Checkpoint
from audit.entry import Entry
from audit.note import unverified_text
from gateway.operator.access import check_standing
from gateway.operator.columns import COLUMNS
from gateway.operator.credentials import Operator
from gateway.operator.export_form import ExportForm
from gateway.operator.services import Services

MOST = 100_000
"""Entries of one export."""

PAGE = 500
_FORMULA = frozenset("=+-@|%")
_BEGINNING = 64
_HEAD = ("index", "time", "kind", *COLUMNS, "leaf")


@dataclass(frozen=True, slots=True)
class Taken:
    """One export.

    checkpoint  signed; every entry of it is below its size
    """

    query: str
    form: ExportForm
    checkpoint: str
    size: int


async def begun(services: Services, operator: Operator, query: str, form: ExportForm) -> Taken:
    """Record who takes what. Raises QueryInvalid, AuditUnavailable."""
    services.index.parse(query)
    note = services.log.signed_checkpoint().decode()
    size = Checkpoint.parse(unverified_text(note)).size
    await services.recorder.write_sealed(
        "audit.exported",
        {"by": f"operator:{operator.name}", "form": form, "size": size},
        subject=operator.name,
        name="query",
        words=query.encode(),
    )
    return Taken(query, form, note, size)


async def lines(services: Services, operator: Operator, taken: Taken) -> AsyncIterator[bytes]:
    """The file, part by part, newest entry first.

    Raises AuthError when the operator is suspended meanwhile, or what the log raises: the file is
    then cut off, and shows it.
    """
    form = _FORMS[taken.form](services, taken)
    yield form.head()
    cursor: int | None = taken.size
    count = behind = 0
    query = services.index.parse(taken.query)
    while cursor is not None and count < MOST:
        check_standing(services, operator)
        page = await asyncio.to_thread(services.index.search, query, cursor=cursor, limit=PAGE)
        yield await asyncio.to_thread(form.rows, page.entries)
        count += len(page.entries)
        cursor, behind = page.cursor, page.behind
    yield form.end(count, {"more": cursor is not None, "behind": behind})


class _JsonLines:
    """One object a line."""

    def __init__(self, services: Services, taken: Taken) -> None:
        self._log, self._taken = services.log, taken

    def head(self) -> bytes:
        taken = self._taken
        said = {"query": taken.query, "size": taken.size, "checkpoint": taken.checkpoint}
        return orjson.dumps({"export": "passavant/v1", "origin": self._log.origin, **said}) + b"\n"

    def rows(self, entries: Iterable[Entry]) -> bytes:
        return b"".join(export.row(self._log, entry) for entry in entries)

    def end(self, count: int, more: Mapping[str, object]) -> bytes:
        return orjson.dumps({"end": True, "entries": count, **more}) + b"\n"


class _Proven(_JsonLines):
    """The same with a proof in each line, all to the one checkpoint."""

    def rows(self, entries: Iterable[Entry]) -> bytes:
        size = self._taken.size
        return b"".join(export.proven_row(self._log, entry, size) for entry in entries)


class _Csv:
    """RFC 4180."""

    def __init__(self, services: Services, taken: Taken) -> None:
        del services
        self._taken = taken

    def head(self) -> bytes:
        return _row(_HEAD)

    def rows(self, entries: Iterable[Entry]) -> bytes:
        return b"".join(_row(_cells(entry)) for entry in entries)

    def end(self, count: int, more: Mapping[str, object]) -> bytes:
        said = f"{count} entries" + (", there are more" if more["more"] else "")
        cells = ("end", said, "checkpoint", self._taken.checkpoint)
        return _row([*cells, *[""] * (len(_HEAD) - len(cells))])


_FORMS: Mapping[ExportForm, Callable[[Services, Taken], "_JsonLines | _Csv"]] = {
    "jsonl": _JsonLines,
    "jsonl-proofs": _Proven,
    "csv": _Csv,
}


def _cells(entry: Entry) -> list[str]:
    body = entry.body
    at = datetime.fromtimestamp(body["ts"] / 1_000_000, UTC).isoformat()
    found = (column(body) for column in COLUMNS.values())
    values = [each if isinstance(each, str) else " ".join(each or ()) for each in found]
    return [str(entry.index), at, body["kind"], *values, entry.leaf.hex()]


def _row(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(map(_inert, cells))
    return text.getvalue().encode()


def _inert(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: names in it are strangers' texts.

    Wide signs count as narrow ones, as they do there; what does not show is no beginning.
    """
    begun = cell[:_BEGINNING]
    firsts = {_first(begun), _first(unicodedata.normalize("NFKC", begun))}
    return f"'{cell}" if firsts & _FORMULA else cell


def _first(text: str) -> str:
    return next((char for char in text if char.isprintable() and not char.isspace()), "")

"""Taking entries away: an export as it comes from the gateway, byte for byte, to its last line.

What it holds are strangers' texts as they are, so it goes to a file or to another program and never
to a terminal. A file is there when all of it is: one that was cut off is not left behind.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from json import loads
from pathlib import Path
from typing import BinaryIO

from cli.client import Broken, Operators
from cli.errors import Exit, stop

PATH = "/api/audit/export"

_TAIL = 1 << 14
"""Bytes that hold the last row of any form: it has a checkpoint in it at most."""

_CSV_END = b'\r\n"end","'


def take(api: Operators, query: str, form: str, out: Path | None) -> str:
    """Write what a search finds to `out`, or to standard output; what is missing in it, or "".

    Ends the command when the gateway refuses, or what came was cut off.
    """
    if out is None and sys.stdout.isatty():
        stop("entries hold strangers' texts: name a file with --out, or pass them on", Exit.USAGE)
    try:
        with _opened(out) as file, api.download(PATH, {"q": query, "form": form}) as parts:
            tail = _written(parts, file, form)
    except Broken as error:
        stop(f"the export was cut off: {error}")
    except OSError as error:
        stop(f"{out}: {error.strerror}")
    return _missing(tail, form)


@contextmanager
def _opened(out: Path | None) -> Iterator[BinaryIO]:
    """A file beside `out`, which it becomes in the end; one that is there is never replaced."""
    if out is None:
        yield sys.stdout.buffer
        return
    part = out.with_name(f"{out.name}.part")
    if out.exists():
        stop(f"{out}: there is such a file", Exit.USAGE)
    with part.open("xb") as file:  # one that is there is another's
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.link(part, out)  # unlike a rename, this too replaces nothing
        finally:
            part.unlink(missing_ok=True)


def _written(parts: Iterable[bytes], file: BinaryIO, form: str) -> bytes:
    """Write it; its end. Raises Broken where that is none."""
    tail = b""
    for part in parts:
        file.write(part)
        tail = (tail + part)[-_TAIL:]
    file.flush()
    if not _is_whole(tail, form):
        raise Broken("its last line is missing")
    return tail


def _is_whole(tail: bytes, form: str) -> bool:
    if form == "csv":  # in a cell these marks would be doubled
        return _CSV_END in tail and tail.endswith(b'"\r\n')
    last = tail.removesuffix(b"\n").rpartition(b"\n")[2]
    return tail.endswith(b"\n") and last.startswith(b'{"end":true,')


def _missing(tail: bytes, form: str) -> str:
    """What the last line says that the search would have found besides."""
    if form == "csv":
        end = tail[tail.rindex(_CSV_END) :].split(b'","', 2)[1]
        return "there are more entries" if end.endswith(b"there are more") else ""
    end = loads(tail.removesuffix(b"\n").rpartition(b"\n")[2])
    if end["more"]:
        return f"these are the newest {end['entries']}; there are more entries"
    return f"{end['behind']} entries are not indexed yet" if end["behind"] else ""

"""What entries say about their own order: each is canonical, and none is missing within a boot.

Every start of the log draws a random `boot`; its entries count `seq` from 0. So an entry that was
dropped or moved shows in the entries alone, also in an export that has lost its tree.
"""

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

import orjson

from audit.canonical import read, write
from audit.errors import NotStrict
from audit.layout import MOST_ENTRY_BYTES

_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_VERSION = 1

_fields = itemgetter("boot", "id", "kind", "seq", "ts", "v")


class EntryOrder:
    """Follows entries from the first one on and names what is wrong with them."""

    def __init__(self) -> None:
        self._boot = ""
        self._boots: set[str] = set()
        self._next = 0
        self._ts = 0

    def check(self, first: int, entries: Sequence[bytes]) -> Iterator[tuple[int, str]]:
        """Yield (index, complaint) for the next entries, the first of which has index `first`."""
        boot, seq, last = self._boot, self._next, self._ts
        for index, raw in enumerate(entries, first):
            body = _parse(raw)
            if body is None:
                yield index, "is not canonical JSON with the fields of an entry"
                seq += 1  # it takes the place of one
                continue
            found_boot, found_seq, ts = body
            if found_boot != boot or found_seq != seq:
                yield from self._complaints(index, (boot, seq), (found_boot, found_seq))
                boot, seq = found_boot, found_seq
            if ts < last:
                yield index, f"is dated {last - ts} us before the entry before it"
            seq, last = seq + 1, max(last, ts)
        self._boot, self._next, self._ts = boot, seq, last

    def skip(self, count: int) -> None:
        """Pass over entries that cannot be read and have been reported."""
        self._next += count

    def _complaints(
        self, index: int, expected: tuple[str, int], found: tuple[str, int]
    ) -> Iterator[tuple[int, str]]:
        boot, seq = found
        if boot == expected[0]:
            yield index, f"has seq {seq} where {expected[1]} follows"
        elif boot in self._boots:
            yield index, f"belongs to the earlier boot {boot}"
        elif seq != 0:
            yield index, f"begins boot {boot} with seq {seq}"
        self._boots.add(boot)


def _parse(raw: bytes) -> tuple[str, int, int] | None:
    """Return boot, seq and ts of a well-formed entry."""
    try:
        body: Any = orjson.loads(raw)
        boot, identity, kind, seq, ts, version = _fields(body)
        canonical = orjson.dumps(body, option=_CANONICAL) == raw
    except (KeyError, TypeError, ValueError):
        return None
    if not canonical or type(seq) is not int or type(ts) is not int or version != _VERSION:
        return None
    if not (type(boot) is type(identity) is type(kind) is str):
        return None
    # orjson keeps a whole number that is spelled as a float; the strict reader does not.
    return (boot, seq, ts) if b".0" not in raw or _is_canonical(raw) else None


def _is_canonical(raw: bytes) -> bool:
    try:
        return write(read(raw, max_bytes=MOST_ENTRY_BYTES)) == raw
    except NotStrict:
        return False

"""What entries say about their own order: each is canonical, and none is missing within a boot.

Every uninterrupted run of the writer draws a new `boot`, in which its entries count `seq` from 0
(see `audit.entry`). So an entry that was dropped or moved shows in the entries alone, also in an
export that has lost its tree.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from operator import itemgetter
from typing import NamedTuple, Protocol

import orjson

from audit.entry import VERSION

_members = itemgetter("boot", "seq", "ts", "v", "id", "kind")
_TYPES = (str, int, int, int, str, str)
# Equal to the canonical form for all that the log writes; floats, which it never writes, pass in
# the spelling of orjson. The strict reader would cost more than hashing and tree together.
_write = partial(orjson.dumps, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)


class EntryCheck(Protocol):
    """Looks at what entries say while a log is verified."""

    def check(self, first: int, entries: Sequence[bytes]) -> Iterator[tuple[int, str]]:
        """Yield (index, complaint) for the next entries, the first of which has index `first`.

        They come in order, each once, before anything else is known of them: nothing that stands
        in them may make this raise. What cannot be read at all is left out.
        """


class EntryOrder:
    """Follows entries from the first one on and names what is wrong with them."""

    def __init__(self) -> None:
        self._boot: str | None = ""  # None: unknown, after what could not be read
        self._boots: set[str] = set()
        self._seq = 0  # of the entry that follows
        self._ts = 0  # of the entry before

    def check(self, first: int, entries: Sequence[bytes]) -> Iterator[tuple[int, str]]:
        """Yield (index, complaint) for the next entries, the first of which has index `first`."""
        columns = _read(entries)
        if columns and self._continued_by(columns):
            self._seq, self._ts = columns.seq[-1] + 1, columns.ts[-1]
            return
        for index, raw in enumerate(entries, first):
            own = _read([raw])
            if own is None:
                yield index, "is not canonical JSON with the members of an entry"
                self.lose_track()
                continue
            for complaint in self._complaints(own.boot[0], own.seq[0], own.ts[0]):
                yield index, complaint

    def lose_track(self) -> None:
        """Pass over what cannot be read and has been reported: anything may follow it."""
        self._boot = None

    def _continued_by(self, columns: "_Columns") -> bool:
        """All is well: the same boot goes on. Decided for many entries in few steps."""
        boots, seqs, stamps = columns
        return (
            set(boots) == {self._boot}
            and seqs == tuple(range(self._seq, self._seq + len(seqs)))
            and self._ts <= stamps[0]
            and list(stamps) == sorted(stamps)
        )

    def _complaints(self, boot: str, seq: int, ts: int) -> Iterator[str]:
        if self._boot in (None, boot):
            if self._boot is not None and seq != self._seq:
                yield f"has seq {seq} where {self._seq} follows"
        elif boot in self._boots:
            yield f"belongs to the earlier boot {boot}"
        elif seq != 0:
            yield f"begins boot {boot} with seq {seq}"
        if ts < self._ts:
            yield f"is dated {self._ts - ts} us before an earlier entry"
        self._boots.add(boot)
        self._boot, self._seq, self._ts = boot, seq + 1, max(ts, self._ts)


class _Columns(NamedTuple):
    boot: tuple[str, ...]
    seq: tuple[int, ...]
    ts: tuple[int, ...]


def _read(entries: Sequence[bytes]) -> _Columns | None:
    """Read what every entry states; None when one of them is not as the log writes it."""
    try:
        columns = tuple(zip(*map(_stated, entries), strict=True))
    except (KeyError, TypeError, ValueError):
        return None
    if [set(map(type, column)) for column in columns] != [{kind} for kind in _TYPES]:
        return None
    if set(columns[3]) != {VERSION}:
        return None
    return _Columns(*columns[:3])


def _stated(raw: bytes) -> tuple[str | int, ...]:
    """What one entry states. The body goes at once: keeping 256 of them costs twice the time."""
    body = orjson.loads(raw)
    if _write(body) != raw:
        raise ValueError("not canonical")
    members: tuple[str | int, ...] = _members(body)
    return members

"""The stamp: when an entry was made, which run of the writer made it, and as which one of it."""

import os
from collections.abc import Callable

from audit.entry import Record, encode

_POOL_BYTES = 4000
_ID_BYTES = 10


class Stamp:
    """Time, run and number of the entries of one log; `encode` is called by one thread at a time.

    clock    microseconds since 1970
    entropy  returns that many random bytes
    last     the time of the last entry: time does not run backwards over a restart either
    """

    def __init__(
        self,
        clock: Callable[[], int],
        entropy: Callable[[int], bytes] = os.urandom,
        *,
        last: int = 0,
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._last = last
        self._pool = b""
        self.boot = ""
        self._seq = 0
        self.new_boot()

    def now(self) -> int:
        """Microseconds since 1970, never less than in the last entry."""
        return max(self._clock(), self._last)

    def new_id(self) -> str:
        """A UUIDv7 (RFC 9562, section 5.7)."""
        pool = self._pool or self._entropy(_POOL_BYTES)
        self._pool = pool[_ID_BYTES:]
        rand = int.from_bytes(pool[:_ID_BYTES], "big")
        high = self.now() // 1000 << 16 | 0x7000 | rand >> 68
        low = 0x8000_0000_0000_0000 | rand & 0x3FFF_FFFF_FFFF_FFFF
        text = f"{high:016x}{low:016x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def new_boot(self) -> None:
        """Begin a run: entries were refused after they had got their numbers."""
        self.boot = self._entropy(8).hex()
        self._seq = 0

    def encode(self, record: Record) -> bytes:
        """The bytes of the next entry; call `advance` when it takes its place. See `entry.encode`.

        Raises EntryRefused.
        """
        self._last = now = self.now()
        return encode(record, ts=now, boot=self.boot, seq=self._seq)

    def advance(self) -> None:
        """Count the entry that was encoded last."""
        self._seq += 1

"""The stamp: when an entry was made, which run of the writer made it, and as which one of it."""

import os
import re
from collections.abc import Callable
from typing import Any

from audit.entry import Record, encode

_ID_BYTES = 10
_POOL_IDS = 400
_FIXED = int.from_bytes(b"\xf0\0\xc0\0\0\0\0\0\0\0" * _POOL_IDS)
_VERSION_AND_VARIANT = int.from_bytes(b"\x70\0\x80\0\0\0\0\0\0\0" * _POOL_IDS)
_GROUPS = re.compile("(.{4})(.{4})(.{12})")


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
        self._pool: list[str] = []
        self._ms, self._time = -1, ""  # the time of the last id, and its digits
        self.boot = ""
        self._seq = 0
        self.new_boot()

    def now(self) -> int:
        """Microseconds since 1970, never less than in the last entry."""
        now = self._clock()
        if now < self._last:
            return self._last
        return now

    def new_id(self) -> str:
        """A UUIDv7 (RFC 9562, section 5.7)."""
        ms = self.now() // 1000
        if ms != self._ms:
            digits = f"{ms:012x}"
            self._ms, self._time = ms, f"{digits[:8]}-{digits[8:]}-"
        try:
            return self._time + self._pool.pop()
        except IndexError:
            self._pool = pool = _random_parts(self._entropy(_POOL_IDS * _ID_BYTES))
            return self._time + pool.pop()

    def new_boot(self) -> None:
        """Begin a run: entries were refused after they had got their numbers."""
        self.boot = self._entropy(8).hex()
        self._seq = 0

    def encode(self, record: Record) -> tuple[bytes, dict[str, Any]]:
        """The next entry; call `advance` when it takes its place. See `entry.encode`.

        Raises EntryRefused.
        """
        self._last = now = self.now()
        return encode(record, ts=now, boot=self.boot, seq=self._seq)

    def advance(self) -> None:
        """Count the entry that was encoded last."""
        self._seq += 1


def _random_parts(entropy: bytes) -> list[str]:
    """What stands behind the times of as many ids: version, variant and 74 random bits of each."""
    bits = int.from_bytes(entropy) & ~_FIXED | _VERSION_AND_VARIANT
    return ["-".join(groups) for groups in _GROUPS.findall(bits.to_bytes(len(entropy)).hex())]

"""Refusals: entries for what was turned away, counted where it comes in floods.

What has no principal is one entry per source and ten seconds; what has one is an entry each, up
to ten a second, and then one entry with the true count. Either way nobody fills the disk by
being refused, and no refusal goes unseen.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from audit.canonical import Json
from audit.entry import Receipt
from audit.errors import AuditUnavailable
from gateway.principal import Principal
from gateway.recorder import Recorder

WINDOW_US = 10 * 1_000_000
PER_SECOND = 10
MAX_SOURCES = 4096
"""Sources counted one by one; beyond that they are counted together as `*`."""


@dataclass(slots=True)
class _Tally:
    """What one source was refused since its last entry; times in microseconds."""

    began: int
    second: int = 0
    in_second: int = 0
    suppressed: int = 0
    code: str = ""


class Refusals:
    """Records refusals, and says when a denial is one too many for an entry of its own."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._tallies: dict[str, _Tally] = {}
        self.counts: dict[str, int] = {}  # by code, since start, for metrics

    async def refuse(
        self,
        principal: Principal | None,
        *,
        source: str,
        code: str,
        detail: str = "",
        facts: Mapping[str, Json] | None = None,
    ) -> Receipt | None:
        """Record that a request was refused; None when it is only counted, or cannot be recorded.

        source  peer address
        detail  our own words; never the caller's
        facts   further members of the entry

        A log that cannot be written changes nothing about a refusal: nothing was going to happen.
        """
        self.counts[code] = self.counts.get(code, 0) + 1
        now = self._recorder.now()
        origin = principal.agent if principal is not None else _address(source)
        if not self.admits(origin, known=principal is not None, code=code, now=now):
            return None
        fields: dict[str, Json] = {
            "actor": _actor(principal),
            "source": _address(source),
            "code": code,
            "detail": detail[:200],
            "count": 1,
            **(facts or {}),
        }
        try:
            return await self._recorder.write("refusal", fields, reserved=False)
        except AuditUnavailable:
            return None

    def admits(self, origin: str, *, known: bool, code: str, now: int) -> bool:
        """Whether a refusal of `origin` is written by itself; otherwise it has been counted.

        known  `origin` is an authenticated agent
        """
        key = f"agent:{origin}" if known else f"source:{origin}"
        tally = self._tallies.get(key)
        if tally is None:
            if len(self._tallies) >= MAX_SOURCES:
                key = "source:*"
            tally = self._tallies.setdefault(key, _Tally(began=now))
            if tally.began == now and not tally.in_second:
                tally.second, tally.in_second = now // 1_000_000, 1
                return True
        second = now // 1_000_000
        if tally.second != second:
            tally.second, tally.in_second = second, 0
        tally.in_second += 1
        if known and tally.in_second <= PER_SECOND:
            return True
        tally.suppressed += 1
        tally.code = code
        return False

    async def flush(self, now: int, *, everything: bool = False) -> None:
        """Write the counts of windows that are over. Raises AuditUnavailable; counts are kept."""
        for key, tally in list(self._tallies.items()):
            if not everything and tally.began + WINDOW_US > now:
                continue
            if tally.suppressed:
                count, tally.suppressed = tally.suppressed, 0
                try:
                    await self._write_count(key, tally, count)
                except AuditUnavailable:
                    tally.suppressed += count
                    raise
                tally.began = now
            else:
                del self._tallies[key]

    async def _write_count(self, key: str, tally: _Tally, count: int) -> None:
        kind, _, origin = key.partition(":")
        agent = origin if kind == "agent" else None
        fields: dict[str, Json] = {
            "actor": {"agent": agent, "sub": None, "chain": []},
            "source": origin if agent is None else None,
            "code": tally.code,
            "detail": "further refusals, counted",
            "count": count,
            "since": tally.began,
        }
        await self._recorder.write("refusal", fields, reserved=False)


def _actor(principal: Principal | None) -> dict[str, Json]:
    if principal is None:
        return {"agent": None, "sub": None, "chain": []}
    return {"agent": principal.agent, "sub": principal.user, "chain": list(principal.chain)}


def _address(source: str) -> str:
    """The host of a peer address: every port of it is one source."""
    return source.rpartition(":")[0] or source

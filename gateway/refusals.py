"""Refusals: entries for what was turned away, counted where it comes in floods.

What has no principal is one entry per source and ten seconds; what has one is an entry each, up
to ten a second, and then one entry with the true count. Either way nobody fills the disk by
being refused, and no refusal goes unseen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from audit.canonical import Json
from audit.entry import Receipt
from audit.errors import AuditError
from gateway.principal import Principal, actor
from gateway.recorder import Recorder

WINDOW_US = 10 * 1_000_000
PER_SECOND = 10
MAX_SOURCES = 4096
"""Strangers counted one by one; beyond that they are counted together as `*`."""


@dataclass(slots=True)
class _Tally:
    """What one source was refused since its last entry; times in microseconds."""

    began: int
    second: int
    in_second: int = 1
    codes: dict[str, int] = field(default_factory=dict)  # how often each was only counted

    def count(self, code: str, times: int = 1) -> None:
        self.codes[code] = self.codes.get(code, 0) + times


class Refusals:
    """Records refusals, and says when a denial is one too many for an entry of its own."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._agents: dict[str, _Tally] = {}
        self._strangers: dict[str, _Tally] = {}  # by address
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
        is_known = principal is not None
        if not self.admits(origin, known=is_known, code=code, now=now):
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
        except AuditError:
            self._count(origin, known=is_known, code=code, now=now)
            return None

    def admits(self, origin: str, *, known: bool, code: str, now: int) -> bool:
        """Whether a refusal of `origin` is written by itself; otherwise it has been counted.

        known  `origin` is an authenticated agent
        """
        second = now // 1_000_000
        tally = self._tally(origin, known=known)
        if tally is None:
            tallies = self._agents if known else self._strangers
            tallies[self._named(origin, known=known)] = _Tally(began=now, second=second)
            return True
        if tally.second != second:
            tally.second, tally.in_second = second, 0
        tally.in_second += 1
        if known and tally.in_second <= PER_SECOND:
            return True
        tally.count(code)
        return False

    async def flush(self, now: int, *, everything: bool = False) -> None:
        """Write the counts of windows that are over. Raises AuditUnavailable; counts are kept."""
        for tallies in (self._agents, self._strangers):
            for origin, tally in list(tallies.items()):
                if not everything and tally.began + WINDOW_US > now:
                    continue
                if not tally.codes:
                    del tallies[origin]
                    continue
                agent, source = (origin, None) if tallies is self._agents else (None, origin)
                await self._write_counts(tally, agent=agent, source=source)
                tally.began = now

    async def _write_counts(self, tally: _Tally, *, agent: str | None, source: str | None) -> None:
        counted, tally.codes = tally.codes, {}
        fields: dict[str, Json] = {
            "actor": {"agent": agent, "sub": None, "chain": []},
            "source": source,
            "code": max(counted, key=lambda code: (counted[code], code)),
            "codes": dict(counted),
            "detail": "further refusals, counted",
            "count": sum(counted.values()),
            "since": tally.began,
        }
        try:
            await self._recorder.write("refusal", fields, reserved=False)
        except AuditError:
            for code, count in counted.items():
                tally.count(code, count)
            raise

    def _count(self, origin: str, *, known: bool, code: str, now: int) -> None:
        tallies = self._agents if known else self._strangers
        began = _Tally(began=now, second=now // 1_000_000)
        tallies.setdefault(self._named(origin, known=known), began).count(code)

    def _tally(self, origin: str, *, known: bool) -> _Tally | None:
        tallies = self._agents if known else self._strangers
        return tallies.get(self._named(origin, known=known))

    def _named(self, origin: str, *, known: bool) -> str:
        """`origin`, or `*` for one stranger too many; agents are as many as the policy names."""
        is_crowded = len(self._strangers) >= MAX_SOURCES and origin not in self._strangers
        return "*" if is_crowded and not known else origin


def _actor(principal: Principal | None) -> dict[str, Json]:
    return actor(principal) if principal is not None else {"agent": None, "sub": None, "chain": []}


def _address(source: str) -> str:
    """The host of a peer address: every port of it is one source."""
    return source.rpartition(":")[0] or source

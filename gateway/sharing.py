"""Sharing: how gateways of one fleet come to count together.

A call that needs more than this gateway's share waits until the fleet's database has been asked;
calls that wait for the same are asked for together, and those that then find nothing are denied.
Ten times a second, and from the same thread, what was given back or has changed here is said, and
what others have is heard. A database that cannot be reached gives nothing, and nobody waits for it
before it has been reached again.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import structlog

from gateway.errors import FleetUnavailable
from gateway.session.limits import Limits, Short
from gateway.session.shares import Key
from gateway.store.counters import FleetCounters, News, Share, Telling, Want

TELL_EVERY_S = 0.1
HEAR_EVERY = 5
"""Rounds after which others are heard although there is nothing to say."""

FORGET_EVERY = 100
"""Rounds after which what counts no more is dropped."""

KEPT_US = 3600 * 1_000_000
"""How long a share stands in the database after it has ceased to count; more than clocks differ."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Counting:
    """What counting together works with.

    origin  by which this gateway is known
    now     microseconds since 1970, by the log's clock
    fleet   the id of the fleet; None: it is not known yet
    """

    counters: FleetCounters
    limits: Limits
    origin: str
    now: Callable[[], int]
    fleet: Callable[[], str | None]


def _future() -> "asyncio.Future[frozenset[Key]]":
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True)
class _Round:
    """Calls that wait for the same exchange: what they need, by slot."""

    wants: dict[Key, Want] = field(default_factory=dict)
    done: "asyncio.Future[frozenset[Key]]" = field(default_factory=_future)


class Sharing:
    """Carries the shares of this gateway to the fleet's database and back.

    trouble  why that is not possible at the moment; None: it is
    """

    def __init__(self, around: Counting) -> None:
        self._around = around
        self._shares = around.limits.share()
        self._since = 0  # number of the last change that was heard of
        self._has_begun = False  # it is known what the database holds of this gateway
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sharing")
        self._next = _Round()
        self._asking: asyncio.Task[None] | None = None
        self.trouble: str | None = None

    @contextmanager
    def opened(self) -> Iterator["Sharing"]:
        """With a thread to wait for the database in."""
        try:
            yield self
        finally:
            if self._asking is not None:
                self._asking.cancel()
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def cover(self, short: Short) -> str | None:
        """Ask for what a call is missing: the name of what there is none of, or None: try again."""
        for name, want in short.missing:
            key = (want.slot.counter, want.slot.name)
            granted = await asyncio.shield(self._wait_for(key, want))
            if key not in granted:
                return name
        return None

    async def run(self) -> None:
        """Say and hear what changed, until cancelled."""
        rounds = 0
        while True:
            rounds += 1
            try:
                await self._tell(is_due=rounds % HEAR_EVERY == 0 or self.trouble is not None)
                if rounds % FORGET_EVERY == 0:
                    self._shares.forget(self._around.now())
            except Exception:  # outermost: nothing may end this for good
                log.exception("sharing.failed")
            await asyncio.sleep(TELL_EVERY_S)

    async def begin(self) -> None:
        """Find what the fleet's database holds of this gateway, if it can be reached."""
        await self._tell(is_due=True)

    # -- asking -----------------------------------------------------------------------------

    def _wait_for(self, key: Key, want: Want) -> "asyncio.Future[frozenset[Key]]":
        waiting = self._next
        before = waiting.wants.get(key)
        if before is not None:
            least = min(before.least, want.least)
            want = replace(want, least=least, wished=before.wished + want.wished)
        waiting.wants[key] = want
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return waiting.done

    async def _ask(self) -> None:
        """One exchange for all who wait, as long as somebody does."""
        while self._next.wants:
            async with self._turn:
                current, self._next = self._next, _Round()
                granted: frozenset[Key] = frozenset()
                try:
                    wants = tuple(current.wants.values())
                    news = await self._exchange((), wants) if self.trouble is None else None
                    if news is not None:
                        given = zip(current.wants, news.granted, strict=True)
                        granted = frozenset(key for key, amount in given if amount)
                finally:
                    if not current.done.done():
                        current.done.set_result(granted)

    async def _tell(self, *, is_due: bool) -> None:
        async with self._turn:
            now = self._around.now()
            shares = self._shares.untold(now) if self._has_begun else ()
            if shares or is_due:
                await self._exchange(shares, ())

    # -- an exchange ------------------------------------------------------------------------

    async def _exchange(self, shares: Sequence[Share], wants: Sequence[Want]) -> News | None:
        """Say and ask; None when that was not possible. One at a time."""
        if not self._has_begun:
            begun = await self._reach((), ())
            if begun is None:
                return None
            self._shares.begin(begun.own, self._around.limits.slots())
            self._has_begun = True
            if not (shares or wants):
                return begun
        return await self._reach(shares, wants)

    async def _reach(self, shares: Sequence[Share], wants: Sequence[Want]) -> News | None:
        fleet = self._around.fleet()
        if fleet is None:
            return None
        before = self._around.now() - KEPT_US
        telling = Telling(fleet, self._around.origin, self._since, before, shares, wants)
        exchange = self._around.counters.exchange
        loop = asyncio.get_running_loop()
        try:
            news = await loop.run_in_executor(self._thread, exchange, telling)
        except FleetUnavailable as error:
            self._shares.unsaid(shares, wants)
            if self.trouble != str(error):
                log.error("sharing.cut", reason=str(error))
            self.trouble = str(error)
            return None
        self._since, self.trouble = news.number, None
        self._shares.heard(shares, wants, news)
        return news

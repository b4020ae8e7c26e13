"""Granted: authorizations whose tokens are asked for, kept for a while, and asked for again.

A token is kept for whom it was made until shortly before its end. At most one request for it is
under way, and after a refusal the next waits a little. A token that the server does not take any
more is replaced for the next call; no call is sent twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from gateway.errors import ConsentNeeded, GatewayError, TokenRefused
from gateway.links.link import Caller
from gateway.links.oauth_client import Granted

MOST = 1000
"""Callers of one server whose tokens are kept; of more, the one that waited longest goes."""

LONGEST_S = 3600
REPLACED_EVERY_S = 30
PAUSE_S = 2
ASK_S = 15.0

_MARGIN_S = 60

Key = TypeVar("Key")


@dataclass(slots=True)
class _Kept:
    """What is known for one key; times are seconds since 1970.

    until     a new token is asked for from then on
    replaced  when the server's refusal last made us ask for another one
    failed    the last answer of the issuer was no token; until `again`, nobody asks
    """

    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    token: str | None = field(default=None, repr=False)
    until: int = 0
    replaced: int = 0
    failed: GatewayError | None = None
    again: int = 0


class GrantedTokens(Generic[Key]):
    """The tokens for one server, by what they are made for.

    grant  asks for one
    now_s  seconds since 1970, by the log's clock
    """

    def __init__(
        self,
        grant: Callable[[Key], Awaitable[Granted]],
        now_s: Callable[[], int],
        *,
        most: int = MOST,
    ) -> None:
        self._grant = grant
        self._now_s = now_s
        self._most = most
        self._kept: dict[Key, _Kept] = {}

    async def get(self, key: Key) -> str:
        """A token that is good now. Raises GatewayError when there is none."""
        kept = self._of(key)
        if kept.token is None or self._now_s() >= kept.until:
            async with kept.asking:
                await self._renew(key, kept)
        assert kept.token is not None
        return kept.token

    def refused(self, token: str) -> None:
        """Ask for another one before the next call, unless that was done just now."""
        now = self._now_s()
        for kept in self._kept.values():
            if kept.token != token:
                continue
            if now >= kept.replaced + REPLACED_EVERY_S:
                kept.until = kept.replaced = now
            else:
                kept.until = min(kept.until, kept.replaced + REPLACED_EVERY_S)

    def _of(self, key: Key) -> _Kept:
        kept = self._kept.pop(key, None) or _Kept()
        self._kept[key] = kept  # now the newest
        if len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]
        return kept

    async def _renew(self, key: Key, kept: _Kept) -> None:
        """Ask, unless somebody did while we waited."""
        now = self._now_s()
        if kept.token is not None and now < kept.until:
            return
        if kept.failed is not None and now < kept.again:
            raise _again(kept.failed)
        kept.token = None
        try:
            granted = await self._ask(key)
        except GatewayError as error:
            kept.failed, kept.again = error, now + PAUSE_S
            raise
        life = min(granted.lifetime_s, LONGEST_S)
        kept.token, kept.failed = granted.token, None
        kept.until = now + max(1, life - min(_MARGIN_S, life // 4))

    async def _ask(self, key: Key) -> Granted:
        try:
            async with asyncio.timeout(ASK_S):
                return await self._grant(key)
        except TimeoutError:
            raise TokenRefused(f"no token within {ASK_S:g} s") from None


def _again(error: GatewayError) -> GatewayError:
    """The same failure, for somebody else."""
    if isinstance(error, ConsentNeeded):
        return ConsentNeeded(error.server, error.url)
    return TokenRefused(str(error))


class GrantedAuthorization:
    """What requests to one server are sent with.

    per_caller  whether callers have tokens of their own; else all go by the gateway's
    """

    def __init__(
        self,
        grant: Callable[[Caller | None], Awaitable[Granted]],
        now_s: Callable[[], int],
        *,
        per_caller: bool,
    ) -> None:
        self.per_caller = per_caller
        self._tokens = GrantedTokens(grant, now_s)

    async def value(self, caller: Caller | None) -> str:
        """`Bearer` and the token for that caller. Raises GatewayError when there is none."""
        return f"Bearer {await self._tokens.get(caller if self.per_caller else None)}"

    def refused(self, value: str) -> None:
        """Replace it before the next call."""
        self._tokens.refused(value.removeprefix("Bearer "))

"""Granted: authorizations whose tokens are asked for, kept for a while, and asked for again.

A token is kept for whom it was made, the caller or the gateway itself, until shortly before its
end. At most one request for it is under way, and after a refusal the next waits a little. A token
that the server does not take any more is replaced for the next call; no call is sent twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gateway.errors import GatewayError, TokenRefused
from gateway.links.link import Caller
from gateway.links.oauth_client import Granted

MOST = 1000
"""Callers of one server whose tokens are kept; of more, the one that waited longest goes."""

LONGEST_S = 3600
REPLACED_EVERY_S = 30
PAUSE_S = 2
ASK_S = 15.0

_MARGIN_S = 60


@dataclass(slots=True)
class _Kept:
    """What is known for one caller; times are seconds since 1970.

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


class GrantedTokens:
    """The tokens for one server.

    grant       asks for one; None: for the gateway itself
    per_caller  whether callers have tokens of their own; else all go by the gateway's
    now_s       seconds since 1970, by the log's clock
    """

    def __init__(
        self,
        grant: Callable[[Caller | None], Awaitable[Granted]],
        now_s: Callable[[], int],
        *,
        per_caller: bool,
        most: int = MOST,
    ) -> None:
        self.per_caller = per_caller
        self._grant = grant
        self._now_s = now_s
        self._most = most
        self._kept: dict[Caller | None, _Kept] = {}

    async def value(self, caller: Caller | None) -> str:
        """`Bearer` and the token for that caller. Raises GatewayError when there is none."""
        caller = caller if self.per_caller else None
        kept = self._of(caller)
        if kept.token is None or self._now_s() >= kept.until:
            async with kept.asking:
                await self._renew(caller, kept)
        return f"Bearer {kept.token}"

    def refused(self, value: str) -> None:
        """Ask for another token before the next call, unless that was done just now."""
        now = self._now_s()
        for kept in self._kept.values():
            if f"Bearer {kept.token}" != value:
                continue
            if now >= kept.replaced + REPLACED_EVERY_S:
                kept.until = kept.replaced = now
            else:
                kept.until = min(kept.until, kept.replaced + REPLACED_EVERY_S)

    def _of(self, caller: Caller | None) -> _Kept:
        kept = self._kept.pop(caller, None) or _Kept()
        self._kept[caller] = kept  # now the newest
        if len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]
        return kept

    async def _renew(self, caller: Caller | None, kept: _Kept) -> None:
        """Ask, unless somebody did while we waited."""
        now = self._now_s()
        if kept.token is not None and now < kept.until:
            return
        if kept.failed is not None and now < kept.again:
            raise TokenRefused(str(kept.failed))
        kept.token = None
        try:
            granted = await self._ask(caller)
        except GatewayError as error:
            kept.failed, kept.again = error, now + PAUSE_S
            raise
        life = min(granted.lifetime_s, LONGEST_S)
        kept.token, kept.failed = granted.token, None
        kept.until = now + max(1, life - min(_MARGIN_S, life // 4))

    async def _ask(self, caller: Caller | None) -> Granted:
        try:
            async with asyncio.timeout(ASK_S):
                return await self._grant(caller)
        except TimeoutError:
            raise TokenRefused(f"no token within {ASK_S:g} s") from None

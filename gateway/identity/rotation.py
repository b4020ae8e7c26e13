"""Rotation: a new key signs from now on, and the old ones go once nothing of theirs is still good.

Nobody is refused on the way: an old key verifies until the last token that it signed can be neither
used nor renewed. Making a key and dropping one are entries before they are facts. What another
gateway made of shared keys counts at once, and is recorded here after that.
"""

import asyncio

import structlog

from audit.canonical import Json
from audit.errors import AuditUnavailable
from gateway.identity.errors import KeyFileRefused, TooManyKeys
from gateway.identity.keys import KeySet, SigningKey
from gateway.identity.minting import Record

MAX_KEYS = 8
"""Keys at a time: whoever has to try them all must not be kept busy."""

FOLLOW_EVERY_S = 0.25

log = structlog.get_logger(__name__)


class Rotation:
    """Changes the keys that access tokens are signed with.

    kept_s  how long after its last signature a key is needed: twice the longest life of a token
            (it can be renewed for as long as it lived), and the skew
    """

    def __init__(self, keys: KeySet, record: Record, *, kept_s: int) -> None:
        self._keys = keys
        self._record = record
        self._kept_s = kept_s
        self._recorded = {key.id for key in keys.all()}
        self._turn = asyncio.Lock()

    async def rotate(self, now_s: int, *, by: str, source: str) -> SigningKey:
        """Make a key, and sign with it from now on.

        Raises TooManyKeys, KeyFileRefused, OSError and AuditUnavailable: then nothing changes.
        """
        async with self._turn:
            await self._take_over()
            if len(self._keys.all()) >= MAX_KEYS:
                raise TooManyKeys(f"there are {MAX_KEYS} keys: wait until the oldest has retired")
            key = self._keys.make(now_s)
            entry: dict[str, Json] = {
                "use": "tokens",
                "key": key.id,
                "replaces": self._keys.active.id,
                "by": by,
                "source": source,
            }
            await self._record("key.rotated", entry)
            self._recorded.add(key.id)
            self._keys.adopt(key)
            return key

    async def retire(self, now_s: int) -> None:
        """Drop the keys that verify nothing any more.

        Raises KeyFileRefused, OSError and AuditUnavailable; they are kept.
        """
        async with self._turn:
            await self._take_over()
            before_s = now_s - self._kept_s
            for key in self._keys.replaced(before_s):
                await self._record("key.retired", {"use": "tokens", "key": key.id})
                self._recorded.discard(key.id)
            self._keys.retire(before_s)

    async def follow(self) -> None:
        """Take over what other gateways have made of the keys, where these are shared.

        Raises KeyFileRefused and OSError: the keys stay as they were; AuditUnavailable: it counts,
        and is recorded the next time.
        """
        async with self._turn:
            await self._take_over()

    async def run(self) -> None:
        """Follow until cancelled, so that all sign with the newest key within a second."""
        trouble: str | None = None
        while True:
            try:
                await self.follow()
                trouble = None
            except (KeyFileRefused, OSError, AuditUnavailable) as error:
                if trouble != str(error):
                    log.error("keys.not_followed", reason=str(error))
                trouble = str(error)
            await asyncio.sleep(FOLLOW_EVERY_S)

    async def _take_over(self) -> None:
        if not self._keys.shared:
            return
        self._keys.refresh()
        found = {key.id for key in self._keys.all()}
        for key_id in sorted(self._recorded ^ found):
            entry: dict[str, Json] = {"use": "tokens", "key": key_id, "known": key_id in found}
            await self._record("key.heard", entry)
            self._recorded ^= {key_id}

"""Rotation: a new key signs from now on, and the old ones go once nothing of theirs is still good.

Nobody is refused on the way: an old key verifies until the last token that it signed can be neither
used nor renewed. Making a key and dropping one are entries before they are facts.
"""

from audit.canonical import Json
from gateway.identity.errors import TooManyKeys
from gateway.identity.keys import KeySet, SigningKey
from gateway.identity.minting import Record

MAX_KEYS = 8
"""Keys at a time: whoever has to try them all must not be kept busy."""


class Rotation:
    """Changes the keys that access tokens are signed with.

    kept_s  how long after its last signature a key is needed: twice the longest life of a token
            (it can be renewed for as long as it lived), and the skew
    """

    def __init__(self, keys: KeySet, record: Record, *, kept_s: int) -> None:
        self._keys = keys
        self._record = record
        self._kept_s = kept_s

    async def rotate(self, now_s: int, *, by: str, source: str) -> SigningKey:
        """Make a key, and sign with it from now on.

        Raises TooManyKeys, and AuditUnavailable: then nothing changes.
        """
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
        self._keys.adopt(key)
        return key

    async def retire(self, now_s: int) -> None:
        """Drop the keys that verify nothing any more. Raises AuditUnavailable; they are kept."""
        before_s = now_s - self._kept_s
        for key in self._keys.replaced(before_s):
            await self._record("key.retired", {"use": "tokens", "key": key.id})
        self._keys.retire(before_s)

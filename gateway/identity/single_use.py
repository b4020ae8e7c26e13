"""What may be used once: signed statements of which a second copy is a replay.

A room of the state, filled from entries `assertion.used`: a statement that was used stays used
across a restart. Each is remembered until it would be refused for its age alone, and nobody can
make the room grow without end: whoever has too many under way waits.
"""

from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from typing import cast

from audit.canonical import Json
from gateway.identity.errors import OAuthError
from gateway.recorder import Recorder

MAX_PER_OWNER = 1024
"""Statements of one client that are remembered at a time."""


class SingleUse:
    """Statements that were used and are not too old yet, by the digest of owner and id.

    changed  digests whose row is no longer as last stored
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._used: dict[str, tuple[str, int]] = {}  # owner, and the second it may be forgotten
        self._owned: Counter[str] = Counter()
        self._under_way: dict[str, str] = {}  # digest -> owner
        self.changed: set[str] = set()

    async def use(self, owner: str, statement: str, *, until_s: int, source: str) -> bool:
        """Use a statement up; False when it was used before, or is being used right now.

        owner      client whose statement it is, authenticated by it
        statement  its id, as its owner made it
        until_s    from when it is refused for its age

        Raises OAuthError (`slow_down`) when the owner has too many, and AuditUnavailable.
        """
        digest = sha256(f"{owner}\0{statement}".encode("utf-8", "surrogatepass")).hexdigest()
        if digest in self._used or digest in self._under_way:
            return False
        at_once = sum(other == owner for other in self._under_way.values())
        if self._owned[owner] + at_once >= MAX_PER_OWNER:
            raise OAuthError("slow_down", "too many assertions at a time", retry_after=60)
        self._under_way[digest] = owner  # no await lies between the look and this
        fields: dict[str, Json] = {
            "assertion": digest,
            "until": until_s,
            "by": owner,
            "source": source,
        }
        try:
            await self._recorder.write("assertion.used", fields)
        finally:
            del self._under_way[digest]
        return True

    def forget(self, now_s: int) -> None:
        """Drop what is refused for its age by now."""
        for digest, (owner, until_s) in list(self._used.items()):
            if until_s < now_s:
                del self._used[digest]
                self._owned[owner] -= 1
                self.changed.add(digest)
        self._owned = +self._owned

    def used(self, body: Mapping[str, Json]) -> None:
        """Entry `assertion.used`."""
        digest = cast("str", body["assertion"])
        self._keep(digest, cast("str", body["by"]), cast("int", body["until"]))
        self.changed.add(digest)

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one statement; None when it is forgotten."""
        if key not in self._used:
            return None
        owner, until_s = self._used[key]
        return {"owner": owner, "until": until_s}

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        self._keep(key, cast("str", row["owner"]), cast("int", row["until"]))

    def _keep(self, digest: str, owner: str, until_s: int) -> None:
        if digest not in self._used:
            self._owned[owner] += 1
        self._used[digest] = owner, until_s

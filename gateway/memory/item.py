"""Items: one remembered text, without the text: who wrote it, after what contact, until when.

The entry `memory.put` is the item. Its key and its text are sealed under a key of the place where
it belongs, the text beside the entry and the key within it, so that a start need not read every
text to know what is there.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from audit.canonical import Json
from audit.sealed import Sealed
from gateway.memory.place import Place


@dataclass(frozen=True, slots=True)
class Item:
    """One text that is remembered; times in seconds since the epoch.

    id       of the entry `memory.put`
    index    of it in the log, where the text lies sealed
    agent    who wrote it, for `user`, in `session`
    labels   what a reader takes on
    expires  None: it lives as long as its place
    size     bytes of key and text
    key      sealed; `text` is too, and its payload stands in the log alone
    """

    id: str
    index: int
    place: Place
    agent: str
    user: str | None
    session: str
    labels: frozenset[str]
    provenance: str
    written: int
    expires: int | None
    size: int
    key: Sealed = field(repr=False)
    commit: str
    length: int

    @classmethod
    def from_entry(cls, body: Mapping[str, Json], index: int) -> "Item":
        """The item that entry `index`, a `memory.put`, begins."""
        actor = cast("Mapping[str, str | None]", body["actor"])
        text = cast("Mapping[str, Json]", body["text"])
        return cls(
            id=cast("str", body["id"]),
            index=index,
            place=Place.from_json(body["place"]),
            agent=cast("str", actor["agent"]),
            user=actor["sub"],
            session=cast("str", body["session"]),
            labels=frozenset(cast("list[str]", body["labels"])),
            provenance=cast("str", body["provenance"]),
            written=cast("int", body["ts"]) // 1_000_000,
            expires=cast("int | None", body["expires"]),
            size=cast("int", body["size"]),
            key=_read_sealed(body["key"]),
            commit=cast("str", text["commit"]),
            length=cast("int", text["len"]),
        )

    def lives(self, now_s: int) -> bool:
        """Whether its time is not over."""
        return self.expires is None or now_s < self.expires


def sealed_to_json(sealed: Sealed) -> dict[str, Json]:
    """Something sealed, with its ciphertext, as JSON."""
    payload = b64encode(sealed.payload).decode()
    return {"commit": sealed.commit, "len": sealed.length, "sealed": payload}


def _read_sealed(value: Json) -> Sealed:
    members = cast("Mapping[str, Json]", value)
    payload = b64decode(cast("str", members["sealed"]))
    return Sealed(cast("str", members["commit"]), cast("int", members["len"]), payload)

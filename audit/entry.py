"""Entries: what is recorded, the bytes it becomes, and the receipt for it.

An entry's bytes are sorted-key JSON without floats and with ASCII keys only, so that the stored
bytes are the canonical ones (RFC 8785) and the leaf is hashed over them as they are. The log adds
six members to the caller's fields:

    v     1, the version of this form
    id    UUIDv7 (RFC 9562), made by the log before anything is sealed for the entry
    ts    microseconds since 1970, never less than in the entry before
    boot  16 hex digits, new for every uninterrupted run of the writer
    seq   0, 1, 2, ... within one boot, so that a gap shows even in an export
    kind  what the entry is about
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any, Self

import orjson

from audit.canonical import Json
from audit.errors import EntryRefused, MalformedPin
from audit.merkle import HASH_BYTES
from audit.sealed import Sealed
from audit.value import value_type

VERSION = 1
MAX_ENTRY_BYTES = 16 * 1024
"""By choice; the published bundles could hold 65,535 (C2SP tlog-tiles)."""

RESERVED_FIELDS = frozenset({"v", "id", "ts", "boot", "seq", "kind"})

_RECEIPT = re.compile(r"(?P<origin>[^\s+]+);(?P<index>0|[1-9][0-9]{0,18});(?P<leaf>[0-9a-f]{64})")
_OPTIONS = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)


@value_type
class Record:
    """What a caller wants recorded.

    id      from `Log.new_id`, because a payload is sealed for it beforehand
    kind    what it is about, such as `decision`
    fields  members beside the six that the log adds: no floats, ASCII keys; not to be changed
    sealed  an erasable payload that becomes durable together with the entry
    """

    id: str
    kind: str
    fields: Mapping[str, Json]
    sealed: Sealed | None = None


@value_type
class Entry:
    """A durable entry: its position, the leaf hash, its bytes, and the sealed payload beside it.

    members  what its bytes say, where they have just been made from that
    """

    index: int
    leaf: bytes
    raw: bytes
    sealed: bytes | None = None
    members: dict[str, Any] | None = field(default=None, compare=False, repr=False)

    @property
    def body(self) -> dict[str, Any]:
        """What its bytes say; not to be changed."""
        if self.members is not None:
            return self.members
        body: dict[str, Any] = orjson.loads(self.raw)
        return body


@value_type
class Receipt:
    """The promise that an entry is durable; written `<origin>;<index>;<leaf in hex>`.

    The written form is a pin (`audit.pin`): whoever keeps one can show a rollback.
    """

    origin: str
    index: int
    leaf: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the written form. Raises MalformedPin."""
        match = _RECEIPT.fullmatch(text)
        if not match:
            raise MalformedPin("a receipt is <origin>;<index>;<64 lower-case hex digits>")
        return cls(match["origin"], int(match["index"]), bytes.fromhex(match["leaf"]))

    def __post_init__(self) -> None:
        assert len(self.leaf) == HASH_BYTES, "a leaf is a SHA-256 hash"

    def __str__(self) -> str:
        return f"{self.origin};{self.index};{self.leaf.hex()}"


def encode(record: Record, *, ts: int, boot: str, seq: int) -> tuple[bytes, dict[str, Any]]:
    """The bytes of the entry that `record` becomes, and the members that they say.

    Raises EntryRefused for a float, an integer beyond +-(2^53-1), a key that is not ASCII or
    belongs to the log, a type JSON does not have, or more than MAX_ENTRY_BYTES.
    """
    if not RESERVED_FIELDS.isdisjoint(record.fields):
        raise EntryRefused(f"{record.kind}: a field is one that the log alone sets")
    body = {
        **record.fields,
        "boot": boot,
        "id": record.id,
        "kind": record.kind,
        "seq": seq,
        "ts": ts,
        "v": VERSION,
    }
    try:
        written = orjson.dumps(body, option=_OPTIONS)  # first: it ends on a value that holds itself
        _check_values(record.fields)
        if not written.isascii():
            _check_keys(body)
    except (orjson.JSONEncodeError, TypeError) as error:
        raise EntryRefused(f"{record.kind}: {error}") from None
    if len(written) > MAX_ENTRY_BYTES:
        raise EntryRefused(f"{record.kind}: {len(written)} bytes, at most {MAX_ENTRY_BYTES} fit")
    # A copy of the right size, since entries are kept for a while (`audit.recent`): what orjson
    # returns keeps 8 KiB of the heap from others, however short it is.
    return bytes(memoryview(written)), body


def _check_values(fields: Mapping[str, Json]) -> None:
    """Refuse floats and other types; integers and depth were bounded in writing."""
    parts: list[Iterable[Any]] = [fields.values()]
    for part in parts:  # those within it follow behind
        for value in part:
            kind = type(value)
            if kind is str or kind is int:
                continue
            if kind is dict:
                if value:
                    parts.append(value.values())
            elif kind is list:
                if value:
                    parts.append(value)
            elif value is not None and kind is not bool:
                raise EntryRefused(f"{kind.__name__} has no place in an entry")


def _check_keys(part: dict[str, Json] | list[Json]) -> None:
    if isinstance(part, dict) and not "".join(part).isascii():
        raise EntryRefused("a key is not ASCII")
    for value in part.values() if isinstance(part, dict) else part:
        if isinstance(value, dict | list):
            _check_keys(value)

"""Sources: the strict part of YAML that policy files are written in, with the place of every value.

Read is one document of mappings, lists, text, numbers, true, false, null and dates, straight from
the parser's events. What YAML has beside that means something else to the next reader (or to the
next YAML), so it is refused: anchors, aliases, merge keys, tags, directives, duplicate keys, `yes`
and `on`, `012` and `0x1F`, `1_000`, `1:30`, `.inf`, `~`; and, anywhere in the file, characters
that do not show.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from types import MappingProxyType

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from policies.errors import PolicyInvalid
from policies.finding import Finding, Position

MAX_BYTES = 4 << 20
MAX_DEPTH = 32

Path = tuple[str | int, ...]
"""Keys and list indices from the top of the file: ("rules", 3, "when")."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key and its value begin; 0-based.

    text  the column of the value's first character, behind a quote; None when the value is text
          that spans lines
    """

    key: tuple[int, int]
    value: tuple[int, int]
    text: int | None


@dataclass(frozen=True, slots=True)
class Source:
    """One file: its name as the user gave it, its bytes, its value, and where each part stands."""

    file: str
    raw: bytes = field(repr=False)
    value: object = field(repr=False)
    places: Mapping[Path, Place] = field(repr=False)

    @classmethod
    def read(cls, file: str, raw: bytes) -> "Source":
        """Read one file. Raises PolicyInvalid with the first thing that is no strict YAML."""
        text = _decode(file, raw)
        reader = _Reader(file, text)
        try:
            value = reader.document()
        except yaml.YAMLError as error:
            raise _refused_by_parser(file, error) from None
        return cls(file, raw, value, MappingProxyType(reader.places))

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes, in hex."""
        return sha256(self.raw).hexdigest()

    def at(self, *path: str | int, offset: int = 0) -> Position:
        """Where the value at `path` begins, or the nearest part around it that exists.

        offset  0-based character within a text; only kept where the text stands on one line
        """
        place = self._place(path)
        line, column = place.value
        if offset and place.text is not None:
            column = place.text + offset
        return Position(self.file, line + 1, column + 1)

    def at_key(self, *path: str | int) -> Position:
        """Where the key of the value at `path` begins."""
        line, column = self._place(path).key
        return Position(self.file, line + 1, column + 1)

    def _place(self, path: Path) -> Place:
        for end in range(len(path), -1, -1):
            place = self.places.get(path[:end])
            if place is not None:
                return place
        return Place((0, 0), (0, 0), None)


class _Reader:
    """Builds values from events; the recursion is bounded by MAX_DEPTH."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.places: dict[Path, Place] = {}
        # libyaml, which every wheel of PyYAML has, is ten times as fast as its Python twin.
        self._events = yaml.parse(text, Loader=yaml.CSafeLoader)

    def document(self) -> object:
        next(self._events)  # start of the stream
        start = next(self._events)
        if isinstance(start, StreamEndEvent):
            raise self._refuse(start, "policy.empty", "the file is empty")
        if isinstance(start, DocumentStartEvent) and (start.version or start.tags):
            raise self._refuse(start, "policy.yaml", "found a directive (%), none is accepted")
        first = next(self._events)
        value = self._value(first, (), _mark(first))
        next(self._events)  # end of the document
        after = next(self._events)
        if not isinstance(after, StreamEndEvent):
            raise self._refuse(after, "policy.yaml", "found a second document, expected one a file")
        return value

    def _value(self, event: Event, path: Path, key: tuple[int, int]) -> object:
        self._refuse_references(event)
        self.places[path] = Place(key, _mark(event), _text_column(event))
        match event:
            case ScalarEvent():
                return self._scalar(event)
            case MappingStartEvent():
                return self._mapping(event, path)
            case _:
                return self._list(event, path)

    def _mapping(self, start: Event, path: Path) -> dict[str, object]:
        self._refuse_depth(start, path)
        members: dict[str, object] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._key(event)
            if key in members:
                first = self.places[(*path, key)].key[0] + 1
                message = f"the key {key!r} is already stated on line {first}"
                raise self._refuse(event, "policy.duplicate-key", message)
            members[key] = self._value(next(self._events), (*path, key), _mark(event))
        return members

    def _list(self, start: Event, path: Path) -> list[object]:
        self._refuse_depth(start, path)
        items: list[object] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            items.append(self._value(event, (*path, len(items)), _mark(event)))
        return items

    def _key(self, event: Event) -> str:
        self._refuse_references(event)
        if not isinstance(event, ScalarEvent):
            raise self._refuse(event, "policy.yaml", "found a list or mapping as a key")
        if not event.style and event.value == "<<":
            raise self._refuse(event, "policy.yaml", "found a merge key (<<), none is accepted")
        key = self._scalar(event)
        if not isinstance(key, str):
            message = f"the key {event.value} is not text: put it in quotes"
            raise self._refuse(event, "policy.yaml", message)
        return key

    def _scalar(self, event: ScalarEvent) -> object:
        if event.style or not _NO_TEXT.fullmatch(event.value):  # quoted, a block, or plainly text
            return event.value
        for form, read in _PLAIN:
            if form.fullmatch(event.value):
                return self._plain(event, read)
        return event.value

    def _plain(self, event: ScalarEvent, read: object) -> object:
        if isinstance(read, str):
            raise self._refuse(event, "policy.implicit", f"found {event.value[:80]}: {read}")
        assert callable(read)
        try:
            value: object = read(event.value)
        except ValueError:
            message = f"found {event.value[:80]}, which is no such day or number"
            raise self._refuse(event, "policy.implicit", message) from None
        return value

    def _refuse_references(self, event: Event) -> None:
        if isinstance(event, AliasEvent):
            raise self._refuse(event, "policy.yaml", "found an alias (*), none is accepted")
        if getattr(event, "anchor", None) is not None:
            raise self._refuse(event, "policy.yaml", "found an anchor (&), none is accepted")
        if getattr(event, "tag", None) is not None:
            raise self._refuse(event, "policy.yaml", "found a tag (!), none is accepted")

    def _refuse_depth(self, event: Event, path: Path) -> None:
        if len(path) >= MAX_DEPTH:
            raise self._refuse(event, "policy.yaml", f"nested deeper than {MAX_DEPTH}")

    def _refuse(self, event: Event, code: str, message: str) -> PolicyInvalid:
        line, column = _mark(event)
        return PolicyInvalid([Finding(code, message, Position(self.file, line + 1, column + 1))])


_QUOTE = "in YAML that may be a truth value: write true or false, or put it in quotes"
_NUMBER = "numbers are plain decimals here: write it so, or put it in quotes"

_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"

# How text without quotes is read, first match wins: a function, or the reason to refuse it.
_PLAIN = tuple(
    (re.compile(form), read)
    for form, read in [
        (r"true", lambda _: True),
        (r"false", lambda _: False),
        (r"|null", lambda _: None),
        (r"(?i:true|false|yes|no|on|off)", _QUOTE),
        (r"(?i:null)|~", "write null, or put it in quotes"),
        (r"-?(0|[1-9][0-9]{0,30})", int),
        (r"-?(0|[1-9][0-9]{0,15})\.[0-9]{1,17}", float),
        (_DAY, date.fromisoformat),
        (_DAY + r"T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})", datetime.fromisoformat),
        (r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?", "write 2027-03-31 or use quotes"),
        (r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?", _NUMBER),
        (r"[-+]?0[xob]?[0-9A-Fa-f_]+|[-+]?\.?[0-9][0-9_.]*([eE][-+]?[0-9]+)?", _NUMBER),
        (r"[-+]?\.(?i:inf|nan)", _NUMBER),
        (r"=", "put it in quotes"),
    ]
)
# Most of what stands in a file is nothing of these, which is told at once.
_NO_TEXT = re.compile("|".join(f"(?:{form.pattern})" for form, _ in _PLAIN))


def _mark(event: Event) -> tuple[int, int]:
    mark = event.start_mark
    assert mark is not None  # the parser marks every event
    return mark.line, mark.column


def _text_column(event: Event) -> int | None:
    line, column = _mark(event)
    if not isinstance(event, ScalarEvent) or event.end_mark is None or event.end_mark.line != line:
        return None
    return column + (event.style in {"'", '"'})


def _decode(file: str, raw: bytes) -> str:
    if len(raw) > MAX_BYTES:
        message = f"the file has {len(raw)} bytes, at most {MAX_BYTES} are read"
        raise PolicyInvalid([Finding("policy.too-large", message, Position(file, 1, 1))])
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start)
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1)
        at = Position(file, line + 1, column + 1)
        raise PolicyInvalid([Finding("policy.encoding", "found no UTF-8", at)]) from None
    _refuse_hidden(file, text)
    return text


def _refuse_hidden(file: str, text: str) -> None:
    """What a reviewer cannot see, the file may not hold: not even in a comment (CVE-2021-42574)."""
    for match in _SUSPECT.finditer(text):
        if unicodedata.category(match[0]) in _HIDDEN:
            line = text.count("\n", 0, match.start())
            column = match.start() - (text.rfind("\n", 0, match.start()) + 1)
            message = f"found U+{ord(match[0]):04X}, a character that does not show"
            at = Position(file, line + 1, column + 1)
            raise PolicyInvalid([Finding("policy.hidden-character", message, at)])


_SUSPECT = re.compile(r"[^ -~\n\t\r]|\r(?!\n)")
_HIDDEN = {"Cc", "Cf", "Cn", "Co", "Zl", "Zp", "Zs"}  # Unicode general categories


def _refused_by_parser(file: str, error: yaml.YAMLError) -> PolicyInvalid:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    at = Position(file, mark.line + 1, mark.column + 1) if mark else Position(file, 1, 1)
    problem = getattr(error, "problem", None) or "not readable as YAML"
    return PolicyInvalid([Finding("policy.yaml", f"no YAML: {problem}", at)])

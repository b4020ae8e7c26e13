"""Result values: what stands in a result, and which of it may be relied upon.

A tool may be declared trusted as a whole, or by part ("rows[].id"). Parts are members of JSON: of
structured content, or of a text that is JSON from its first sign to its last. In any other text a
stranger who writes one part could write what looks like another, so such a text is relied upon as a
whole or not at all.

A *record* is what stands together in one object of JSON, or in one block of lines "name: value" of
a text that may be relied upon. Members that may not be relied upon are no part of it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from audit import canonical
from audit.canonical import Json
from audit.errors import NotStrict
from policies.snapshot import ToolRule

Scalar: TypeAlias = str | int | float
Record: TypeAlias = tuple[tuple[str, Scalar], ...]
"""Members by name; one name may occur several times, for a list."""

_NO_WORDS = frozenset({"data", "blob", "type", "mimeType", "isError", "resultType"})
_MOST_RECORDS = 10_000
_LINE = re.compile(r"(\s*)(- )?([A-Za-z_][\w -]{0,40}): *(.*)")


@dataclass(slots=True)
class Reading:
    """What was read in one result.

    relied   values that may be relied upon
    others   values that may not, and names of members, which may be anything
    records  what stands together, of values that may be relied upon
    labels   of parts that are there and hold something
    """

    relied: list[Scalar] = field(default_factory=list)
    others: list[Scalar] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)


def read_result(result: Mapping[str, Json], rule: ToolRule) -> Reading:
    """Read a CallToolResult by what is declared of its tool; an error has no parts."""
    reading = Reading()
    trusted = rule.result == "trusted"
    if trusted or result.get("isError") is True or not (rule.parts or rule.trust):
        reading.labels.update(*rule.parts.values())
        _read_whole(result, reading, relied=trusted)
        return reading
    structured = result.get("structuredContent")
    walk = _Walk(rule, reading)
    if structured is not None:
        walk.document(structured)
    for name, value in result.items():
        if name == "content":
            _read_content(value, structured, walk)
        elif name not in {*_NO_WORDS, "structuredContent"}:
            walk.unnamed(value)
    return reading


def read_text(text: str, rule: ToolRule) -> Reading:
    """Read a text of the server that is no result, as the message of an error."""
    return read_result({"isError": True, "text": text}, rule)


# -- without parts -----------------------------------------------------------------------------


def _read_whole(result: Mapping[str, Json], reading: Reading, *, relied: bool) -> None:
    values = reading.relied if relied else reading.others
    for document in _documents(result):
        values.extend(scalars(document))
        if relied and len(reading.records) < _MOST_RECORDS:
            reading.records.extend(_records(document))


def _documents(result: Mapping[str, Json]) -> Iterator[Json]:
    """Everything that is said, texts that are JSON as what they say, nothing twice."""
    structured = result.get("structuredContent")
    for name, value in result.items():
        if name != "content":
            yield value if name not in _NO_WORDS else None
            continue
        for block in value if isinstance(value, list) else [value]:
            said = _json_of(block)
            if said is None:
                yield _text_of(block)
            elif said != structured:
                yield said


def _text_of(block: Json) -> Json:
    """What a text block says; any other block as it is."""
    is_text = isinstance(block, dict) and block.keys() == {"type", "text"}
    return block["text"] if is_text and isinstance(block, dict) else block


def _json_of(block: Json) -> Json:
    """The JSON that a text block holds; None when it is no such block."""
    text = block.get("text") if isinstance(block, dict) else None
    if not isinstance(text, str) or text.lstrip()[:1] not in {"{", "["}:
        return None
    try:
        return canonical.read(text.encode("utf-8", "surrogatepass"), max_bytes=len(text) * 4)
    except NotStrict:
        return None


def scalars(value: Json, name: str = "") -> Iterator[Scalar]:
    """Every text and number in a JSON value, names of members among them."""
    match value:
        case bool() | None:
            return
        case str() | int() | float():
            if name not in _NO_WORDS:
                yield value
        case list():
            for each in value:
                yield from scalars(each, name)
        case dict():
            for member, each in value.items():
                yield member
                yield from scalars(each, member)


def _records(value: Json) -> Iterator[Record]:
    match value:
        case list():
            for each in value:
                yield from _records(each)
        case dict():
            members = tuple(_members(value))
            if len(members) > 1:
                yield members
            for each in value.values():
                yield from _records(each)
        case str() if "\n" in value:
            yield from _blocks(value.split("\n"))
        case _:
            return


def _members(value: Mapping[str, Json]) -> Iterator[tuple[str, Scalar]]:
    for name, each in value.items():
        for one in each if isinstance(each, list) else (each,):
            if isinstance(one, str | int | float) and not isinstance(one, bool):
                yield name, one


def _blocks(lines: Iterable[str]) -> Iterator[Record]:
    """Records of a text: each begins with a dash, or after an empty line."""
    members: list[tuple[str, Scalar]] = []
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None or found[2]:
            if len(members) > 1:
                yield tuple(members)
            members = []
        if found is not None and found[4]:
            members.append((found[3], found[4].strip("'\" ")))
    if len(members) > 1:
        yield tuple(members)


# -- by part -----------------------------------------------------------------------------------


class _Walk:
    """Through one document, knowing at each place which part it is in."""

    def __init__(self, rule: ToolRule, reading: Reading) -> None:
        self._rule, self._reading = rule, reading

    def document(self, value: Json) -> None:
        self._value(value, "", relied=False)

    def unnamed(self, value: Json) -> None:
        """What no part can name: it carries all labels, and may not be relied upon."""
        found = list(scalars(value))
        if found:
            self._reading.others.extend(found)
            self._reading.labels.update(*self._rule.parts.values())

    def _value(self, value: Json, path: str, *, relied: bool) -> None:
        trust = self._rule.trust.get(path)
        relied = relied if trust is None else trust == "trusted"
        labels = self._rule.parts.get(path)
        if labels and value not in ("", None, [], {}):
            self._reading.labels.update(labels)
        match value:
            case dict():
                self._object(value, path, relied=relied)
            case list():
                for each in value:
                    self._value(each, f"{path}[]", relied=relied)
            case bool() | None:
                return
            case _:
                (self._reading.relied if relied else self._reading.others).append(value)

    def _object(self, value: Mapping[str, Json], path: str, *, relied: bool) -> None:
        start = len(self._reading.relied)
        members: list[tuple[str, Scalar]] = []
        for name, each in value.items():
            self._reading.others.append(name)
            before = len(self._reading.relied)
            self._value(each, f"{path}.{name}" if path else name, relied=relied)
            if not _holds_objects(each):
                members += [(name, one) for one in self._reading.relied[before:]]
        if len(members) > 1 and len(self._reading.relied) > start:
            self._reading.records.append(tuple(members))


def _holds_objects(value: Json) -> bool:
    """What is in them stands in records of their own."""
    if isinstance(value, list):
        return any(isinstance(each, dict | list) for each in value)
    return isinstance(value, dict)


def _read_content(content: Json, structured: Json, walk: _Walk) -> None:
    for block in content if isinstance(content, list) else [content]:
        said = _json_of(block)
        if said is None:
            walk.unnamed(block)
        elif said != structured:
            walk.document(said)

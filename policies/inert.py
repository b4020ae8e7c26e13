"""Inert text: what strangers wrote, made so that it can be shown to a person.

Control characters, terminal codes, characters that change the direction of writing and whatever
else does not show are written as escapes; letters that imitate the one beside them are found. The
terminal and the pages of the console show strangers' text through here and in no other way.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from policies.text import imitations

Kind = Literal["plain", "hidden", "alike"]

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# No category says that these take no room, or as much as a blank: fillers and selectors.
_EMPTY = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u3164\uffa0\u2800")


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of characters that are shown in one way.

    text  safe to be shown; of what does not show, its escape
    kind  `hidden`: it would not show, `alike`: it looks like another letter
    note  what it really is, or looks like; "" for plain text
    """

    text: str
    kind: Kind = "plain"
    note: str = ""


def inert(text: str) -> str:
    """The text with everything invisible written as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(char) if _is_hidden(char) else char for char in text)


def pieces(text: str) -> Iterator[Piece]:
    """The text from left to right, each part with how it is to be shown; nothing is left out."""
    if text.isascii() and text.isprintable():
        if text:
            yield Piece(text)
        return
    alike = imitations(text)
    marked = ((char, _kind(at, char, alike)) for at, char in enumerate(text))
    for kind, run in groupby(marked, key=lambda each: each[1]):
        chars = "".join(char for char, _ in run)
        if kind == "plain":
            yield Piece(chars)
        elif kind == "hidden":
            yield from (Piece(_escape(char), "hidden", _name(char)) for char in chars)
        else:
            yield from (Piece(char, "alike", _name(char)) for char in chars)


def is_marked(text: str) -> bool:
    """Whether something in the text does not show, or is not what it looks like."""
    return any(piece.kind != "plain" for piece in pieces(text))


def _kind(at: int, char: str, alike: frozenset[int]) -> Kind:
    if _is_hidden(char):
        return "hidden"
    return "alike" if at in alike else "plain"


def _is_hidden(char: str) -> bool:
    if char in _EMPTY or 0xFE00 <= ord(char) <= 0xFE0F or 0xE0100 <= ord(char) <= 0xE01EF:
        return True
    return unicodedata.category(char) in _HIDDEN


def _escape(char: str) -> str:
    return f"\\u{{{ord(char):x}}}"


def _name(char: str) -> str:
    return unicodedata.name(char, f"U+{ord(char):04X}").lower()

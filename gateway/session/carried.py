"""Carried: the addresses, links, accounts and identifiers that stand anywhere in a text.

A target that is the user's is not enough: what a text says may lead elsewhere. Dates, times,
amounts and plain words lead nowhere. Texts are long and mostly plain, so the few signs that
everything carried has one of are looked for first.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gateway.session.normal_form import (
    PIECES,
    accounts,
    form_of_piece,
    is_date,
    is_level,
    levelled,
)

# Everything that is carried has one of these in it. Ends of sentences are no such dots.
_SIGNS = re.compile(r"[@0-9_/~\\]|\.(?! )")
_DOTS = re.compile(r"\.(?! )")
_INNER_DOT = re.compile(r"\.(?! |\s*\Z)")
_SPACE = re.compile(r"\s")
_INNER = re.compile(r"[\w.@:/?#%+~-]+")
_DIGITS = b"0123456789"
_MOST_TO_FIND = 64
_MAY_BE_SPACED = re.compile(r"[0-9][ -][(0-9A-Z]")
_IN_PLAIN_WORDS = bytes(code for code in range(256) if not _SIGNS.match(chr(code)))


_SHORTEST_PATH = 4
_ID = 6
_ID_DIGITS = 3


class Carried(NamedTuple):
    """An address, link, account or identifier within a text.

    form  None: it was spelled so that it may look like another
    """

    form: str | None
    start: int
    end: int


def carried_by(text: str) -> Iterable[Carried]:
    """Every address, link, account and identifier in a text of a call."""
    if not text.isascii() and not is_level(text):
        return tuple(Carried(None, 0, len(text)) for _ in carried_by(_forced(text)))
    left = text.encode("utf-8", "surrogatepass").translate(None, _IN_PLAIN_WORDS)
    signs = left.translate(None, b".")
    if not signs and (not left or not _INNER_DOT.search(text)):
        return ()
    return _found(text, signs, has_dots=len(left) > len(signs))


def is_carrier(form: str) -> bool:
    """Does a form as a whole stand for an address, link, account or identifier?"""
    kind, rest = form[0], form[1:]
    if kind == "w":
        return _is_identifier(rest)
    if kind == "=":
        return len(rest) >= _ID
    return kind in "@/" or (kind == "#" and rest.isdigit() and len(rest) >= _ID)


def is_name(form: str) -> bool:
    """Is it a bare name as `backup_2`: nothing that a program or person could follow by itself?"""
    return form[0] == "w" and form[1:].replace("-", "").replace("_", "").isalnum()


def _found(text: str, signs: bytes, *, has_dots: bool) -> Iterator[Carried]:
    end = 0
    for at in _places(text, signs, has_dots=has_dots):
        if at < end:
            continue
        start = max(text.rfind(" ", end, at), text.rfind("\n", end, at), end - 1) + 1
        space = _SPACE.search(text, at)
        end = space.start() if space else len(text)
        yield from _carriers(text, start, end)
    digits = len(signs) - len(signs.translate(None, _DIGITS))
    if digits > _ID and _MAY_BE_SPACED.search(text):
        for account in accounts(text):
            yield Carried(*account)


def _places(text: str, signs: bytes, *, has_dots: bool) -> Iterable[int]:
    """Where these signs and dots stand, in order. A few are found faster than all are looked
    through.
    """
    if len(signs) > _MOST_TO_FIND:
        return (sign.start() for sign in _SIGNS.finditer(text))
    places = [dot.start() for dot in _DOTS.finditer(text)] if has_dots else []
    for sign in map(chr, set(signs)):
        at = text.find(sign)
        while at >= 0:
            places.append(at)
            at = text.find(sign, at + 1)
    return sorted(places)


def _carriers(text: str, start: int, end: int) -> Iterator[Carried]:
    for piece in PIECES.finditer(text, start, end):
        form = _carrier(piece[0])
        if form:
            yield Carried(form, piece.start(), piece.end())
        else:
            yield from _within(piece)


def _within(piece: re.Match[str]) -> Iterator[Carried]:
    """What a reader may find in a piece that is nothing as a whole, as in `href='//host/x'`."""
    for part in _INNER.finditer(piece[0]):
        form = _carrier(part[0]) if part[0] != piece[0] else None
        if form:
            start = piece.start()
            yield Carried(form, start + part.start(), start + part.end())


def _carrier(piece: str) -> str | None:
    form = form_of_piece(piece)
    if form is None or is_date(form[1:]):
        return None
    is_handle = piece[:1] == "@" and form[0] == "w"
    return form if is_handle or is_carrier(form) else None


def _is_identifier(text: str) -> bool:
    if text[:1] in "/~\\" or text.startswith("../"):
        return len(text) >= _SHORTEST_PATH
    if len(text) < _ID or " " in text:
        return False
    digits = sum(map(text.count, "0123456789"))
    if not digits or is_date(text) or not any(map(str.isalpha, text)):
        return digits >= _ID
    return digits >= _ID_DIGITS or "_" in text


def _forced(text: str) -> str:
    """What a reader may take a text for that is not level; plain enough to be searched.

    A sign that is drawn like none of ours may be taken for a letter, a gap or a slash.
    """
    level = levelled(text)
    if is_level(level):
        return level
    plain = level.encode("ascii", "replace").decode()
    return "\n".join(plain.replace("?", sign) for sign in "x /")

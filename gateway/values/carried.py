"""Carried: the addresses, links, accounts and identifiers that stand anywhere in a text.

A target that is the user's is not enough: what a text says may lead elsewhere. Dates, times,
amounts and plain words lead nowhere. Texts are long and mostly plain, so the few signs that
everything carried has one of are looked for first.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from gateway.values.normal_form import (
    PIECES,
    accounts,
    form_of_piece,
    is_date,
    is_level,
    levelled,
)

# Everything that is carried has one of these in it, or a dot that ends no sentence.
_SIGNS = "@_/~\\0123456789"
_DOTS = re.compile(r"\.\S")
_FROM_SIGN = re.compile(r"(?:[@0-9_/~\\]|\.\S)\S*")
_SPACE = re.compile(r"\s")
_INNER = re.compile(r"[\w.@:/?#%+~-]+")
_MAY_BE_SPACED = re.compile(r"[0-9][ -][(0-9A-Z]")
_FEW = 64
_BETWEEN_TEXTS = " \n"  # of nothing that is carried: what stands in two texts stays apart


_SHORTEST_PATH = 4
_ID = 6
_ID_DIGITS = 3


Forms: TypeAlias = tuple[str | None, ...]


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
    return _found(text)


def forms_carried(texts: Sequence[str], known: Mapping[str, Forms]) -> list[str | None]:
    """The forms of all that several texts carry, which are searched at one go.

    known  what some pieces carry, as `forms_of_piece` says
    """
    if not texts:
        return []
    joined = _BETWEEN_TEXTS.join(texts)
    if not joined.isascii():
        return [each.form for text in texts for each in carried_by(text)]
    few = _few_places(joined)
    forms: list[str | None] = []
    for start, end in _stretches(joined, few):
        piece = joined[start:end]
        forms += known[piece] if piece in known else forms_of_piece(piece)
    return forms + [account.form for account in _spaced(joined, few)]


def forms_of_piece(piece: str) -> Forms:
    """What is carried by a piece of a text that has no blank in it."""
    return tuple([each.form for each in _carriers(piece, 0, len(piece))])


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


def _found(text: str) -> Iterator[Carried]:
    few = _few_places(text)
    for start, end in _stretches(text, few):
        yield from _carriers(text, start, end)
    yield from _spaced(text, few)


def _few_places(text: str) -> list[int] | None:
    """Where signs and inner dots stand, in order; None: there are many. A few are found faster one
    by one than when all of the text is looked through.
    """
    places = [dot.start() for dot in _DOTS.finditer(text)]
    for sign in _SIGNS:
        at = text.find(sign)
        while at >= 0:
            places.append(at)
            if len(places) > _FEW:
                return None
            at = text.find(sign, at + 1)
    return sorted(places)


def _stretches(text: str, few: Iterable[int] | None) -> list[tuple[int, int]]:
    """What stands between blanks around each sign."""
    places = [found.start() for found in _FROM_SIGN.finditer(text)] if few is None else few
    stretches: list[tuple[int, int]] = []
    end = 0
    for at in places:
        if at >= end:
            start = max(text.rfind(" ", end, at), text.rfind("\n", end, at), end - 1) + 1
            space = _SPACE.search(text, at)
            end = space.start() if space else len(text)
            stretches.append((start, end))
    return stretches


def _spaced(text: str, few: list[int] | None) -> Iterator[Carried]:
    """Accounts that are written with blanks, where there are digits enough for one."""
    if few is not None and (len(few) <= _ID or sum(text[at].isdigit() for at in few) <= _ID):
        return
    for start, end in _lines(text, few):
        yield from (Carried(*account) for account in accounts(text, start, end))


def _lines(text: str, few: list[int] | None) -> Iterator[tuple[int, int]]:
    """Lines that hold a digit before a blank; many signs: all of the text."""
    if few is None:
        yield from [(0, len(text))] if _MAY_BE_SPACED.search(text) else []
        return
    end = 0
    for at in few:
        if at >= end and _MAY_BE_SPACED.match(text, at):
            start, end = text.rfind("\n", end, at) + 1, text.find("\n", at)
            end = len(text) if end < 0 else end
            yield start, end


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

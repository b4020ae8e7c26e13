"""The user's words: what they name, and how often.

Few and short, they are kept as they are. A word of them is met by accident more easily than an
account, so what is short counts as an object's id only where it stands behind the name of its kind
("transaction 7", "file no. 13"): neither "June 13" nor "13 files" names file 13.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache

from gateway.values import normal_form
from gateway.values.carried import Forms, forms_of_piece

_BETWEEN = frozenset({"wno", "wnr", "wnum", "wnumber", "wid", "wthe", "wwith"})
_MONTHS = frozenset(
    f"w{name}"
    for month in (
        *("january", "february", "march", "april", "may", "june", "july", "august"),
        *("september", "october", "november", "december"),
    )
    for name in (month, month[:3])
)
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_AMOUNT = re.compile(
    r"(?<![\w.,-])(?:[$€£¥] ?[0-9][0-9,]*(?:\.[0-9]+)?|[0-9][0-9,]*\.[0-9]{2})(?![\w.,]*[0-9])"
)
_NO_KINDS = frozenset(
    """
    id ids uid uuid guid number num no nr key code ref index the of by for to from in on with and
    all get list read find search create add update delete remove set send make show fetch query
    edit new move copy open close write put post cancel change modify recent scheduled most pay
    book
    """.split()  # noqa: SIM905 - to be read and added to
)
_ROUND_WORDS = ",.;:!?()\"'"
_NAMES = 4096  # strangers name members of results


class Words:
    """What a person has said in one session, in the order of saying.

    Agents mostly copy what they were told, so its words are read beforehand, as they are written.

    forms   of all single values, with how often they were said
    values  what form each word has as a value of a call
    pieces  what each word carries in a text of a call
    """

    __slots__ = ("_amounts", "_kinds", "_said", "forms", "pieces", "values")

    def __init__(self, said: Iterable[str]) -> None:
        self.forms: Counter[str] = Counter()
        self.values: dict[str, str | None] = {}
        self.pieces: dict[str, Forms] = {}
        self._said = ""  # one text after the other, as runs of words are looked for
        self._kinds: Counter[str] = Counter()  # by `as_id`
        self._amounts: set[str] = set()
        for text in said:
            self._hear(normal_form.levelled(text))

    def __bool__(self) -> bool:
        return bool(self.forms)

    def mentions(self, form: str) -> int:
        """How often a value, or a run of words, was said."""
        if " " not in form:
            return self.forms.get(form, 0)
        words = form[1:]
        return self._said.count(f" {words} ") if words in self._said else 0

    def mentions_id(self, form: str, kinds: Iterable[str]) -> int:
        """How often a short id was said of one of these kinds of object."""
        return max((self._kinds[normal_form.as_id(kind, form)] for kind in kinds), default=0)

    def names_amount(self, form: str) -> bool:
        """Whether a number was said as a sum of money is: "10.00", "$12", not "the last 10"."""
        return form in self._amounts

    def _hear(self, text: str) -> None:
        self.forms.update(normal_form.of_remembered(text))
        self.forms.update(normal_form.spaced(text))
        for word in text.split():
            for piece in {word, word.strip(_ROUND_WORDS)}:
                self.values[piece] = normal_form.of_value(piece)
                self.pieces[piece] = forms_of_piece(piece)
        self._said += f" {normal_form.phrase(text)} \n"
        words = normal_form.words_of(text)
        for amount in _AMOUNT.findall(text):
            self._amounts.update(normal_form.of_remembered(amount))
        for at, form in enumerate(words):
            if form[0] == "#" and words[at + 1 : at + 2] != [] and words[at + 1] in _MONTHS:
                continue
            if form[0] == "#":
                self._kinds.update(normal_form.as_id(kind, form) for kind in _before(words, at))


def _before(words: list[str], at: int) -> Iterator[str]:
    """What kind of thing the number at that place is said to be."""
    at -= 1
    while at >= 0 and words[at] in _BETWEEN:
        at -= 1
    if at >= 0 and words[at][0] == "w" and words[at] not in _MONTHS:
        yield _singular(words[at][1:])


@lru_cache(_NAMES)
def kinds(name: str) -> frozenset[str]:
    """The kinds of object that the name of an argument, member or tool speaks of."""
    parts = (part.lower() for part in _PARTS.findall(name))
    return frozenset(_singular(part) for part in parts if part not in _NO_KINDS)


@lru_cache(_NAMES)
def is_id(name: str) -> bool:
    """Is this the name of an argument or member that holds an identifier?"""
    last = [part.lower() for part in _PARTS.findall(name)][-1:]
    return last in (["id"], ["ids"], ["uid"], ["uuid"], ["guid"], ["number"], ["no"], ["nr"])


def kinds_of(argument: str, tool: str) -> Collection[str]:
    """What an id of this name identifies: by itself, else what the tool deals in."""
    return kinds(argument) or kinds(tool)


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word

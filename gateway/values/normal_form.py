"""Normal form: by what two spellings of one value are recognised as the same value.

A value is compared as a whole. Its *form* is a text that begins with the kind of value it is:

    #   a number, by value: `12.00`, `12` and `$12` are `#12`
    @   a mail address, in lower case
    /   a link or host without `http(s)://`, the host in lower case, the rest as written
    =   an account: IBAN or digits with a plus or zeros in front, without blanks
    w   anything else: words in lower case, paths and identifiers of mixed letters as written

What strangers can write must never pass for what the user wrote. So the two sides are read
differently: remembered text is levelled (NFKC, nothing invisible); a value of a call has a form
only if it is plain and already level. Look-alike letters are told apart by having no form, or
another one. `docs/provenance.md` is the reference.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from decimal import Decimal

from policies.errors import ConditionFailed
from policies.text import compatible, is_plain

LONGEST_VALUE = 200
"""Characters of a text that is compared as one value; a longer one only carries others."""

_LINK = r"(?:[A-Za-z][A-Za-z0-9+.-]{0,20}://|[Ww]{3}\.)[^\s<>\"\u201c\u201d|^`{}]+"
_HOST = r"(?:[^\W_](?:[\w-]{0,62}\w)?\.)+[^\W\d_]{2,24}\.?(?::[0-9]{1,5})?(?:[/?#]\S*)?"
_QUAD = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?::[0-9]{1,5})?(?:[/?#]\S*)?"
_NUMBER = r"[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})++|[0-9]++)(?:\.[0-9]++)?"
_IBAN = r"[A-Z]{2}[0-9]{2}[A-Z0-9]{10,30}"

_PARTS_OF_LINK = re.compile(r"(?:([^:/?#]*)://)?([^/?#]*)(.*)", re.DOTALL)
PIECES = re.compile(
    rf"{_LINK}|[$€£¥]?{_NUMBER}(?![\w-]|[.,][0-9])|[^\s,;|<>\"\u201c\u201d\u2018\u2019\u201e\xab\xbb\u2026`(){{}}\[\]!]+"
)
_KIND = re.compile(
    rf"(?P<word>[A-Za-z]+)|(?P<zeros>0[0-9]+)|(?P<number>{_NUMBER})"
    rf"|(?P<mail>[^@\s]+@[^@\s]+)|(?P<account>{_IBAN}|\+[0-9]{{7,}})"
    rf"|(?P<link>{_LINK})|(?P<host>{_QUAD}|{_HOST})|(?P<path>(?:[~.]{{0,2}}/|[A-Za-z]:\\)\S+)"
    r"|(?P<other>\S+)"
)
_SPACED = re.compile(
    r"\b[A-Z]{2}[0-9]{2}(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?\b"
    r"|(?<![\w.,-])\+?[0-9]{1,5}(?:[ -]\(?[0-9]{2,12}\)?){1,6}(?![\w,-])"
)
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]+(?:Z|[+-][0-9:]+)?)?"
    r"|[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2,4}|[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?"
)
_IN_FRONT, _BEHIND = "'#$€£¥*^=&@:?\u2013\u2014\u2022", "'.:?*^=&$€£¥%\u2013\u2014-"
_SIGILS_IN_FRONT, _SIGILS_BEHIND = "#@$€£¥", "$€£¥%"
_ROUND_WORDS = ",.;:!?()\"'"
_BETWEEN_WORDS = re.compile(r"[,;!?|<>\"'\u201c\u201d\u2018\u2019\u201e\xab\xbb\u2026`(){}\[\]]")
_UNBALANCED = {")": "(", "]": "["}
_MOST_DIGITS_OF_SHORT = 5
_WORD = 3
_FEWEST_OF_ACCOUNT = 6
_OPAQUE = 10


def of_number(value: float) -> str:
    """The form of a JSON number."""
    if isinstance(value, int):
        return f"#{value}"
    text = repr(value)
    return _number(format(Decimal(text), "f") if "e" in text else text)


def of_value(text: str) -> str | None:
    """The form of a text that is a value of a call; None when it cannot be compared.

    Of a single word nothing is taken off but a sign as in `#general` or `$12`. Of several words the
    signs between them do not count.
    """
    if len(text) > LONGEST_VALUE:
        return None
    if text.isascii():
        if text.isalpha():
            return "w" + text.lower()
        if not text.isprintable() and not is_level(text):
            return None
    elif not is_level(text):
        return None
    words = text.split()
    if len(words) < 2:
        return _one_value(words[0]) if words else None
    if "".join(words).isalpha():
        return "w" + " ".join(words).lower()
    if words[0][-1].isdigit() and _SPACED.fullmatch(text) and _is_account(text):
        return _spaced(text)
    return "w" + phrase(text)


def phrase(text: str) -> str:
    """Words in a row, as they are looked for in what was said: without signs between them."""
    words = " ".join(_BETWEEN_WORDS.sub(" ", text).lower().split())
    return words.replace(". ", " ").replace(": ", " ").rstrip(".: ")


def of_remembered(text: str) -> Iterator[str]:
    """The forms of everything that stands in a text that is remembered, in order.

    What can be read in two ways has both forms. Blanks in accounts are looked for by `spaced`.
    """
    for piece in PIECES.findall(text):
        form = form_of_piece(piece)
        if form:
            yield form
            yield from _also(piece, form)


def of_piece(piece: str) -> Iterable[str]:
    """The same for what stands between two blanks, most of which are plain words."""
    bare = piece.strip(_ROUND_WORDS)
    if bare.isascii() and bare.isalpha():
        return ("w" + bare.lower(),)
    return of_remembered(piece)


def words_of(text: str) -> list[str]:
    """One form for each word of a remembered text, in order: what ids are looked for in."""
    return [form for form in map(form_of_piece, PIECES.findall(text)) if form]


def spaced(text: str) -> Iterator[str]:
    """Accounts and telephone numbers that are written with blanks in a remembered text."""
    return (form for form, _, _ in accounts(text, 0, len(text)))


def accounts(text: str, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Form, start and end of each account that is written with blanks or hyphens in some lines."""
    for found in _SPACED.finditer(text, start, end):
        if _is_account(found[0]):
            yield _spaced(found[0]), found.start(), found.end()


def is_date(text: str) -> bool:
    """Is this a date or a time?"""
    return _DATE.fullmatch(text) is not None


def levelled(text: str) -> str:
    """A text to be remembered, without differences that do not show."""
    if text.isascii():
        return text
    try:
        return compatible(text)
    except ConditionFailed:  # piles of marks: nothing in it will be recognised
        return ""


def is_level(text: str) -> bool:
    """Is this text what it seems to be, in the one spelling that is compared with?"""
    if text.isascii():
        return text.isprintable() or is_plain(text, lines=True)
    return is_plain(text, lines=True) and unicodedata.is_normalized("NFKC", text)


def is_short(form: str) -> bool:
    """May this form be met by accident: a few digits, a letter or two, a word of any sentence?"""
    if form[0] == "#":
        return len(form.lstrip("#-")) <= _MOST_DIGITS_OF_SHORT or "." in form
    return form[0] == "w" and (len(form) <= _WORD or form[1:] in _FUNCTION_WORDS)


def names_something(form: str) -> bool:
    """Can a form tell one record of a list from another, beyond accident?"""
    return form[0] != "#" and not is_short(form) and not is_date(form[1:])


def as_id(kind: str, form: str) -> str:
    """The form of an identifier of one kind of object, as `transaction` 7."""
    return f"i{kind}:{form}"


# -- one piece ---------------------------------------------------------------------------------


def _one_value(text: str) -> str | None:
    bare = text.lstrip(_SIGILS_IN_FRONT) if text[0] in _SIGILS_IN_FRONT else text
    bare = bare.rstrip(_SIGILS_BEHIND) if bare and bare[-1] in _SIGILS_BEHIND else bare
    return _form(bare) if bare else None


def form_of_piece(piece: str) -> str | None:
    """The form of one of the PIECES of a text; signs around it are no part of it."""
    if "://" in piece or piece[:4].lower() == "www.":
        return _form(_trimmed(piece))
    bare = piece.lstrip(_IN_FRONT).rstrip(_BEHIND)
    if len(bare) > 1 and bare[-1] == "/":
        bare = bare.rstrip("/") or "/"
    return _form(bare) if bare else None


def _also(piece: str, form: str) -> Iterator[str]:
    """Other readings of a piece: `Ann's` names Ann, `id:7` and `id=7` are 7 too, 007 is 7."""
    if form[0] == "w":
        for ending in ("'s", "\u2019s"):
            if form.endswith(ending):
                yield form[: -len(ending)]
        if ":" in piece or "=" in piece:
            yield from filter(
                None, (form_of_piece(part) for part in re.split(r"[:=]", piece) if part)
            )
    elif form[0] == "=" and form[1:].isdigit():
        yield _number(form[1:])


def _form(text: str) -> str:
    found = _KIND.fullmatch(text)
    kind = found.lastgroup if found else "other"
    match kind:
        case "word":
            return "w" + text.lower()
        case "number":
            return _number(text)
        case "mail":
            return "@" + text.lower().removeprefix("mailto:")
        case "zeros" | "account":
            return "=" + text.upper()
        case "link" | "host":
            return _link(text)
        case "path":
            return "w" + text
        case _:
            return "w" + (text if _is_opaque(text) else text.lower())


def _number(text: str) -> str:
    text = text.replace(",", "").removeprefix("+")
    sign, digits = ("-", text[1:]) if text[0] == "-" else ("", text)
    whole, _, fraction = digits.partition(".")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    value = f"{whole}.{fraction}" if fraction else whole
    return f"#{value if value == '0' else sign + value}"


def _link(text: str) -> str:
    found = _PARTS_OF_LINK.fullmatch(text)
    assert found is not None, "it takes any text"
    scheme, host, rest = found.groups()
    place = host.lower() + (rest if rest != "/" else "")
    scheme = "" if scheme is None else scheme.lower()
    return f"/{place}" if scheme in {"", "http", "https"} else f"/{scheme}://{place}"


def _trimmed(link: str) -> str:
    """A link in running text ends before the signs of its sentence."""
    while link and (link[-1] in ".,;:!?'*" or _closes_nothing(link)):
        link = link[:-1]
    return link


def _closes_nothing(link: str) -> bool:
    opening = _UNBALANCED.get(link[-1])
    return opening is not None and link.count(link[-1]) > link.count(opening)


def _spaced(text: str) -> str:
    compact = re.sub(r"[ ()-]", "", text)
    return _form(compact)


def _is_account(text: str) -> bool:
    """Digits that belong together although they are written apart; no date is among them."""
    return sum(map(str.isdigit, text)) > _FEWEST_OF_ACCOUNT and not _DATE.search(text)


def _is_opaque(text: str) -> bool:
    """Mixed capitals, small letters and digits: here case tells one thing from another."""
    return (
        len(text) >= _OPAQUE
        and text != text.lower()
        and text != text.upper()
        and any(map(str.isdigit, text))
    )


_FUNCTION_WORDS = frozenset(
    """
    the and for all any you your yours his her hers its our ours their them they who whom what this
    that these those with from into onto over under are was were been has have had not but out now
    new one two off per via how why when where which can could will would shall should may might
    must please then than also just only some every each everyone everybody anyone someone nobody
    none own same such more most much many few here there about after before again both because
    while during between through until very did does done let get got him
    """.split()  # noqa: SIM905 - to be read and added to
)

"""Text that strangers wrote: when it may be compared, and what it looks like.

Two questions, asked by every comparison of a condition with text from outside:

- `is_plain`: is this text what it seems to be? One spelling of each letter (NFC), nothing
  invisible, no control characters, no letter that imitates the one beside it. Text that is not
  plain never satisfies a comparison that opens a way.
- `looks`: what would a careless reader take it for? Case, width, ligatures, invisible characters
  and look-alike letters are levelled, as in UTS 39. A comparison that closes a way holds when it
  holds for something both look like.

Both cost a few passes over a text of bounded length. Long runs of combining marks, on which
normalisation is quadratic, are refused.
"""

import re
import unicodedata

from policies.errors import ConditionFailed

MAX_LENGTH = 1 << 20  # code points
MAX_BEYOND_ASCII = 1 << 16

# UAX 15, section 13: text in any language needs at most 30 combining marks in a row.
_MAX_MARKS = 30

# Default_Ignorable_Code_Point (DerivedCoreProperties.txt) and the remaining format characters (Cf).
_INVISIBLE = (
    "\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
_LINE_ENDS = "\t\n\x0b\x0c\r\x85\u2028\u2029"
_CONTROLS = "\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029"
# Single letters drawn like an ASCII letter (UTS 39, confusables.txt): of Cyrillic, Greek and
# Armenian, which never stand beside an ASCII letter within one word, and of Latin, which may.
_OTHER_SCRIPTS = dict(
    zip(
        "АВЕЅІЈКМНОРСТУХԌҮѴԚԜӀаеѕіјкорсухһԁԛԝѵүгԍӏΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹϳονικρυγαϲՕՍօսոցհ",
        "ABESIJKMHOPCTYXGYVQWIaesijkopcyxhdqwvyrglABEZHIKMNOPTYXCjovikpuyacOUounqh",
        strict=True,
    )
)
_LATIN = dict(zip("ɑɡɩıɪʟʏᴀᴄᴏᴜᴠᴡᴢǀİ", "agiiilyacouvwzlI", strict=True))

_imitations = "".join(_OTHER_SCRIPTS)
_HIDDEN = re.compile(f"[{_INVISIBLE}{_CONTROLS}]")
# Marks are neither letters nor digits: the few places worth a closer look.
_NO_LETTERS = re.compile(rf"[^\w\x00-\x7f]{{{_MAX_MARKS + 1},}}")
_MIXED = re.compile(f"[A-Za-z][{_imitations}]|[{_imitations}][A-Za-z]")
_WORD = re.compile(r"\w+")
_ASCII_LETTER = re.compile("[A-Za-z]")
_ENDS_OF_LINES = re.compile(f"[{_LINE_ENDS}]")
_ALIKE = _OTHER_SCRIPTS | _LATIN
_DRAWN_ALIKE = re.compile(f"[{''.join(_ALIKE)}]")


def is_plain(text: str, *, lines: bool = False) -> bool:
    """Is this text what it seems to be? With `lines`, tabs and line ends are no offence."""
    if _is_too_long(text):
        return False
    if lines:
        text = _ENDS_OF_LINES.sub(" ", text)
    if text.isascii():
        return text.isprintable()
    if _HIDDEN.search(text) or _MIXED.search(text) or _piles_up(text):
        return False
    return unicodedata.is_normalized("NFC", text)


def looks(text: str) -> tuple[str, ...]:
    """What a careless reader takes the text for, case aside: two texts look alike that share one.

    First with its own letters, then with imitating ones replaced: a capital may imitate where its
    small letter does not, so neither form alone finds all.

    Raises ConditionFailed for text that is too long, or piles up marks.
    """
    if _is_simple(text):
        return (text.lower(),)
    level = compatible(text)
    own = compatible(_caseless(level))
    replaced = _levelled(compatible(_caseless(_levelled(level))))
    return (own,) if own == replaced else (own, replaced)


def imitations(text: str) -> frozenset[int]:
    """Where letters stand that imitate an ASCII letter, in a word that has ASCII letters too."""
    if text.isascii():
        return frozenset()
    return frozenset(
        word.start() + at
        for word in _WORD.finditer(text)
        if _ASCII_LETTER.search(word[0])
        for at, letter in enumerate(word[0])
        if letter in _ALIKE
    )


def levelled(text: str) -> str:
    """The text without what is invisible, in compatible and plain-looking letters, case kept.

    Raises ConditionFailed as `looks` does.
    """
    return text if _is_simple(text) else _levelled(compatible(text))


def compatible(text: str) -> str:
    """NFKC of what is visible, line ends as blanks. What does not show may part marks that then
    pile up.

    Raises ConditionFailed for text that piles up marks.
    """
    if text.isascii() and text.isprintable():
        return text
    visible = _HIDDEN.sub("", _ENDS_OF_LINES.sub(" ", text))
    if _piles_up(visible):
        raise ConditionFailed("text holds a long run of combining marks")
    return unicodedata.normalize("NFKC", visible)


def _is_simple(text: str) -> bool:
    if _is_too_long(text):
        raise ConditionFailed("text is too long to be compared")
    return text.isascii() and text.isprintable()


def _levelled(text: str) -> str:
    return _DRAWN_ALIKE.sub(lambda letter: _ALIKE[letter[0]], text)


def _caseless(text: str) -> str:
    """Folded in parts, since some letters with marks have no capital of their own."""
    return unicodedata.normalize("NFD", text).casefold()


def _is_too_long(text: str) -> bool:
    return len(text) > (MAX_LENGTH if text.isascii() else MAX_BEYOND_ASCII)


def _piles_up(text: str) -> bool:
    return any(map(_is_pile, _NO_LETTERS.findall(text)))


def _is_pile(text: str) -> bool:
    """Does the text hold more combining marks in a row than any language needs?"""
    run = 0
    for letter in text:
        run = run + 1 if unicodedata.combining(letter) else 0
        if run > _MAX_MARKS:
            return True
    return False

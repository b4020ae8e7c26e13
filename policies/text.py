"""Text that strangers wrote: when it may be compared, and what it looks like.

Two questions, asked by every comparison of a condition with text from outside:

- `is_plain`: is this text what it seems to be? One spelling of each letter (NFC), nothing
  invisible, no control characters, no letter that imitates the one beside it. Text that is not
  plain never satisfies a comparison that opens a way.
- `skeleton`: what would a careless reader take it for? Case, width, ligatures, invisible
  characters and look-alike letters are levelled, as in UTS 39. A comparison that closes a way holds
  when the skeletons agree.

Both cost a few passes over the text; beyond ASCII it has a greatest length, and long runs of
combining marks, on which normalisation is quadratic, are refused.
"""

import re
import unicodedata
from functools import cache

from policies.errors import ConditionFailed

MAX_BEYOND_ASCII = 65_536  # code points

# UAX 15, section 13: text in any language needs at most 30 combining marks in a row.
_MAX_MARKS = 30
# The last assigned combining marks are in the supplementary plane; above it are none.
_MARKS_END = 0x20000

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
_MIXED = re.compile(f"[A-Za-z][{_imitations}]|[{_imitations}][A-Za-z]")
_LINES_AS_SPACES = str.maketrans(dict.fromkeys(_LINE_ENDS, " "))
_DRAWN_ALIKE = str.maketrans(_OTHER_SCRIPTS | _LATIN)


def is_plain(text: str, *, lines: bool = False) -> bool:
    """Is this text what it seems to be? With `lines`, tabs and line ends are no offence."""
    if lines:
        text = text.translate(_LINES_AS_SPACES)
    if text.isascii():
        return text.isprintable()
    if _HIDDEN.search(text) or _MIXED.search(text) or _is_costly(text):
        return False
    return unicodedata.is_normalized("NFC", text)


def levelled(text: str) -> str:
    """The text without what is invisible, in plain-looking letters, case kept.

    Raises ConditionFailed for text that is too long, or piles up marks.
    """
    if text.isascii() and text.isprintable():
        return text
    if not text.isascii() and _is_costly(text):
        raise ConditionFailed("text beyond ASCII is too long, or holds a long run of marks")
    return unicodedata.normalize("NFKC", _visible(text)).translate(_DRAWN_ALIKE)


def skeleton(text: str) -> str:
    """What a careless reader takes the text for: `levelled`, without case.

    Raises ConditionFailed as `levelled` does.
    """
    if text.isascii() and text.isprintable():
        return text.lower()
    return unicodedata.normalize("NFKC", _visible(levelled(text)).casefold())


def _visible(text: str) -> str:
    return _HIDDEN.sub("", text.translate(_LINES_AS_SPACES))


def _is_costly(text: str) -> bool:
    return len(text) > MAX_BEYOND_ASCII or _long_run().search(text) is not None


@cache
def _long_run() -> re.Pattern[str]:
    """Matches one combining mark too many in a row; built when the first such text comes."""
    marks = "".join(map(chr, filter(_is_mark, range(0x300, _MARKS_END))))
    return re.compile(f"[{marks}]{{{_MAX_MARKS + 1}}}")


def _is_mark(code: int) -> bool:
    return unicodedata.combining(chr(code)) > 0

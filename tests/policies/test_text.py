"""Text from strangers: what is plain, and what it looks like."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import ConditionFailed
from policies.text import MAX_BEYOND_ASCII, MAX_LENGTH, is_plain, levelled, looks


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("C-7 <a@b.example>", id="ascii"),
        pytest.param("caf\u00e9", id="nfc"),
        pytest.param("Москва", id="one-other-script"),
        pytest.param("Москва API", id="two-scripts-in-two-words"),
        pytest.param("Işık", id="latin-beyond-ascii"),
        pytest.param("日本語", id="no-letters-alike"),
    ],
)
def test_what_is_what_it_seems_is_plain(text: str) -> None:
    assert is_plain(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("cafe\u0301", id="not-nfc"),
        pytest.param("mal\u200blory", id="zero-width-space"),
        pytest.param("mal\u200dlory", id="zero-width-joiner"),
        pytest.param("\ufeffmallory", id="byte-order-mark"),
        pytest.param("abc\u202etxt", id="bidi-override"),
        pytest.param("a\u2066b", id="bidi-isolate"),
        pytest.param("a\u00adb", id="soft-hyphen"),
        pytest.param("a\ufe0fb", id="variation-selector"),
        pytest.param("a\U000e0041b", id="tag-character"),
        pytest.param("a\u3164b", id="hangul-filler"),
        pytest.param("a\x00b", id="nul"),
        pytest.param("a\x7fb", id="delete"),
        pytest.param("a\x85b", id="c1-control"),
        pytest.param("a\u2028b", id="line-separator"),
        pytest.param("a\nb", id="line-end"),
        pytest.param("a\tb", id="tab"),
        pytest.param("p\u0430ypal", id="cyrillic-letter-in-a-latin-word"),
        pytest.param("g\u03bfogle", id="greek-letter-in-a-latin-word"),
        pytest.param("\ud800", id="half-a-character"),
        pytest.param("a" + "\u0301" * 31, id="pile-of-marks"),
    ],
)
def test_what_hides_or_imitates_is_not_plain(text: str) -> None:
    assert not is_plain(text)


def test_line_ends_are_plain_where_they_are_no_offence() -> None:
    assert is_plain("one\r\n\ttwo", lines=True)
    assert not is_plain("one\x00two", lines=True)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param("MALLORY", "mallory", id="case"),
        pytest.param("ＭＡＬＬＯＲＹ", "mallory", id="full-width"),
        pytest.param("m\u0430ll\u043ery", "mallory", id="cyrillic"),
        pytest.param("раураl", "paypal", id="mostly-cyrillic"),
        pytest.param("mal\u200blory", "mallory", id="zero-width"),
        pytest.param("\u202emallory", "mallory", id="bidi"),
        pytest.param("mallo\ufe00ry", "mallory", id="variation-selector"),
        pytest.param("𝕞𝕒𝕝𝕝𝕠𝕣𝕪", "mallory", id="mathematical"),
        pytest.param("ﬁle", "file", id="ligature"),
        pytest.param("straße", "strasse", id="sharp-s"),
        pytest.param("İstanbul", "istanbul", id="dotted-i"),
        pytest.param("KELVIN".replace("K", "\u212a"), "kelvin", id="kelvin-sign"),
        pytest.param("cafe\u0301", "caf\u00e9", id="decomposed"),
        pytest.param("drop\ntable", "drop table", id="line-end-is-a-blank"),
        pytest.param("drop\u00a0table", "drop table", id="no-break-space"),
    ],
)
def test_what_looks_alike_has_a_look_in_common(written: str, read: str) -> None:
    assert read in looks(written)


def test_levelling_keeps_case() -> None:
    assert levelled("Ｄ\u200bROP") == "DROP"


def test_every_letter_looks_like_its_other_case() -> None:
    letters = [chr(code) for code in range(0x20000) if not 0xD800 <= code <= 0xDFFF]
    for change in (str.casefold, str.lower, str.upper, str.title):
        changed = [(each, other) for each in letters if (other := change(each)) != each]
        parted = [each for each, other in changed if not set(looks(each)) & set(looks(other))]
        assert changed
        assert not parted


@given(st.text(max_size=60))
def test_a_text_looks_like_what_it_looks_like(text: str) -> None:
    for look in looks(text):
        assert look in looks(look)


@given(st.text(max_size=60))
def test_plain_text_holds_nothing_invisible(text: str) -> None:
    if is_plain(text):
        assert unicodedata.is_normalized("NFC", text)
        assert not any(unicodedata.category(letter) in {"Cc", "Cf", "Cs"} for letter in text)


@given(st.text(st.characters(max_codepoint=127, categories=["L", "N", "P", "S", "Zs"])))
def test_visible_ascii_is_plain_and_levels_to_itself(text: str) -> None:
    assert is_plain(text)
    assert levelled(text) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("e" + "\u0301" * 60_000, id="one-pile-of-marks"),
        pytest.param("\u0316\u0301" * 30_000, id="marks-that-change-places"),
        pytest.param("e" + "\u0301\u200b" * 30_000, id="marks-parted-by-what-does-not-show"),
        pytest.param("é" * (MAX_BEYOND_ASCII + 1), id="too-long"),
        pytest.param("e" * (MAX_LENGTH + 1), id="too-long-in-ascii"),
    ],
)
def test_text_that_would_be_costly_is_refused_at_once(text: str) -> None:
    before = time.process_time()
    assert not is_plain(text)
    with pytest.raises(ConditionFailed):
        looks(text)
    assert time.process_time() - before < 1


def test_the_longest_texts_cost_a_fraction_of_a_second() -> None:
    before = time.process_time()
    assert is_plain("a" * MAX_LENGTH)
    assert looks("A" * MAX_LENGTH) == ("a" * MAX_LENGTH,)
    assert looks("É" * MAX_BEYOND_ASCII) == ("é" * MAX_BEYOND_ASCII,)
    assert time.process_time() - before < 1

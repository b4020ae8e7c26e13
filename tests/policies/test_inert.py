"""Inert text: nothing hides, nothing is lost, and letters that imitate others are found."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.inert import Piece, inert, is_marked, pieces

ANY = st.text(st.characters(), max_size=200)


@given(ANY)
def test_the_pieces_of_a_text_are_its_inert_form(text: str) -> None:
    assert "".join(piece.text for piece in pieces(text)) == inert(text)


@given(ANY)
def test_whatever_is_shown_shows(text: str) -> None:
    shown = "".join(piece.text for piece in pieces(text))
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_plain_text_is_one_piece(text: str) -> None:
    assert list(pieces(text)) == [Piece(text)]
    assert not is_marked(text)


@pytest.mark.parametrize(
    ("text", "escape", "note"),
    [
        pytest.param("pay\u202e001", "\\u{202e}", "right-to-left override", id="bidi"),
        pytest.param("pay\u2066x", "\\u{2066}", "left-to-right isolate", id="isolate"),
        pytest.param("a\u200bb", "\\u{200b}", "zero width space", id="zero-width"),
        pytest.param("a\nto: eve", "\\u{a}", "u+000a", id="forged-line"),
        pytest.param("\x1b[2J", "\\u{1b}", "u+001b", id="terminal"),
        pytest.param("a\u3164b", "\\u{3164}", "hangul filler", id="filler"),
        pytest.param("a\ufe0f", "\\u{fe0f}", "variation selector-16", id="selector"),
        pytest.param("a\U000e0041", "\\u{e0041}", "tag latin capital letter a", id="tag"),
        pytest.param("\ud800", "\\u{d800}", "u+d800", id="surrogate"),
    ],
)
def test_what_does_not_show_is_named(text: str, escape: str, note: str) -> None:
    found = [piece for piece in pieces(text) if piece.kind == "hidden"]
    assert found == [Piece(escape, "hidden", note)]
    assert is_marked(text)


@pytest.mark.parametrize(
    ("text", "imitated"),
    [
        pytest.param("p\u0430ypal", ["\u0430"], id="cyrillic-in-latin"),
        pytest.param("exampl\u0435.com \u0438 text", ["\u0435"], id="beside-another-script"),
        pytest.param("\u041f\u0440\u0438\u0432\u0435\u0442", [], id="a-word-of-its-own-script"),
        pytest.param("caf\u00e9", [], id="an-accent"),
    ],
)
def test_letters_that_imitate_others_are_marked(text: str, imitated: list[str]) -> None:
    assert [piece.text for piece in pieces(text) if piece.kind == "alike"] == imitated

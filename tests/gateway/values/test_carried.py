"""What texts carry: several at one go, with few signs or many."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.values.carried import carried_by, forms_carried, forms_of_piece

ACCOUNT = "=GB33BUKB20201555555555"
WORDS = st.sampled_from(
    """
    ann@office.example https://office.example/a?b=1 evil.example. x..y end. ... a.b /etc/passwd ~/x
    GB33BUKB20201555555555 GB33 BUKB 2020 1555 5555 55 +44 20 7946 0958 0123456 456 789 4711815 @bob
    2026-11-20 10:30 12.00 $12 file_7 (see href='//host/x'), caf\u00e9.example \u0430nn@b.x and
    """.split()  # noqa: SIM905 - to be read and added to
)
TEXTS = st.lists(st.lists(st.tuples(WORDS, st.sampled_from(" \n\t-")), max_size=12), max_size=4)


def written(words: list[tuple[str, str]]) -> str:
    return "".join(word + gap for word, gap in words)


def found(text: str) -> list[str | None]:
    return [each.form for each in carried_by(text)]


@given(TEXTS)
def test_several_texts_carry_what_each_of_them_carries(parts: list[list[tuple[str, str]]]) -> None:
    texts = [written(words) for words in parts]
    known = {word: forms_of_piece(word) for words in parts[:2] for word, _ in words}
    alone = Counter(form for text in texts for form in found(text))
    assert Counter(forms_carried(texts, {})) == alone
    assert Counter(forms_carried(texts, known)) == alone


@given(st.lists(st.tuples(WORDS, st.sampled_from(" \n\t-")), max_size=12))
def test_a_text_of_many_signs_carries_what_it_carries_among_few(
    words: list[tuple[str, str]],
) -> None:
    text = written(words)
    many = text + "\n" + "/ " * 100
    assert Counter(found(many)) == Counter(found(text))


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(["call 0123", "456 789 01"], id="account"),
        pytest.param(["pay GB33 BUKB 2020 1555", "5555 55"], id="iban"),
        pytest.param(["it is at evil", ".example"], id="host"),
        pytest.param(["to ann", "@office"], id="mail"),
        pytest.param(["key 4f", "9c2e"], id="identifier"),
    ],
)
def test_what_stands_in_two_texts_is_not_read_as_one(texts: list[str]) -> None:
    assert forms_carried(texts, {}) == [form for text in texts for form in found(text)]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("on 3 May\nGB33 BUKB 2020 1555 5555 55\nand 4 more", id="a-line-of-its-own"),
        pytest.param("nothing on this line\nwire GB33 BUKB 2020 1555 5555 55", id="last-line"),
        pytest.param("GB33 BUKB 2020 1555 5555 55\n" + "no sign here\n" * 5, id="first-line"),
        pytest.param("GB33 BUKB 2020 1555 5555 55\n" + "1 2 \n" * 80, id="among-many-digits"),
    ],
)
def test_an_account_that_is_written_with_blanks_is_found_on_any_line(text: str) -> None:
    accounts = [each for each in carried_by(text) if each.form == ACCOUNT]
    assert [text[each.start : each.end] for each in accounts] == ["GB33 BUKB 2020 1555 5555 55"]


def test_one_hidden_letter_leaves_the_other_texts_as_they_are() -> None:
    texts = ["write to ann@office.example", "see ev\u200bil.example"]
    assert forms_carried(texts, {}) == ["@ann@office.example", None]

"""Normal form: what is the same value, what never passes for it, and what texts carry."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.values.carried import carried_by
from gateway.values.normal_form import (
    is_short,
    levelled,
    of_number,
    of_remembered,
    of_value,
    spaced,
)


def remembered(text: str) -> set[str]:
    level = levelled(text)
    return {*of_remembered(level), *spaced(level)}


def is_met(said: str, value: str | float) -> bool:
    form = of_value(value) if isinstance(value, str) else of_number(value)
    return form in remembered(said)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        pytest.param("pay 12.00 now", 12, id="number-by-value"),
        pytest.param("pay $12, please", "12", id="currency-in-front"),
        pytest.param("pay 12€", 12.0, id="currency-behind"),
        pytest.param("pay 1,200.50.", 1200.5, id="thousands"),
        pytest.param("pay 007", 7, id="zeros-in-front"),
        pytest.param("by -5", -5, id="negative"),
        pytest.param("pay \uff11\uff12", 12, id="full-width-digits-of-the-user"),
        pytest.param("Write to Bob.", "bob", id="case-and-full-stop"),
        pytest.param("Bob's bill", "Bob", id="possessive"),
        pytest.param("(see 'general')", "#general", id="sign-and-quotes"),
        pytest.param("to Ann@ACME.example!", "ann@acme.example", id="mail-address"),
        pytest.param("see https://ACME.example/.", "http://acme.example", id="scheme-and-slash"),
        pytest.param("(www.acme.example/A?q=1),", "www.ACME.example/A?q=1", id="link-in-brackets"),
        pytest.param("to GB33 BUKB 2020 1555 5555 55.", "GB33BUKB20201555555555", id="iban"),
        pytest.param("to gb29nwbk60161331926819", "gb29nwbk60161331926819", id="small-iban"),
        pytest.param("call +49 170 1234567", "+49 170 1234567", id="telephone"),
        pytest.param("read 'bill-2023.txt'", "bill-2023.txt", id="file-name"),
        pytest.param("al\u200bice", "alice", id="invisible-letters-of-the-user"),
    ],
)
def test_two_spellings_of_one_value_are_met(said: str, value: str | float) -> None:
    assert is_met(said, value)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        pytest.param("to alice", "al\u200bice", id="zero-width"),
        pytest.param("to alice", "\uff41lice", id="full-width-letter"),
        pytest.param("to 12", "\uff11\uff12", id="full-width-digits"),
        pytest.param("to paypal", "p\u0430ypal", id="look-alike-letter"),
        pytest.param("to apple", "\u0430\u0440\u0440\u04cf\u0435", id="look-alike-word"),
        pytest.param("to alice", "alice\u0301", id="combining-mark"),
        pytest.param("to alice", "alic", id="part-of-a-word"),
        pytest.param("to alice", "alices", id="more-than-a-word"),
        pytest.param("to ann@acme.example", "ann@acme.example.evil", id="longer-host"),
        pytest.param("to ann@acme.example", "acme.example", id="part-of-an-address"),
        pytest.param("see acme.example", "acme.example/?q=1", id="more-of-a-link"),
        pytest.param("see acme.example/A", "acme.example/a", id="case-of-a-path"),
        pytest.param("see acme.example", "ftp://acme.example", id="other-scheme"),
        pytest.param("see acme.example", "https://acme.example@evil.example", id="user-info"),
        pytest.param("see acme.example", "acme.example.", id="final-dot"),
        pytest.param("watch dQw4w9WgXcQ", "dqw4w9wgxcq", id="case-of-an-opaque-id"),
        pytest.param("read /data/A", "/data/a", id="case-of-a-file"),
        pytest.param("pay 12", 12.5, id="other-number"),
        pytest.param("on 2022-04-01", 2022, id="part-of-a-date"),
        pytest.param("version 1.2.3", 1.2, id="part-of-a-version"),
    ],
)
def test_what_is_another_value_is_not_met(said: str, value: str | float) -> None:
    assert not is_met(said, value)


@pytest.mark.parametrize(
    ("text", "carried"),
    [
        pytest.param("Dear Bob, see you. Bye: Ann", [], id="plain-words"),
        pytest.param("on 2022-04-01 at 10:30, 12.50 EUR, 3 of 99", [], id="dates-and-amounts"),
        pytest.param("see www.evil.example/x.", ["/www.evil.example/x"], id="link"),
        pytest.param("see evil.example!", ["/evil.example"], id="host"),
        pytest.param("at 10.0.0.1:80/x", ["/10.0.0.1:80/x"], id="ip-address"),
        pytest.param("to a@b.example, c@d.example", ["@a@b.example", "@c@d.example"], id="mails"),
        pytest.param("no 4711815", ["#4711815"], id="number-of-an-account"),
        pytest.param("key 4f9c2e", ["w4f9c2e"], id="identifier"),
        pytest.param("in Archive_04", ["wArchive_04"], id="name-with-digit"),
        pytest.param("of /etc/passwd", ["w/etc/passwd"], id="path"),
        pytest.param("GB33 BUKB 2020 1555 5555 55", ["=GB33BUKB20201555555555"], id="spaced"),
        pytest.param("see ev\u200bil.example", [None], id="hidden-letter"),
        pytest.param("see \uff45vil.example", [None], id="full-width-letter"),
    ],
)
def test_texts_carry_addresses_links_accounts_and_identifiers(
    text: str, carried: list[str | None]
) -> None:
    found = list(carried_by(text))
    assert [each.form for each in found] == carried
    assert all(0 <= each.start < each.end <= len(text) for each in found)


@given(st.text(max_size=60))
def test_a_value_that_is_met_is_level_and_nothing_in_it_is_hidden(value: str) -> None:
    form = of_value(value)
    if form is not None:
        assert unicodedata.is_normalized("NFKC", value)
        hidden = {"Cc", "Cf", "Zl", "Zp"}
        assert not hidden & {unicodedata.category(sign) for sign in "".join(value.split())}


@given(st.text(alphabet=st.sampled_from("aB1.@/:-_ ,'#\u200b\uff11\u0430é%+$(\n"), max_size=80))
def test_whatever_is_written_has_a_form_or_none_and_never_fails(text: str) -> None:
    of_value(text)
    assert all(each.form is None or each.form for each in carried_by(text))
    assert all(form and form[0] in "#@/=w" for form in remembered(text))


@given(st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_has_the_form_of_its_decimal_text(number: float) -> None:
    assert "e" not in of_number(number)
    assert not of_number(number).startswith("#-0") or float(of_number(number)[1:]) != 0


@pytest.mark.parametrize("form", ["#7", "#-42", "#99999", "#1.5", "wa", "wme", "wall", "wthe"])
def test_what_is_met_by_accident_is_short(form: str) -> None:
    assert is_short(form)


@pytest.mark.parametrize("form", ["#100000", "wbob", "@a@b.example", "/x.example", "=GB291234"])
def test_what_is_not_is_not(form: str) -> None:
    assert not is_short(form)

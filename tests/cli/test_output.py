"""Output: hostile text never reaches a terminal as anything but text."""

import json
import unicodedata
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.errors import Exit
from cli.output import as_card, as_json, as_lines, as_table, moment, say
from policies.inert import inert

ANY = st.text(st.characters(), max_size=200)


def captured(print_it: Callable[[], None]) -> list[str]:
    """The lines that were printed."""
    with redirect_stdout(StringIO()) as out:
        print_it()
    return out.getvalue().removesuffix("\n").split("\n") if out.getvalue() else []


def obeyed(text: str) -> list[str]:
    """Characters that a terminal or a reader of bidirectional text would act upon."""
    return [c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}]


@given(ANY)
def test_nothing_of_a_text_is_obeyed(text: str) -> None:
    assert obeyed(inert(text)) == []
    assert inert(inert(text)) == inert(text)


@given(st.text(st.characters(categories=["N", "P", "Zs", "Lu", "Ll"])))
def test_what_shows_stays_as_it_is(text: str) -> None:
    assert inert(text) == text


@given(rows=st.lists(st.dictionaries(st.sampled_from(["a", "b"]), ANY), max_size=3))
def test_a_table_has_one_line_for_each_row(
    rows: list[dict[str, str]],
) -> None:
    lines = captured(lambda: as_table(rows, ("a", "b")))
    assert len(lines) == len(rows) + 1
    assert all(obeyed(line) == [] for line in lines)


@given(st.dictionaries(st.sampled_from(["one", "two"]), st.recursive(ANY, st.lists)))
def test_a_card_has_one_line_for_each_member(members: dict[str, object]) -> None:
    lines = captured(lambda: as_card(members))
    assert len(lines) == len(members)
    assert all(obeyed(line) == [] for line in lines)


@given(ANY)
def test_lines_are_split_at_newlines_alone(text: str) -> None:
    lines = captured(lambda: as_lines(text, indent="| "))
    assert len(lines) == text.count("\n") + 1
    assert all(line.startswith("|") and obeyed(line) == [] for line in lines)


@given(st.recursive(ANY, lambda inner: st.dictionaries(ANY, inner, max_size=3)))
def test_json_is_ascii_and_comes_back_equal(value: object) -> None:
    text = "\n".join(captured(lambda: as_json(value)))
    assert text.isascii()
    assert json.loads(text) == value


def test_talk_is_never_mixed_into_data(capsys: pytest.CaptureFixture[str]) -> None:
    say("done\x1b[2J")
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "done\\u{1b}[2J\n"


def test_times_are_utc() -> None:
    assert moment(0) == "1970-01-01 00:00:00Z"


def test_exit_codes_are_what_is_documented() -> None:
    assert {code.name: code.value for code in Exit} == {
        "DONE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "DENIED": 3,
        "AUTHENTICATION": 4,
        "UNDECIDED": 5,
    }

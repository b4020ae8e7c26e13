"""Patterns answer in linear time, or are refused."""

import time

import pytest

from policies.errors import ConditionFailed
from policies.pattern import MAX_LENGTH, MAX_TEXT, searcher


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("(", id="broken"),
        pytest.param(r"(a)\1", id="back-reference"),
        pytest.param("(?=a)", id="look-ahead"),
        pytest.param("a" * (MAX_LENGTH + 1), id="too-long"),
        pytest.param("((a{100}){100}){100}", id="too-costly"),
    ],
)
def test_a_pattern_without_a_bound_is_refused(pattern: str) -> None:
    with pytest.raises(ConditionFailed):
        searcher(pattern)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*)*x", "a?" * 100 + "a" * 100])
def test_a_pattern_bomb_is_answered_at_once(pattern: str) -> None:
    before = time.process_time()
    searcher(pattern)("a" * (MAX_TEXT - 1) + "!")
    assert time.process_time() - before < 1


def test_a_pattern_is_found_anywhere_unless_it_is_anchored() -> None:
    assert searcher("b")("abc")
    assert not searcher("^b$")("abc")
    assert not searcher("^b$")("a\nb\nc")
    assert not searcher("^b$")("b\n")


def test_a_text_that_is_too_long_fails() -> None:
    with pytest.raises(ConditionFailed):
        searcher("a")("a" * (MAX_TEXT + 1))


def test_half_a_character_fails() -> None:
    with pytest.raises(ConditionFailed):
        searcher("a")("\ud800")

"""Purposes: text that shows, and tools as scopes write them."""

import pytest

from gateway.errors import PurposeInvalid
from gateway.session.purpose import MAX_WORDS, Purpose


@pytest.mark.parametrize("words", ["Pay invoice 42.", "Grüße\nan Zoë", "x" * MAX_WORDS])
def test_words_are_kept_as_they_are(words: str) -> None:
    assert Purpose.read(words, None) == Purpose(words)


def test_tools_are_put_into_their_shortest_form() -> None:
    assert Purpose.read("x", "git.log git.* crm.find").tools == ("crm.find", "git.*")


@pytest.mark.parametrize(
    ("words", "tools"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("", "git.*", id="tools-alone"),
        pytest.param(" \n\t", None, id="blank"),
        pytest.param("x" * (MAX_WORDS + 1), None, id="endless"),
        pytest.param("a\0b", None, id="nul"),
        pytest.param("a\x1b[2Jb", None, id="escape"),
        pytest.param("a\u202eb", None, id="turned-round"),
        pytest.param("a\u200bb", None, id="zero-width"),
        pytest.param("a\ud800b", None, id="lone-surrogate"),
        pytest.param("x", "", id="no-tools"),
        pytest.param("x", "git", id="no-tool-pattern"),
        pytest.param("x", "git.*  crm.*", id="two-blanks"),
    ],
)
def test_what_is_no_purpose_is_refused_without_repeating_it(words: str, tools: str | None) -> None:
    with pytest.raises(PurposeInvalid) as refused:
        Purpose.read(words, tools)
    assert len(words) < 5 or words not in str(refused.value)

"""Paths that mean one file to every reader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import ConditionFailed
from policies.file_path import MAX_LENGTH, is_under, normal


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param("/data/a", "/data/a", id="normal"),
        pytest.param("/data//a/./b/", "/data/a/b", id="empty-steps-and-dots"),
        pytest.param("/", "/", id="root"),
        pytest.param("/.git/..a/b..", "/.git/..a/b..", id="dots-in-names"),
        pytest.param("/50% off", "/50% off", id="percent-in-a-name"),
        pytest.param("/données/é", "/données/é", id="beyond-ascii"),
    ],
)
def test_a_path_with_one_meaning_is_normalised(written: str, read: str) -> None:
    assert normal(written) == read


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("", id="nothing"),
        pytest.param("data/a", id="relative"),
        pytest.param("~/a", id="home"),
        pytest.param("//host/share", id="two-slashes"),
        pytest.param("/data/../etc/passwd", id="upwards"),
        pytest.param("/data/reports/..", id="upwards-last"),
        pytest.param("/data/.../x", id="three-dots"),
        pytest.param("/data/.. /x", id="dots-and-a-blank"),
        pytest.param("/data/%2e%2e/etc", id="encoded"),
        pytest.param("/data/%2E%2E%2fetc", id="encoded-slash"),
        pytest.param("/data/%252e%252e/etc", id="encoded-twice"),
        pytest.param("/data/%c0%ae%c0%ae/etc", id="overlong"),
        pytest.param("/data/%u002e%u002e/etc", id="encoded-in-the-old-way"),
        pytest.param("/data\\..\\etc", id="backslash"),
        pytest.param("C:\\data", id="drive"),
        pytest.param("/data/a\x00.txt", id="nul"),
        pytest.param("/data/a\n", id="line-end"),
        pytest.param("/data/．．/etc", id="full-width-dots"),
        pytest.param("/data／..／etc", id="full-width-slash"),
        pytest.param("/data/‥/etc", id="two-dot-leader"),
        pytest.param("/data/\u200b../etc", id="zero-width"),
        pytest.param("/data/cafe\u0301", id="not-nfc"),
        pytest.param("/" + "a" * MAX_LENGTH, id="too-long"),
    ],
)
def test_a_path_with_several_meanings_is_refused(path: str) -> None:
    with pytest.raises(ConditionFailed):
        normal(path)


@pytest.mark.parametrize(
    ("path", "root", "answer"),
    [
        pytest.param("/data/reports/x", "/data/reports", True, id="below"),
        pytest.param("/data/reports", "/data/reports", True, id="itself"),
        pytest.param("/data/reports-evil/x", "/data/reports", False, id="same-beginning"),
        pytest.param("/data", "/data/reports", False, id="above"),
        pytest.param("/anything", "/", True, id="below-the-root"),
    ],
)
def test_below_is_told_step_by_step(path: str, root: str, answer: bool) -> None:
    assert is_under(path, root) is answer


@given(st.lists(st.text("ab./\\%2e \u2025．", max_size=5), max_size=8).map("/".join))
def test_what_is_normalised_never_steps_upwards(path: str) -> None:
    try:
        read = normal("/" + path)
    except ConditionFailed:
        return
    assert normal(read) == read
    assert not {"..", "."} & set(read.split("/"))

"""Forms: what is written means one thing, or nothing."""

import pytest

from gateway.notation import is_loopback, milliseconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [("250ms", 250), ("0s", 0), ("10s", 10_000), ("15m", 900_000), ("8h", 28_800_000)],
)
def test_durations_are_read_in_their_unit(text: str, expected: int) -> None:
    assert milliseconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "10", "s", "1.5s", "-1s", "1 s", "1S", "1s ", "1234567s", "1w"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        milliseconds(text)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:7300", True),
        ("http://127.8.9.10", True),
        ("http://[::1]:7300", True),
        ("http://localhost", True),
        ("http://node.localhost:7300", True),
        ("http://localhost.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://notlocalhost", False),
        ("http://10.0.0.1", False),
        ("http://0.0.0.0", False),
        ("not a url", False),
    ],
)
def test_loopback_is_this_machine_and_nothing_that_looks_like_it(
    url: str, *, expected: bool
) -> None:
    assert is_loopback(url) is expected

"""Idempotency keys: one for each call, the same for the same call, good for a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.idempotency import header, header_line, is_remembered, key_of


@given(one=st.text(), other=st.text())
def test_two_calls_have_one_key_only_when_they_are_one(one: str, other: str) -> None:
    assert (key_of(one) == key_of(other)) is (one == other)


def test_a_key_tells_nothing_of_the_step_that_it_is_of() -> None:
    key = key_of("0190-run/1:secret-plan")
    assert len(key) == 32
    assert set(key) <= set("0123456789abcdef")


def test_the_header_is_a_structured_string() -> None:
    assert header("ab") == {"Idempotency-Key": '"ab"'}
    assert header_line("ab") == b'Idempotency-Key: "ab"\r\n'


@pytest.mark.parametrize(
    ("remembers", "sent", "now", "is_known"),
    [
        pytest.param(3600, 1000, 1000, True, id="just-sent"),
        pytest.param(3600, 1000, 4479, True, id="last-second"),
        pytest.param(3600, 1000, 4480, False, id="too-close-to-its-end"),
        pytest.param(3600, 1000, 99_999, False, id="long-forgotten"),
        pytest.param(60, 1000, 1000, False, id="remembers-less-than-a-call-takes"),
        pytest.param(None, 1000, 1000, False, id="honours-no-key"),
        pytest.param(3600, None, 1000, False, id="was-sent-without-one"),
    ],
)
def test_a_key_is_used_again_only_while_its_server_knows_it(
    remembers: int | None, sent: int | None, now: int, *, is_known: bool
) -> None:
    assert is_remembered(remembers, sent, now) is is_known

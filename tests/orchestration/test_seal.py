"""Seals: what lies in the database is readable with the key alone, and only as it was written."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.errors import SealBroken
from orchestration.seal import Seal

SEAL = Seal(bytes(32))

json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(json)
def test_what_is_sealed_is_found_again(value: object) -> None:
    text = SEAL.close(value)
    assert SEAL.open(text) == value
    assert SEAL.close(value) != text


@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(lambda text: text[:-4] + "AAA=", id="end-altered"),
        pytest.param(lambda text: "AAAA" + text[4:], id="nonce-altered"),
        pytest.param(lambda text: text[:20], id="cut"),
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda _: "{}", id="plain-json"),
        pytest.param(lambda _: "gASVCAAAAAAAAACMBHBhc3OULg==", id="pickle"),
        pytest.param(lambda _: Seal(b"\1" * 32).close({"a": 1}), id="another-key"),
    ],
)
def test_anything_else_is_refused(alter: Callable[[str], str]) -> None:
    with pytest.raises(SealBroken):
        SEAL.open(alter(SEAL.close({"secret": "4000-1234"})))


def test_nothing_of_a_value_can_be_read() -> None:
    assert "4000" not in SEAL.close({"secret": "4000-1234"})

"""Seals: what lies in the database is readable with the run's key alone, and only as written."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.errors import SealBroken
from orchestration.seal import Seal, derived

SEAL = Seal(derived(bytes(32)))
RUN = "0199"

json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(json)
def test_what_is_sealed_is_found_again(value: object) -> None:
    text = SEAL.close(RUN, value)
    assert SEAL.open(text) == value
    assert SEAL.close(RUN, value) != text


@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(lambda text: text[:-4] + "AAA=", id="end-altered"),
        pytest.param(lambda text: text.replace(".", ".AAAA"), id="nonce-altered"),
        pytest.param(lambda text: text[:20], id="cut"),
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda _: "{}", id="plain-json"),
        pytest.param(lambda _: "gASVCAAAAAAAAACMBHBhc3OULg==", id="pickle"),
        pytest.param(
            lambda _: Seal(derived(b"\1" * 32)).close(RUN, {"a": 1}), id="another-gateways-key"
        ),
        pytest.param(lambda text: text.replace(RUN, "0198"), id="of-another-run"),
        pytest.param(lambda text: text.replace(f"{RUN}.", ""), id="of-no-run"),
    ],
)
def test_anything_else_is_refused(alter: Callable[[str], str]) -> None:
    with pytest.raises(SealBroken):
        SEAL.open(alter(SEAL.close(RUN, {"secret": "4000-1234"})))


def test_nothing_of_a_value_can_be_read() -> None:
    assert "4000" not in SEAL.close(RUN, {"secret": "4000-1234"})


def test_who_holds_the_key_of_one_run_opens_no_other() -> None:
    mine = derived(bytes(32))(RUN)

    def held(run: str) -> bytes:
        if run != RUN:
            raise SealBroken("not carried here")
        return mine

    carrier = Seal(held)
    assert carrier.open(SEAL.close(RUN, 7)) == 7
    other = SEAL.close("0198", 7)
    for text in (other, other.replace("0198", RUN)):
        with pytest.raises(SealBroken):
            carrier.open(text)

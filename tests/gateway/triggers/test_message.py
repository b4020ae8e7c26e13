"""Signed messages: the vectors of the specification, and every way to be wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import RequestRefused
from gateway.operator.columns import COLUMNS
from gateway.triggers.message import check
from policies.trigger import QUALIFIERS

# Of the specification's reference libraries (standardwebhooks.com).
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
HEADERS = {
    b"webhook-id": b"msg_p5jXN8AQM9LWM0D4loKWxJek",
    b"webhook-timestamp": b"1614265330",
    b"webhook-signature": b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
NOW = 1_614_265_330


def test_the_vector_of_the_specification_fits() -> None:
    assert check(HEADERS, BODY, SECRET, NOW) == "msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_one_of_several_signatures_is_enough() -> None:
    both = b"v1,AAAA v2,AAAA " + HEADERS[b"webhook-signature"]
    assert check({**HEADERS, b"webhook-signature": both}, BODY, SECRET, NOW)


@given(st.binary(max_size=40))
def test_another_body_does_not_fit(body: bytes) -> None:
    if body != BODY:
        with pytest.raises(RequestRefused, match="not signed"):
            check(HEADERS, body, SECRET, NOW)


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=80))
def test_what_is_no_signature_is_refused_and_breaks_nothing(text: str) -> None:
    with pytest.raises(RequestRefused, match="not signed"):
        check({**HEADERS, b"webhook-signature": text.encode("latin-1")}, BODY, SECRET, NOW)


@pytest.mark.parametrize("name", list(HEADERS))
def test_nothing_may_be_missing(name: bytes) -> None:
    with pytest.raises(RequestRefused, match="not signed"):
        check({key: value for key, value in HEADERS.items() if key != name}, BODY, SECRET, NOW)


@pytest.mark.parametrize(
    ("ahead", "fits"), [(300, True), (301, False), (-300, True), (-301, False)]
)
def test_a_message_is_good_for_a_while(ahead: int, *, fits: bool) -> None:
    if fits:
        assert check(HEADERS, BODY, SECRET, NOW + ahead)
    else:
        with pytest.raises(RequestRefused) as refused:
            check(HEADERS, BODY, SECRET, NOW + ahead)
        assert refused.value.code == "trigger.time"


def test_policies_tell_entries_by_what_a_search_does() -> None:
    assert {*COLUMNS, "kind", "id", "boot"} == QUALIFIERS

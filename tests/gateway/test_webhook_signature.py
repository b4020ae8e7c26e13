"""What we sign for others is what we take from others, and nothing else is."""

from base64 import b64encode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import RequestRefused
from gateway.notices.message import Secret
from gateway.triggers.message import check

NOW = 1_614_265_330
keys = st.binary(min_size=24, max_size=64)


def sent(key: bytes, body: bytes) -> dict[bytes, bytes]:
    """The headers that a receiver of ours would be sent."""
    headers = Secret(key).headers("m1", NOW, body)
    return {name.encode(): value.encode() for name, value in headers.items()}


def written(key: bytes) -> str:
    return f"whsec_{b64encode(key).decode()}"


@given(keys, st.binary(max_size=40))
def test_a_message_of_ours_is_one_that_we_would_take(key: bytes, body: bytes) -> None:
    assert check(sent(key, body), body, written(key), NOW) == "m1"
    assert Secret.read(written(key)) == Secret(key)


@given(keys, keys)
@example(bytes(24), bytes(25))
def test_a_message_under_another_secret_is_refused(key: bytes, other: bytes) -> None:
    if key.ljust(64, b"\0") != other.ljust(64, b"\0"):  # HMAC fills keys up (RFC 2104)
        with pytest.raises(RequestRefused, match="not signed"):
            check(sent(key, b"{}"), b"{}", written(other), NOW)


@pytest.mark.parametrize("header", [b"webhook-id", b"webhook-timestamp"])
def test_neither_id_nor_time_can_be_exchanged(header: bytes) -> None:
    headers = sent(b"k" * 24, b"{}")
    headers[header] = {b"webhook-id": b"m2", b"webhook-timestamp": b"%d" % (NOW + 1)}[header]
    with pytest.raises(RequestRefused, match="not signed"):
        check(headers, b"{}", written(b"k" * 24), NOW)

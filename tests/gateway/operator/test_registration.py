"""What an authenticator answers when it makes a passkey: read as it is, or refused, never more."""

from hashlib import sha256

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import AssertionRefused
from gateway.identity.passkeys import Site
from gateway.operator.registration import MAX_ID_BYTES, read
from tests.harness.authenticator import Authenticator, b64, make_key, unb64

SITE = Site("console.acme.example", "https://console.acme.example")
CHALLENGE = sha256(b"register").digest()
KEYS = {algorithm: make_key(algorithm) for algorithm in ("ES256", "EdDSA", "RS256")}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.binary(max_size=80) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


def device(algorithm: str = "ES256", **more: bytes) -> Authenticator:
    return Authenticator(SITE.rp_id, SITE.origin, KEYS[algorithm], **more)  # type: ignore[arg-type]  # id alone


@pytest.mark.parametrize("algorithm", KEYS)
def test_what_was_made_is_read(algorithm: str) -> None:
    by = device(algorithm)
    answer = by.create(CHALLENGE)
    made = read(answer["client_data"], answer["attestation"], challenge=CHALLENGE, site=SITE)
    assert (made.id, made.count, str(made.key)) == (by.name, 1, str(by.key))


@pytest.mark.parametrize("length", [0, MAX_ID_BYTES + 1])
def test_an_id_of_no_length_or_too_much_is_refused(length: int) -> None:
    answer = device(id=b"x" * length).create(CHALLENGE)
    with pytest.raises(AssertionRefused):
        read(answer["client_data"], answer["attestation"], challenge=CHALLENGE, site=SITE)


@given(members=st.dictionaries(st.sampled_from(["fmt", "attStmt", "authData"]), VALUES))
def test_whatever_else_it_is_is_refused_and_nothing_else_happens(
    members: dict[str, object],
) -> None:
    answer = device().create(CHALLENGE)
    attestation = b64(cbor2.dumps(members))
    with pytest.raises(AssertionRefused):
        read(answer["client_data"], attestation, challenge=CHALLENGE, site=SITE)


@given(raw=st.binary(max_size=300))
def test_bytes_that_mean_nothing_are_refused(raw: bytes) -> None:
    answer = device().create(CHALLENGE)
    with pytest.raises(AssertionRefused):
        read(answer["client_data"], b64(raw), challenge=CHALLENGE, site=SITE)


@given(at=st.integers(0, 2**16), bit=st.integers(0, 7))
def test_a_changed_bit_makes_another_passkey_or_none(at: int, bit: int) -> None:
    """Without an attestation nothing is signed yet: what was altered is of no use to its owner."""
    by = device("EdDSA")
    answer = by.create(CHALLENGE)
    altered = bytearray(unb64(answer["attestation"]))
    altered[at % len(altered)] ^= 1 << bit
    try:
        made = read(answer["client_data"], b64(bytes(altered)), challenge=CHALLENGE, site=SITE)
    except AssertionRefused:
        return
    assert made.key.algorithm == "EdDSA"

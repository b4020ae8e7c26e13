"""Assertions: believed of that passkey alone, made there, by a person who was verified."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import cbor2
import pytest
import webauthn
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from audit.assertion import MAX_BYTES, Assertion, PasskeyKey, check, has_grown
from audit.errors import AssertionRefused
from tests.harness.authenticator import (
    BACKED_UP,
    CREDENTIAL,
    ELIGIBLE,
    EXTENSIONS,
    PRESENT,
    VERIFIED,
    Authenticator,
    b64,
    make_key,
)

RP_ID, ORIGIN = "console.acme.example", "https://console.acme.example"
CHALLENGE = sha256(b"what somebody was shown").digest()
ALGORITHMS = ("ES256", "EdDSA", "RS256")
KEYS = {algorithm: make_key(algorithm) for algorithm in ALGORITHMS}


def passkey(algorithm: str = "ES256") -> Authenticator:
    return Authenticator(RP_ID, ORIGIN, KEYS[algorithm])


def checked(by: Authenticator, assertion: Assertion, **changes: Any) -> int:  # noqa: ANN401 - as `check`
    asked = {"challenge": CHALLENGE, "key": by.key, "rp_id": RP_ID, "origin": ORIGIN, **changes}
    return check(assertion, **asked)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_a_passkey_signed_is_known_again_from_what_an_entry_holds(algorithm: str) -> None:
    by = passkey(algorithm)
    by.count = 41
    written = json.dumps({"key": str(by.key), "assertion": by.assertion(CHALLENGE).to_json()})
    read = json.loads(written)
    key, assertion = PasskeyKey.read(read["key"]), Assertion.read(read["assertion"])
    assert key.algorithm == algorithm
    assert checked(by, assertion, key=key) == 42


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_another_implementation_agrees(algorithm: str) -> None:
    by = passkey(algorithm)
    assertion = by.assertion(CHALLENGE)
    parts = assertion.to_json()
    credential = {
        "id": by.name,
        "rawId": by.name,
        "type": "public-key",
        "response": {
            "clientDataJSON": parts["client_data"],
            "authenticatorData": parts["authenticator_data"],
            "signature": parts["signature"],
        },
    }
    found = webauthn.verify_authentication_response(
        credential=credential,
        expected_challenge=CHALLENGE,
        expected_rp_id=RP_ID,
        expected_origin=ORIGIN,
        credential_public_key=cbor2.dumps(by.cose()),
        credential_current_sign_count=0,
        require_user_verification=True,
    )
    assert found.new_sign_count == checked(by, assertion) == 1


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        pytest.param({"flags": PRESENT}, "not verified", id="a-touch-alone"),
        pytest.param({"flags": VERIFIED}, "not verified", id="nobody-there"),
        pytest.param({"flags": 0}, "not verified", id="no-flags"),
        pytest.param({"flags": 5 | BACKED_UP}, "backed up", id="an-impossible-backup"),
        pytest.param({"flags": 5 | CREDENTIAL}, "length", id="a-credential-is-said-to-follow"),
        pytest.param({"flags": 5 | EXTENSIONS}, "length", id="extensions-are-said-to-follow"),
        pytest.param({"more": b"\xa0"}, "length", id="something-follows-that-is-not-said"),
        pytest.param({"rp_id": "evil.example"}, "another name", id="another-name"),
        pytest.param({"rp_id": "acme.example"}, "another name", id="the-name-above"),
        pytest.param({"rp_id": RP_ID.upper()}, "another name", id="the-name-in-capitals"),
        pytest.param({"origin": "https://evil.example"}, "another origin", id="another-origin"),
        pytest.param({"origin": f"{ORIGIN}:443"}, "another origin", id="with-its-port"),
        pytest.param({"origin": f"{ORIGIN}/"}, "another origin", id="with-a-slash"),
        pytest.param({"origin": f"{ORIGIN}.evil.example"}, "another origin", id="a-longer-one"),
        pytest.param({"origin": "http://console.acme.example"}, "another origin", id="plain"),
        pytest.param({"origin": None}, "another origin", id="no-origin"),
        pytest.param({"origin": [ORIGIN]}, "another origin", id="a-list-of-origins"),
        pytest.param({"crossOrigin": True}, "frame", id="in-a-frame"),
        pytest.param({"crossOrigin": "false"}, "frame", id="in-a-frame-as-text"),
        pytest.param({"crossOrigin": 0}, "frame", id="in-a-frame-as-number"),
        pytest.param({"topOrigin": ORIGIN}, "frame", id="with-a-page-above"),
        pytest.param({"type": "webauthn.create"}, "ceremony", id="made-when-registering"),
        pytest.param({"type": "payment.get"}, "ceremony", id="made-when-paying"),
        pytest.param({"challenge": b64(bytes(32))}, "another challenge", id="another-challenge"),
        pytest.param({"challenge": b64(CHALLENGE) + "="}, "another challenge", id="padded"),
        pytest.param({"challenge": CHALLENGE.hex()}, "another challenge", id="in-hex"),
        pytest.param({"challenge": None}, "another challenge", id="no-challenge"),
    ],
)
def test_what_was_not_asked_for_like_this_is_refused_though_it_is_signed(
    changes: dict[str, Any], complaint: str
) -> None:
    by = passkey()
    with pytest.raises(AssertionRefused, match=complaint):
        checked(by, by.assertion(CHALLENGE, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"crossOrigin": None}, id="an-earlier-browser"),
        pytest.param({"other_keys_can_be_added_here": "do not compare"}, id="a-new-member"),
        pytest.param({"flags": 5 | ELIGIBLE | BACKED_UP}, id="a-backed-up-one"),
        pytest.param({"flags": 5 | EXTENSIONS, "more": b"\xa0"}, id="an-extension-that-answers"),
    ],
)
def test_what_browsers_and_authenticators_may_add_is_passed_over(changes: dict[str, Any]) -> None:
    by = passkey()
    assert checked(by, by.assertion(CHALLENGE, **changes)) == 1


def twice(member: str) -> bytes:
    said = passkey().client_data(CHALLENGE, "webauthn.get")
    return said[:-1] + f',"{member}":"https://evil.example"}}'.encode()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"\xef\xbb\xbf{}", id="a-byte-order-mark"),
        pytest.param(b"\xff", id="no-text"),
        pytest.param(b"{" + b" " * MAX_BYTES + b"}", id="too-long"),
        pytest.param(b'{"a":' * 99 + b"1" + b"}" * 99, id="too-deep"),
        pytest.param(twice("origin"), id="two-origins"),
        pytest.param(twice("challenge"), id="two-challenges"),
    ],
)
def test_client_data_that_can_be_read_in_two_ways_is_refused(text: bytes) -> None:
    by = passkey()
    honest = by.assertion(CHALLENGE)
    signed = by.sign(honest.authenticator_data + sha256(text).digest())
    with pytest.raises(AssertionRefused):
        checked(by, replace(honest, client_data=text, signature=signed))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_another_passkeys_signature_is_refused(algorithm: str) -> None:
    by, other = passkey(algorithm), Authenticator(RP_ID, ORIGIN, make_key(algorithm))
    with pytest.raises(AssertionRefused, match="not signed"):
        checked(by, other.assertion(CHALLENGE))


@pytest.mark.parametrize("theirs", ALGORITHMS)
@pytest.mark.parametrize("ours", ALGORITHMS)
def test_a_key_is_good_for_its_own_algorithm_alone(ours: str, theirs: str) -> None:
    if ours != theirs:
        with pytest.raises(AssertionRefused, match="not signed"):
            checked(passkey(ours), passkey(theirs).assertion(CHALLENGE))


@given(at=st.integers(0, 2**16), bit=st.integers(0, 7), part=st.sampled_from(Assertion.__slots__))
def test_no_bit_of_an_assertion_can_be_changed(at: int, bit: int, part: str) -> None:
    by = passkey("EdDSA")
    honest = by.assertion(CHALLENGE)
    altered = bytearray(getattr(honest, part))
    altered[at % len(altered)] ^= 1 << bit
    with pytest.raises(AssertionRefused):
        checked(by, replace(honest, **{part: bytes(altered)}))


@given(text=st.text(max_size=60) | st.none() | st.integers())
def test_what_is_no_base64url_is_no_part(text: object) -> None:
    parts = passkey().assertion(CHALLENGE).to_json()
    if text != parts["signature"]:
        with pytest.raises(AssertionRefused):
            checked(passkey(), Assertion.read({**parts, "signature": text}))  # type: ignore[dict-item]  # on purpose


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({}, id="none"),
        pytest.param({"client_data": "e30", "authenticator_data": "AA"}, id="two"),
        pytest.param(
            {"client_data": "e30", "authenticator_data": "AA", "signature": "AA", "x": "AA"},
            id="four",
        ),
        pytest.param(
            {"client_data": "e30", "authenticator_data": "AB", "signature": "AA"},
            id="another-spelling",
        ),
        pytest.param(
            {"client_data": "e30=", "authenticator_data": "AA", "signature": "AA"}, id="padded"
        ),
        pytest.param(
            {"client_data": "A" * 5, "authenticator_data": "AA", "signature": "AA"}, id="cut"
        ),
        pytest.param(
            {"client_data": "A" * 40_000, "authenticator_data": "AA", "signature": "AA"},
            id="too-long",
        ),
    ],
)
def test_an_assertion_has_three_parts_in_one_spelling(members: dict[str, Any]) -> None:
    with pytest.raises(AssertionRefused):
        Assertion.read(members)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(lambda: ec.generate_private_key(ec.SECP384R1()), id="another-curve"),
        pytest.param(lambda: rsa.generate_private_key(65_537, 1024), id="short"),  # noqa: S505 - on purpose
    ],
)
def test_a_key_of_another_kind_is_no_passkeys(key: Any) -> None:  # noqa: ANN401 - any key
    with pytest.raises(AssertionRefused):
        PasskeyKey.of(key().public_key())


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "A" * 50_000])
def test_a_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(AssertionRefused):
        PasskeyKey.read(text)


def test_a_challenge_of_another_length_is_a_mistake_of_ours() -> None:
    by = passkey()
    with pytest.raises(ValueError, match="32 bytes"):
        checked(by, by.assertion(b"short"), challenge=b"short")


@pytest.mark.parametrize(
    ("before", "now", "grown"),
    [(0, 0, True), (0, 1, True), (1, 2, True), (1, 1, False), (2, 1, False), (1, 0, False)],
)
def test_a_count_grows_or_stays_nothing(before: int, now: int, *, grown: bool) -> None:
    assert has_grown(before, now) is grown

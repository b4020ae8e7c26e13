"""Public keys: two kinds, public parts only, one spelling each."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.errors import PublicKeyRefused
from gateway.identity.public_keys import MAX_KEYS, PublicKey, read_keys
from tests.gateway.identity.signing import Key, without

ED, EC = Key.ed25519().jwk, Key.p256().jwk

RFC8037: dict[str, Any] = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
"""RFC 8037, appendix A.2; its thumbprint is in A.3."""


def test_a_thumbprint_is_that_of_the_standard() -> None:
    assert PublicKey.of_jwk(RFC8037).thumbprint == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize(("jwk", "algorithm"), [(ED, "EdDSA"), (EC, "ES256")])
def test_a_key_is_good_for_one_algorithm(jwk: dict[str, Any], algorithm: str) -> None:
    described = jwk | {"kid": "k1", "use": "sig", "alg": algorithm, "key_ops": ["verify"]}
    assert PublicKey.of_jwk(described).algorithm == algorithm
    assert PublicKey.of_jwk(described).id == "k1"
    assert PublicKey.of_jwk(described).thumbprint == PublicKey.of_jwk(jwk).thumbprint


@pytest.mark.parametrize(
    "jwk",
    [
        pytest.param("text", id="a-text"),
        pytest.param({}, id="nothing"),
        pytest.param(ED | {"d": ED["x"]}, id="private"),
        pytest.param(EC | {"d": EC["x"]}, id="private-ec"),
        pytest.param({"kty": "oct", "k": "c2VjcmV0"}, id="symmetric"),
        pytest.param({"kty": "RSA", "n": "AQAB", "e": "AQAB"}, id="rsa"),
        pytest.param(ED | {"crv": "X25519"}, id="for-agreement"),
        pytest.param(ED | {"crv": "Ed448"}, id="ed448"),
        pytest.param(EC | {"crv": "secp256k1"}, id="other-curve"),
        pytest.param(EC | {"kty": "OKP", "crv": "Ed25519"}, id="one-coordinate-too-many"),
        pytest.param(without(EC, "y"), id="one-coordinate-missing"),
        pytest.param(without(ED, "crv"), id="no-curve"),
        pytest.param(ED | {"kty": ["OKP"]}, id="kind-is-a-list"),
        pytest.param(ED | {"x": ED["x"] + "="}, id="padded"),
        pytest.param(ED | {"x": ED["x"][:-1]}, id="short"),
        pytest.param(ED | {"x": 1}, id="number"),
        pytest.param(EC | {"y": EC["x"]}, id="not-on-the-curve"),
        pytest.param(EC | {"x": "A" * 43, "y": "A" * 43}, id="zero"),
        pytest.param(ED | {"alg": "ES256"}, id="other-algorithm"),
        pytest.param(ED | {"alg": "none"}, id="no-algorithm"),
        pytest.param(ED | {"use": "enc"}, id="for-encryption"),
        pytest.param(ED | {"key_ops": ["sign"]}, id="for-signing"),
        pytest.param(ED | {"x5u": "https://evil.example/cert"}, id="address"),
        pytest.param(ED | {"x5c": ["AA"]}, id="certificate"),
        pytest.param(ED | {"kid": ""}, id="empty-id"),
        pytest.param(ED | {"kid": 7}, id="number-as-id"),
        pytest.param(ED | {"kid": "a b"}, id="blank-in-id"),
    ],
)
def test_what_is_no_public_key_of_these_kinds_is_refused(jwk: Any) -> None:  # noqa: ANN401
    with pytest.raises(PublicKeyRefused) as refused:
        PublicKey.of_jwk(jwk)
    assert ED["x"] not in str(refused.value)


def test_a_file_holds_one_key_or_a_set() -> None:
    assert len(read_keys(json.dumps(ED).encode())) == 1
    assert len(read_keys(json.dumps({"keys": [ED, EC]}).encode())) == 2


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"-----BEGIN PUBLIC KEY-----", id="pem"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'{"keys": []}', id="no-keys"),
        pytest.param(b'{"keys": {}}', id="keys-are-no-list"),
        pytest.param(json.dumps({"keys": [ED] * (MAX_KEYS + 1)}).encode(), id="many"),
        pytest.param(
            json.dumps({"keys": [ED | {"kid": "a"}, EC | {"kid": "a"}]}).encode(), id="one-id-twice"
        ),
        pytest.param(json.dumps(ED)[:-1].encode() + b',"kty":"oct"}', id="member-twice"),
    ],
)
def test_a_file_of_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(PublicKeyRefused):
        read_keys(text)


@given(st.recursive(st.none() | st.text() | st.integers(), st.lists))
def test_any_value_is_a_key_or_refused(value: Any) -> None:  # noqa: ANN401
    for jwk in (value, {"kty": value}, ED | {"x": value}, ED | {"kid": value}):
        try:
            PublicKey.of_jwk(jwk)
        except PublicKeyRefused:
            continue

"""Bearer tokens: one header, one scheme, one token."""

from pathlib import Path

import pytest

from gateway.epoch import Epoch
from gateway.faces.bearer import Bearer
from gateway.identity.errors import AuthError
from gateway.identity.keys import KeySet
from gateway.identity.revocation import Revocations
from gateway.identity.tokens import Issuer, TokenCheck
from gateway.principal import Principal

URL = "http://127.0.0.1:7300"
NOW = 1_795_154_745
CLERK = Principal(
    "clerk", "ana", frozenset(), (), "session-1", ("ledger.pay",), 1, "token-1", NOW, NOW + 900
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeySet:
    folder: Path = tmp_path_factory.mktemp("bearer") / "keys"
    return KeySet.open(folder, NOW)


@pytest.fixture
def bearer(keys: KeySet) -> Bearer:
    epoch = Epoch()
    check = TokenCheck(keys, Revocations(epoch), epoch, public_url=URL, skew_s=10)
    return Bearer(check, lambda: NOW + 1)


@pytest.fixture(scope="module")
def token(keys: KeySet) -> bytes:
    return Issuer(keys, public_url=URL).issue(CLERK).encode()


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER  "])
def test_a_good_token_is_its_principal(bearer: Bearer, token: bytes, scheme: bytes) -> None:
    headers = [(b"host", b"x"), (b"authorization", scheme + token)]
    assert bearer(headers) == CLERK


def test_without_the_header_a_credential_is_missing(bearer: Bearer, token: bytes) -> None:
    with pytest.raises(AuthError) as refused:
        bearer([(b"x-authorization", b"Bearer " + token), (b"cookie", b"token=" + token)])
    assert refused.value.code == "auth.missing"


@pytest.mark.parametrize(
    "shape",
    ["{}", "Basic {}", "Bearer", "Bearer ", "Bearer{}", "Bearer {} {}", "Bearer {},x", "Bearer é"],
)
def test_another_shape_is_no_credential(bearer: Bearer, token: bytes, shape: str) -> None:
    value = shape.replace("{}", token.decode()).encode("latin-1")
    with pytest.raises(AuthError) as refused:
        bearer([(b"authorization", value)])
    assert refused.value.code == "auth.invalid"
    assert token.decode() not in str(refused.value)


def test_two_credentials_are_none(bearer: Bearer, token: bytes) -> None:
    header = (b"authorization", b"Bearer " + token)
    with pytest.raises(AuthError) as refused:
        bearer([header, header])
    assert refused.value.code == "auth.invalid"

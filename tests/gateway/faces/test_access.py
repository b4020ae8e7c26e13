"""Access tokens in requests: one header, one scheme, one token; a bound one with its proof."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest

from gateway.epoch import Epoch
from gateway.errors import GatewayError, RequestRefused
from gateway.faces.access import Access
from gateway.faces.http import EdgeRules, Headers, Scope, read_head
from gateway.identity.dpop import Proofs
from gateway.identity.errors import AuthError
from gateway.identity.keys import KeySet
from gateway.identity.revocation import Revocations
from gateway.identity.tokens import Issuer, TokenCheck
from gateway.principal import Principal
from tests.gateway.faces.conftest import Agent
from tests.gateway.identity.signing import Key, base64

URL = "http://127.0.0.1:7300"
HOST = b"127.0.0.1:7300"
NOW = 1_795_154_745
HOLDER = Key.ed25519()
CLERK = Principal(
    "clerk", "ana", frozenset(), (), "session-1", ("ledger.pay",), 1, "token-1", NOW, NOW + 900
)
BOUND = replace(CLERK, bound_to=HOLDER.public.thumbprint, token_id="token-2")
NUMBERS = count()


@dataclass
class Door:
    """The check of one process, and tokens that it would take."""

    access: Access
    proofs: Proofs
    token: bytes
    bound: bytes

    def enter(self, headers: Headers, path: str = "/mcp", raw: bytes | None = None) -> Principal:
        scope: Scope = {"method": "POST", "path": path, "headers": [(b"host", HOST), *headers]}
        head = read_head(scope, EdgeRules(URL, frozenset({HOST})))
        principal, lines = self.access(scope if raw is None else {**scope, "raw_path": raw}, head)
        nonce = self.proofs.nonce(NOW + 1).encode()
        assert lines == (() if principal.bound_to is None else ((b"dpop-nonce", nonce),))
        return principal

    def refused(self, headers: Headers) -> GatewayError:
        with pytest.raises((AuthError, RequestRefused)) as refused:
            self.enter(headers)
        assert self.token.decode() not in str(refused.value)
        assert self.bound.decode() not in str(refused.value)
        return refused.value

    def proof(self, key: Key = HOLDER, **changes: object) -> tuple[bytes, bytes]:
        stated: dict[str, object] = {
            "htm": "POST",
            "htu": f"{URL}/mcp",
            "iat": NOW,
            "jti": f"proof-number-{next(NUMBERS)}",
            "ath": base64(sha256(self.bound).digest()),
            "nonce": self.proofs.nonce(NOW),
        }
        header = {"typ": "dpop+jwt", "alg": key.algorithm, "jwk": key.jwk}
        return b"dpop", key.jwt(header, stated | changes).encode()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeySet:
    folder: Path = tmp_path_factory.mktemp("access") / "keys"
    return KeySet.open(folder, NOW)


@pytest.fixture
def door(keys: KeySet) -> Door:
    epoch = Epoch()
    check = TokenCheck(keys, Revocations(epoch), epoch, public_url=URL, skew_s=10)
    proofs = Proofs(bytes(32), skew_s=10)
    issuer = Issuer(keys, public_url=URL)
    return Door(
        Access(check, proofs, lambda: NOW + 1, public_url=URL),
        proofs,
        issuer.issue(CLERK).encode(),
        issuer.issue(BOUND).encode(),
    )


def authorization(scheme: bytes, token: bytes) -> tuple[bytes, bytes]:
    return b"authorization", scheme + token


# -- plain tokens


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER  "])
def test_a_good_token_is_its_principal(door: Door, scheme: bytes) -> None:
    assert door.enter([authorization(scheme, door.token)]) == CLERK


def test_without_the_header_a_credential_is_missing(door: Door) -> None:
    headers = [(b"x-authorization", b"Bearer " + door.token), (b"cookie", b"token=" + door.token)]
    refused = door.refused(headers)
    assert isinstance(refused, AuthError)
    assert (refused.code, refused.nonce) == ("auth.missing", None)


@pytest.mark.parametrize(
    "shape",
    [
        "{}",
        "Basic {}",
        "Bearer",
        "Bearer ",
        "Bearer{}",
        "Bearer {} {}",
        "Bearer {},x",
        "Bearer é",
        "DPoP",
        "DPoP {} {}",
        "Bearer DPoP {}",
    ],
)
def test_another_shape_is_no_credential(door: Door, shape: str) -> None:
    value = shape.replace("{}", door.token.decode()).encode("latin-1")
    assert door.refused([(b"authorization", value)]).code == "auth.invalid"


def test_two_credentials_are_none(door: Door) -> None:
    header = authorization(b"Bearer ", door.token)
    assert door.refused([header, header]).code == "request.malformed"


# -- tokens that are bound to a key


@pytest.mark.parametrize("scheme", [b"DPoP ", b"dpop ", b"DPOP  "])
def test_a_bound_token_with_its_proof_is_its_principal(door: Door, scheme: bytes) -> None:
    assert door.enter([authorization(scheme, door.bound), door.proof()]) == BOUND


def test_each_request_needs_a_proof_of_its_own(door: Door) -> None:
    headers = [authorization(b"DPoP ", door.bound), door.proof()]
    door.enter(headers)
    assert door.refused(headers).code == "auth.proof"
    assert door.refused(headers[:1]).code == "auth.proof"
    door.enter([headers[0], door.proof()])


def test_a_path_is_what_was_sent(door: Door) -> None:
    headers = [authorization(b"DPoP ", door.bound), door.proof(htu=f"{URL}/v1/tools/a/b%2Fc")]
    assert door.enter(headers, path="/v1/tools/a/b/c", raw=b"/v1/tools/a/b%2Fc") == BOUND


Change = Callable[[Door], Headers]


@pytest.mark.parametrize(
    ("code", "change"),
    [
        pytest.param(
            "auth.proof", lambda d: [authorization(b"Bearer ", d.bound)], id="as-a-bearer-token"
        ),
        pytest.param(
            "auth.proof",
            lambda d: [authorization(b"Bearer ", d.bound), d.proof()],
            id="as-a-bearer-token-with-proof",
        ),
        pytest.param("auth.proof", lambda d: [authorization(b"DPoP ", d.bound)], id="no-proof"),
        pytest.param(
            "request.malformed",
            lambda d: [authorization(b"DPoP ", d.bound), d.proof(), d.proof()],
            id="two-proofs",
        ),
        pytest.param(
            "auth.proof",
            lambda d: [authorization(b"DPoP ", d.token), d.proof()],
            id="a-token-that-is-not-bound",
        ),
        pytest.param(
            "auth.proof",
            lambda d: [authorization(b"DPoP ", d.bound), d.proof(Key.ed25519())],
            id="another-key",
        ),
        pytest.param(
            "auth.proof",
            lambda d: [authorization(b"DPoP ", d.bound), d.proof(htm="GET")],
            id="another-method",
        ),
        pytest.param(
            "auth.proof",
            lambda d: [authorization(b"DPoP ", d.bound), d.proof(htu=f"{URL}/mcp/git")],
            id="another-endpoint",
        ),
        pytest.param(
            "auth.proof",
            lambda d: [
                authorization(b"DPoP ", d.bound),
                d.proof(ath=base64(sha256(d.token).digest())),
            ],
            id="another-token",
        ),
        pytest.param(
            "auth.nonce",
            lambda d: [authorization(b"DPoP ", d.bound), d.proof(nonce="old")],
            id="no-good-nonce",
        ),
        pytest.param(
            "auth.invalid",
            lambda d: [authorization(b"DPoP ", d.bound + b"A"), d.proof()],
            id="a-forged-token",
        ),
    ],
)
def test_a_bound_token_without_its_own_proof_is_no_credential(
    door: Door, code: str, change: Change
) -> None:
    refused = door.refused(change(door))
    assert refused.code == code
    if isinstance(refused, AuthError):
        assert refused.nonce == door.proofs.nonce(NOW + 1)


# -- what the answer says


async def test_the_next_nonce_comes_with_each_answer_to_a_proof(agent: Agent) -> None:
    answered = await agent.of(token=b"bound").send(b"{}")
    assert answered.headers["dpop-nonce"] == "fresh"
    assert "dpop-nonce" not in (await agent.send(b"{}")).headers

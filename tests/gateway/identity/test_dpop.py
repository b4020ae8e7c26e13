"""Proofs of possession: one good one is good once, for one request; every other proves nothing."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import count
from typing import Any

import pytest

from gateway.identity.dpop import MAX_AGE_S, NONCE_S, Presented, Proofs
from gateway.identity.errors import AuthError
from gateway.identity.replays import Replays
from tests.gateway.identity.signing import Key, base64, compact, with_hmac, without

URL = "https://agents.acme.example/mcp"
NOW = 1_795_154_760  # the first second of a nonce
SKEW = 10
TOKEN = b"header.payload.signature"
HOLDER, OTHER = Key.ed25519(), Key.p256()
ABOUT = Presented("POST", URL, "clerk", TOKEN, HOLDER.public.thumbprint)
NUMBERS = count()


@dataclass
class Desk:
    """One process, and a client that makes proofs for it."""

    proofs: Proofs = field(default_factory=lambda: Proofs(bytes(32), skew_s=SKEW))

    def claims(self, now_s: int = NOW, **changes: object) -> dict[str, Any]:
        stated = {
            "htm": "POST",
            "htu": URL,
            "iat": now_s,
            "jti": f"proof-number-{next(NUMBERS)}",
            "ath": digest(TOKEN),
            "nonce": self.proofs.nonce(now_s),
        }
        return stated | changes

    def proof(self, key: Key = HOLDER, header: object = None, **changes: object) -> str:
        return key.jwt(head(key) if header is None else header, self.claims(**changes))  # type: ignore[arg-type]  # any claims

    def check(self, proof: str, about: Presented = ABOUT, now_s: int = NOW) -> str:
        return self.proofs.check(proof.encode("latin-1"), about, now_s)

    def refused(self, proof: str, about: Presented = ABOUT, now_s: int = NOW) -> str:
        with pytest.raises(AuthError) as found:
            self.check(proof, about, now_s)
        assert not proof or proof not in str(found.value)
        return found.value.code


def head(key: Key = HOLDER, **changes: object) -> dict[str, object]:
    return {"typ": "dpop+jwt", "alg": key.algorithm, "jwk": key.jwk} | changes


def digest(token: bytes) -> str:
    return urlsafe_b64encode(sha256(token).digest()).rstrip(b"=").decode()


@pytest.fixture
def desk() -> Desk:
    return Desk()


# -- what is good


@pytest.mark.parametrize("key", [HOLDER, OTHER], ids=["EdDSA", "ES256"])
def test_a_proof_shows_which_key_is_held(desk: Desk, key: Key) -> None:
    about = replace(ABOUT, bound_to=key.public.thumbprint)
    assert desk.check(desk.proof(key), about) == key.public.thumbprint


def test_where_no_token_is_yet_any_key_may_be_shown(desk: Desk) -> None:
    about = replace(ABOUT, token=None, bound_to=None)
    text = OTHER.jwt(head(OTHER), without(desk.claims(), "ath"))
    assert desk.check(text, about) == OTHER.public.thumbprint


def test_a_key_may_be_described_and_claims_added(desk: Desk) -> None:
    jwk = HOLDER.jwk | {"kid": "k1", "use": "sig"}
    assert desk.check(desk.proof(header=head(jwk=jwk), note="x")) == HOLDER.public.thumbprint


def test_a_nonce_is_good_for_the_time_it_is_given_out_and_once_more(desk: Desk) -> None:
    nonce = desk.proofs.nonce(NOW)
    for late in (0, NONCE_S - 1, NONCE_S, 2 * NONCE_S - 1):
        text = desk.proof(now_s=NOW + late, nonce=nonce)
        assert desk.check(text, now_s=NOW + late)
    text = desk.proof(now_s=NOW + 2 * NONCE_S, nonce=nonce)
    assert desk.refused(text, now_s=NOW + 2 * NONCE_S) == "auth.nonce"


# -- replays


def test_a_proof_is_good_once(desk: Desk) -> None:
    text = desk.proof()
    desk.check(text)
    assert desk.refused(text) == "auth.proof"


def test_a_proof_is_good_once_as_long_as_it_could_be_good(desk: Desk) -> None:
    text = desk.proof(iat=NOW + SKEW)
    desk.check(text)
    for late in range(0, 2 * NONCE_S, 5):
        assert desk.refused(text, now_s=NOW + late) in {"auth.proof", "auth.nonce"}


def test_another_signature_on_the_same_proof_is_the_same_proof(desk: Desk) -> None:
    about = replace(ABOUT, bound_to=OTHER.public.thumbprint)
    claims = desk.claims()
    first, second = (OTHER.jwt(head(OTHER), claims) for _ in range(2))
    assert first != second
    desk.check(first, about)
    assert desk.refused(second, about) == "auth.proof"


def test_a_proof_made_before_a_restart_is_refused_after_it(desk: Desk) -> None:
    text = desk.proof()
    desk.check(text)
    assert Desk(Proofs(b"\1" * 32, skew_s=SKEW)).refused(text) == "auth.nonce"


def test_a_proof_that_was_refused_is_not_used_up(desk: Desk) -> None:
    text = desk.proof()
    assert desk.refused(text, replace(ABOUT, url=URL + "/git")) == "auth.proof"
    desk.check(text)


def test_what_was_used_is_remembered_and_no_longer_than_needed() -> None:
    replays = Replays(kept_s=80)
    assert replays.use("clerk", b"1", NOW)
    assert not replays.use("clerk", b"1", NOW + 80)
    assert replays.use("clerk", b"1", NOW + 81)
    assert (len(replays._seen), replays._owned) == (1, {"clerk": 1})


def test_what_does_not_fit_is_refused_and_not_forgotten() -> None:
    replays = Replays(kept_s=80, max_seen=3, max_per_owner=2)
    assert replays.use("clerk", b"1", NOW)
    assert replays.use("clerk", b"2", NOW)
    assert not replays.use("clerk", b"3", NOW), "nobody takes the place of the others"
    assert replays.use("scout", b"4", NOW)
    assert not replays.use("scout", b"5", NOW), "the memory is bounded"
    assert not replays.use("clerk", b"1", NOW), "what was seen stays seen"
    assert replays.use("clerk", b"3", NOW + 81)


# -- what proves nothing

Make = Callable[[Desk], str]

FORGED: dict[str, tuple[str, Make]] = {
    "nothing": ("proof", lambda _: ""),
    "garbage": ("proof", lambda _: "a.b.c"),
    "oversized": ("proof", lambda d: d.proof(note="x" * 4096)),
    "padded": ("proof", lambda d: d.proof() + "="),
    "not-ascii": ("proof", lambda d: d.proof() + "é"),
    "unsigned": ("proof", lambda d: d.proof().rpartition(".")[0] + "."),
    "none": (
        "proof",
        lambda d: f"{base64(compact(head(alg='none')))}.{base64(compact(d.claims()))}.",
    ),
    "none-with-good-signature": ("proof", lambda d: d.proof(header=head(alg="none"))),
    "wrong-algorithm": ("proof", lambda d: d.proof(header=head(alg="ES256"))),
    "rsa": ("proof", lambda d: d.proof(header=head(alg="RS256"))),
    "hmac-with-its-own-jwk": (
        "proof",
        lambda d: with_hmac(head(alg="HS256"), d.claims(), compact(HOLDER.jwk)),
    ),
    "hmac-with-a-symmetric-jwk": (
        "proof",
        lambda d: with_hmac(
            head(alg="HS256", jwk={"kty": "oct", "k": "c2VjcmV0"}), d.claims(), b"secret"
        ),
    ),
    "another-key": ("proof", lambda d: d.proof(OTHER)),
    "another-key-signs": ("proof", lambda d: Key.ed25519().jwt(head(), d.claims())),
    "another-key-inside": ("proof", lambda d: d.proof(header=head(jwk=Key.ed25519().jwk))),
    "private-key-inside": (
        "proof",
        lambda d: d.proof(header=head(jwk=HOLDER.jwk | {"d": HOLDER.jwk["x"]})),
    ),
    "no-key": ("proof", lambda d: d.proof(header=without(head(), "jwk"))),
    "key-by-id": ("proof", lambda d: d.proof(header=without(head(), "jwk") | {"kid": "k1"})),
    "key-by-address": (
        "proof",
        lambda d: d.proof(header=head() | {"jku": "http://127.0.0.1:9/keys"}),
    ),
    "key-and-id": ("proof", lambda d: d.proof(header=head() | {"kid": "k1"})),
    "critical": ("proof", lambda d: d.proof(header=head() | {"crit": ["b64"], "b64": True})),
    "type-of-a-token": ("proof", lambda d: d.proof(header=head(typ="at+jwt"))),
    "type-of-any-jwt": ("proof", lambda d: d.proof(header=head(typ="JWT"))),
    "no-type": ("proof", lambda d: d.proof(header=without(head(), "typ"))),
    "member-twice": (
        "proof",
        lambda d: HOLDER.jwt(head(), compact(d.claims())[:-1] + b',"htm":"GET"}'),
    ),
    "claims-are-a-text": ("proof", lambda _: HOLDER.jwt(head(), '"x"')),
    "other-method": ("proof", lambda d: d.proof(htm="GET")),
    "method-in-lower-case": ("proof", lambda d: d.proof(htm="post")),
    "no-method": ("proof", lambda d: HOLDER.jwt(head(), without(d.claims(), "htm"))),
    "other-path": ("proof", lambda d: d.proof(htu=URL + "/git")),
    "other-host": ("proof", lambda d: d.proof(htu="https://evil.example/mcp")),
    "other-scheme": ("proof", lambda d: d.proof(htu=URL.replace("https", "http"))),
    "with-a-query": ("proof", lambda d: d.proof(htu=URL + "?x=1")),
    "with-a-fragment": ("proof", lambda d: d.proof(htu=URL + "#x")),
    "with-a-slash": ("proof", lambda d: d.proof(htu=URL + "/")),
    "two-addresses": ("proof", lambda d: d.proof(htu=[URL])),
    "no-address": ("proof", lambda d: HOLDER.jwt(head(), without(d.claims(), "htu"))),
    "other-token": ("proof", lambda d: d.proof(ath=digest(b"another"))),
    "no-token": ("proof", lambda d: HOLDER.jwt(head(), without(d.claims(), "ath"))),
    "token-in-hex": ("proof", lambda d: d.proof(ath=sha256(TOKEN).hexdigest())),
    "old": ("proof", lambda d: d.proof(iat=NOW - MAX_AGE_S - SKEW)),
    "from-the-future": ("proof", lambda d: d.proof(iat=NOW + SKEW + 1)),
    "time-is-text": ("proof", lambda d: d.proof(iat=str(NOW))),
    "time-is-true": ("proof", lambda d: d.proof(iat=True)),
    "no-time": ("proof", lambda d: HOLDER.jwt(head(), without(d.claims(), "iat"))),
    "no-id": ("proof", lambda d: HOLDER.jwt(head(), without(d.claims(), "jti"))),
    "short-id": ("proof", lambda d: d.proof(jti="1")),
    "id-is-a-number": ("proof", lambda d: d.proof(jti=12345678)),
    "endless-id": ("proof", lambda d: d.proof(jti="x" * 300)),
    "no-nonce": ("nonce", lambda d: HOLDER.jwt(head(), without(d.claims(), "nonce"))),
    "empty-nonce": ("nonce", lambda d: d.proof(nonce="")),
    "nonce-is-a-number": ("nonce", lambda d: d.proof(nonce=7)),
    "nonce-of-another-process": (
        "nonce",
        lambda d: d.proof(nonce=Proofs(b"\1" * 32, skew_s=SKEW).nonce(NOW)),
    ),
    "nonce-of-tomorrow": ("nonce", lambda d: d.proof(nonce=d.proofs.nonce(NOW + NONCE_S))),
    "nonce-of-long-ago": ("nonce", lambda d: d.proof(nonce=d.proofs.nonce(NOW - 2 * NONCE_S))),
    "nonce-not-ascii": ("nonce", lambda d: d.proof(nonce="é")),
}


@pytest.mark.parametrize(("reason", "make"), FORGED.values(), ids=FORGED.keys())
def test_a_forged_proof_proves_nothing(desk: Desk, reason: str, make: Make) -> None:
    assert desk.refused(make(desk)) == f"auth.{reason}"
    assert not desk.proofs._replays._seen


def test_a_proof_about_a_token_is_none_where_there_is_no_token(desk: Desk) -> None:
    assert desk.refused(desk.proof(), replace(ABOUT, token=None)) == "auth.proof"

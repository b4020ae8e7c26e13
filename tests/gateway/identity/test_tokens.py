"""Tokens: what the gateway signs comes back as it was; everything else is refused, and why."""

import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.epoch import Epoch
from gateway.identity import scopes
from gateway.identity.errors import AuthError
from gateway.identity.keys import KeySet
from gateway.identity.revocation import Revocations
from gateway.identity.tokens import Issuer, TokenCheck
from gateway.principal import Principal

URL = "https://agents.acme.example"
NOW = 1_795_154_745
LIFE = 900
SKEW = 10

STRANGER = Ed25519PrivateKey.generate()


@dataclass(frozen=True)
class Forge:
    """What a forger has: our public key, a good token, and, for what only we could sign, us."""

    keys: KeySet
    good: str

    @property
    def header(self) -> dict[str, Any]:
        return {"alg": "EdDSA", "kid": self.keys.active.id, "typ": "at+jwt"}

    @property
    def claims(self) -> dict[str, Any]:
        claims: dict[str, Any] = json.loads(unbase64(self.good.split(".")[1]))
        return claims

    def signed(
        self,
        header: dict[str, Any] | bytes | None = None,
        claims: dict[str, Any] | list[Any] | bytes | None = None,
        key: Ed25519PrivateKey | None = None,
    ) -> str:
        """A token with a good signature over whatever is given."""
        head = to_bytes(self.header if header is None else header)
        body = to_bytes(self.claims if claims is None else claims)
        text = f"{base64(head)}.{base64(body)}"
        private = self.keys.active.private if key is None else key
        return f"{text}.{base64(private.sign(text.encode()))}"

    def with_header(self, **members: object) -> str:
        return self.signed(header=without_none(self.header | members))

    def with_claims(self, **members: object) -> str:
        return self.signed(claims=without_none(self.claims | members))

    def with_hmac(self, secret: bytes, algorithm: str = "HS256") -> str:
        text = f"{base64(to_bytes(self.header | {'alg': algorithm}))}.{self.good.split('.')[1]}"
        return f"{text}.{base64(hmac.digest(secret, text.encode(), 'sha256'))}"

    def pem(self) -> bytes:
        return self.keys.active.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def parts(self) -> tuple[str, str, str]:
        header, payload, signature = self.good.split(".")
        return header, payload, signature


def without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in members.items() if value is not None}


def to_bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unbase64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def jwk(forge: Forge, key: Ed25519PrivateKey) -> dict[str, str]:
    x = base64(key.public_key().public_bytes_raw())
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": forge.keys.active.id}


def nested(depth: int) -> dict[str, Any]:
    actor: dict[str, Any] = {"sub": "agent:clerk"}
    for _ in range(depth):
        actor = {"sub": "agent:clerk", "act": actor}
    return actor


def flipped(text: str, place: int) -> str:
    return text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]


def loose_end(signature: str) -> str:
    """The same 64 bytes in another spelling: the last character has four bits that no byte uses."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return signature[:-1] + alphabet[alphabet.index(signature[-1]) | 1]


def malleated(signature: str) -> str:
    """The same R with S + L, which satisfies the equation too (RFC 8032, section 8.4)."""
    data = unbase64(signature)
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(data[32:], "little") + order
    return base64(data[:32] + scalar.to_bytes(32, "little"))


def raw(forge: Forge, old: bytes, new: bytes) -> str:
    """A signed payload in which one piece of text is another."""
    payload = to_bytes(forge.claims)
    assert old in payload
    return forge.signed(claims=payload.replace(old, new, 1))


EXP = f'"exp":{NOW + LIFE}'.encode()

Make = Callable[[Forge], str]

FORGED: dict[str, tuple[str, Make]] = {
    # -- algorithm
    "alg-none": ("algorithm", lambda f: f.with_header(alg="none").rsplit(".", 1)[0] + "."),
    "alg-none-signed": ("algorithm", lambda f: f.with_header(alg="none")),
    "alg-none-mixed-case": ("algorithm", lambda f: f.with_header(alg="nOnE")),
    "alg-missing": ("algorithm", lambda f: f.with_header(alg=None)),
    "alg-list": ("algorithm", lambda f: f.with_header(alg=["EdDSA"])),
    "alg-lower-case": ("algorithm", lambda f: f.with_header(alg="eddsa")),
    "alg-ed25519": ("algorithm", lambda f: f.with_header(alg="Ed25519")),
    "hs256-public-pem": ("algorithm", lambda f: f.with_hmac(f.pem())),
    "hs256-public-raw": (
        "algorithm",
        lambda f: f.with_hmac(f.keys.active.public.public_bytes_raw()),
    ),
    "hs256-empty-secret": ("algorithm", lambda f: f.with_hmac(b"")),
    "hs512": ("algorithm", lambda f: f.with_hmac(f.pem(), "HS512")),
    "eddsa-with-hmac": ("invalid", lambda f: f.with_hmac(f.pem(), "EdDSA")),
    "rs256": ("algorithm", lambda f: f.with_header(alg="RS256")),
    # -- keys
    "kid-missing": ("invalid", lambda f: f.with_header(kid=None)),
    "kid-empty": ("invalid", lambda f: f.with_header(kid="")),
    "kid-number": ("invalid", lambda f: f.with_header(kid=1)),
    "kid-list": ("invalid", lambda f: f.with_header(kid=[f.keys.active.id])),
    "kid-path": ("invalid", lambda f: f.with_header(kid="../../../../dev/null")),
    "kid-url": ("invalid", lambda f: f.with_header(kid="https://evil.example/jwks.json")),
    "kid-sql": ("invalid", lambda f: f.with_header(kid="x' UNION SELECT 'key' --")),
    "kid-zero-width": ("invalid", lambda f: f.with_header(kid=f.keys.active.id + "\u200b")),
    "kid-nul": ("invalid", lambda f: f.with_header(kid=f.keys.active.id + "\0")),
    "kid-of-another-set": (
        "invalid",
        lambda f: f.signed(f.header | {"kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"}),
    ),
    "stranger-under-our-kid": ("invalid", lambda f: f.signed(key=STRANGER)),
    "jwk-embedded": (
        "invalid",
        lambda f: f.signed(f.header | {"jwk": jwk(f, STRANGER)}, key=STRANGER),
    ),
    "jwk-of-ours": ("invalid", lambda f: f.with_header(jwk=jwk(f, f.keys.active.private))),
    "jku": ("invalid", lambda f: f.with_header(jku="https://evil.example/jwks.json")),
    "x5u": ("invalid", lambda f: f.with_header(x5u="https://evil.example/chain.pem")),
    "x5c": ("invalid", lambda f: f.with_header(x5c=["MIIB"])),
    # -- header
    "crit": ("invalid", lambda f: f.with_header(crit=["exp"])),
    "crit-empty": ("invalid", lambda f: f.with_header(crit=[])),
    "b64-false": ("invalid", lambda f: f.with_header(b64=False, crit=["b64"])),
    "b64-true": ("invalid", lambda f: f.with_header(b64=True)),
    "zip": ("invalid", lambda f: f.with_header(zip="DEF")),
    "cty-nested": ("invalid", lambda f: f.with_header(cty="JWT")),
    "typ-missing": ("invalid", lambda f: f.with_header(typ=None)),
    "typ-jwt": ("invalid", lambda f: f.with_header(typ="JWT")),
    "typ-upper-case": ("invalid", lambda f: f.with_header(typ="AT+JWT")),
    "typ-long-form": ("invalid", lambda f: f.with_header(typ="application/at+jwt")),
    "typ-dpop": ("invalid", lambda f: f.with_header(typ="dpop+jwt")),
    "typ-list": ("invalid", lambda f: f.with_header(typ=["at+jwt"])),
    "header-member-unknown": ("invalid", lambda f: f.with_header(nonce="x")),
    "header-list": ("invalid", lambda f: f.signed(b'["EdDSA"]')),
    "header-null": ("invalid", lambda f: f.signed(b"null")),
    "header-empty-object": ("algorithm", lambda f: f.signed(b"{}")),
    "header-duplicate-alg": (
        "invalid",
        lambda f: f.signed(to_bytes(f.header).replace(b'"alg"', b'"alg":"none","alg"', 1)),
    ),
    "header-escaped-duplicate": (
        "invalid",
        lambda f: f.signed(to_bytes(f.header)[:-1] + b',"al\\u0067":"none"}'),
    ),
    "header-spaced": ("invalid", lambda f: f.signed(json.dumps(f.header).encode())),
    "header-byte-order-mark": (
        "invalid",
        lambda f: f.signed(b"\xef\xbb\xbf" + to_bytes(f.header)),
    ),
    "header-other-order": (
        "invalid",
        lambda f: f.signed(json.dumps(dict(reversed(f.header.items()))).encode()),
    ),
    "header-not-utf8": ("invalid", lambda f: f.signed(b'{"alg":"EdDSA","kid":"\xff"}')),
    # -- shape
    "empty": ("missing", lambda _: ""),
    "one-part": ("invalid", lambda f: f.parts()[0]),
    "two-parts": ("invalid", lambda f: ".".join(f.parts()[:2])),
    "four-parts": ("invalid", lambda f: f.good + ".e30"),
    "five-parts-like-jwe": ("invalid", lambda f: f.good + ".e30.e30"),
    "dots-only": ("invalid", lambda _: ".."),
    "signature-empty": ("invalid", lambda f: ".".join(f.parts()[:2]) + "."),
    "payload-empty": ("invalid", lambda f: f"{f.parts()[0]}..{f.parts()[2]}"),
    "huge": ("invalid", lambda f: f.with_claims(scope="git.log " * 2000)),
    "huge-garbage": ("invalid", lambda _: "A" * 1_000_000),
    "leading-space": ("invalid", lambda f: " " + f.good),
    "trailing-newline": ("invalid", lambda f: f.good + "\n"),
    "newline-inside": ("invalid", lambda f: f.good.replace(".", ".\n", 1)),
    "nul-inside": ("invalid", lambda f: f.good.replace(".", "\0.", 1)),
    "padding": ("invalid", lambda f: f.good + "=="),
    "padding-in-header": ("invalid", lambda f: f.good.replace(".", "=.", 1)),
    "standard-base64": ("invalid", lambda f: f.parts()[0] + ".++//." + f.parts()[2]),
    "base64-impossible-length": ("invalid", lambda f: f"{f.parts()[0]}.A.{f.parts()[2]}"),
    "base64-loose-end": (
        "invalid",
        lambda f: ".".join((*f.parts()[:2], loose_end(f.parts()[2]))),
    ),
    "full-width-dot": ("invalid", lambda f: f.good.replace(".", "\uff0e")),
    "bearer-inside": ("invalid", lambda f: f"Bearer {f.good}"),
    "operator-key": ("invalid", lambda _: "pvo_" + "A" * 43),
    "json-serialisation": (
        "invalid",
        lambda f: json.dumps(
            dict(zip(("protected", "payload", "signature"), f.parts(), strict=True))
        ),
    ),
    # -- signature
    "signature-tampered": (
        "invalid",
        lambda f: ".".join((*f.parts()[:2], flipped(f.parts()[2], 7))),
    ),
    "signature-malleated": (
        "invalid",
        lambda f: ".".join((*f.parts()[:2], malleated(f.parts()[2]))),
    ),
    "signature-short": ("invalid", lambda f: f.good[:-4]),
    "signature-zeros": ("invalid", lambda f: ".".join((*f.parts()[:2], base64(bytes(64))))),
    "payload-tampered": (
        "invalid",
        lambda f: ".".join(
            (f.parts()[0], base64(to_bytes(f.claims | {"sub": "eve"})), f.parts()[2])
        ),
    ),
    # -- payload
    "nested-token": ("invalid", lambda f: f.signed(claims=f.good.encode())),
    "payload-list": ("invalid", lambda f: f.signed(claims=[f.claims])),
    "payload-text": ("invalid", lambda f: f.signed(claims=b'"claims"')),
    "payload-number": ("invalid", lambda f: f.signed(claims=b"1")),
    "payload-not-json": ("invalid", lambda f: f.signed(claims=b"exp=1")),
    "payload-trailing-data": ("invalid", lambda f: f.signed(claims=to_bytes(f.claims) + b"{}")),
    "payload-spaced": ("invalid", lambda f: f.signed(claims=json.dumps(f.claims).encode())),
    "payload-duplicate-sub": ("invalid", lambda f: raw(f, b'"sub"', b'"sub":"root","sub"')),
    "payload-duplicate-exp": ("invalid", lambda f: raw(f, EXP, EXP + b',"exp":9999999999')),
    "payload-escaped-key": ("invalid", lambda f: raw(f, b'"exp"', b'"\\u0065xp"')),
    "payload-nan": ("invalid", lambda f: raw(f, EXP, b'"exp":NaN')),
    "payload-deep": ("invalid", lambda f: f.with_claims(act=nested(100))),
    # -- issuer and audience
    "issuer-other": ("invalid", lambda f: f.with_claims(iss="https://evil.example")),
    "issuer-slash": ("invalid", lambda f: f.with_claims(iss=URL + "/")),
    "issuer-missing": ("invalid", lambda f: f.with_claims(iss=None)),
    "issuer-list": ("invalid", lambda f: f.with_claims(iss=[URL])),
    "audience-other": ("audience", lambda f: f.with_claims(aud="https://other.example")),
    "audience-below": ("audience", lambda f: f.with_claims(aud=URL + "/mcp")),
    "audience-slash": ("audience", lambda f: f.with_claims(aud=URL + "/")),
    "audience-upper-case": ("audience", lambda f: f.with_claims(aud=URL.upper())),
    "audience-missing": ("audience", lambda f: f.with_claims(aud=None)),
    "audience-null": ("audience", lambda f: f.signed(claims=f.claims | {"aud": None})),
    "audience-empty-list": ("audience", lambda f: f.with_claims(aud=[])),
    "audience-two": ("audience", lambda f: f.with_claims(aud=[URL, "https://other.example"])),
    "audience-twice-ours": ("audience", lambda f: f.with_claims(aud=[URL, URL])),
    "audience-object": ("audience", lambda f: f.with_claims(aud={URL: True})),
    "audience-cyrillic": ("audience", lambda f: f.with_claims(aud=URL.replace("a", "а"))),
    # -- time
    "expired-beyond-skew": (
        "expired",
        lambda f: f.with_claims(iat=NOW - LIFE, exp=NOW - SKEW - 1),
    ),
    "expired-at-the-skew": ("expired", lambda f: f.with_claims(iat=NOW - LIFE, exp=NOW - SKEW)),
    "exp-missing": ("invalid", lambda f: f.with_claims(exp=None)),
    "exp-null": ("invalid", lambda f: raw(f, EXP, b'"exp":null')),
    "exp-text": ("invalid", lambda f: f.with_claims(exp=str(NOW + LIFE))),
    "exp-float": ("invalid", lambda f: f.with_claims(exp=NOW + LIFE + 0.5)),
    "exp-whole-float": ("invalid", lambda f: raw(f, EXP, EXP + b".0")),
    "exp-exponent": ("invalid", lambda f: raw(f, EXP, b'"exp":1e12')),
    "exp-bool": ("invalid", lambda f: f.with_claims(exp=True)),
    "exp-negative": ("invalid", lambda f: f.with_claims(exp=-1)),
    "exp-huge": ("invalid", lambda f: f.with_claims(exp=10**30)),
    "exp-far-beyond-any-date": ("invalid", lambda f: f.with_claims(exp=2**52)),
    "exp-before-iat": ("invalid", lambda f: f.with_claims(exp=NOW - 1)),
    "iat-missing": ("invalid", lambda f: f.with_claims(iat=None)),
    "iat-text": ("invalid", lambda f: f.with_claims(iat=str(NOW))),
    "iat-future": ("invalid", lambda f: f.with_claims(iat=NOW + SKEW + 1)),
    "nbf-future": ("invalid", lambda f: f.with_claims(nbf=NOW + SKEW + 1)),
    "nbf-text": ("invalid", lambda f: f.with_claims(nbf="0")),
    "nbf-bool": ("invalid", lambda f: f.with_claims(nbf=False)),
    # -- the other members
    "cnf-short": ("invalid", lambda f: f.with_claims(cnf={"jkt": "A" * 42})),
    "cnf-text": ("invalid", lambda f: f.with_claims(cnf="A" * 43)),
    "cnf-null": ("invalid", lambda f: f.signed(claims=f.claims | {"cnf": None})),
    "cnf-jwk": ("invalid", lambda f: f.with_claims(cnf={"jwk": {"kty": "OKP"}})),
    "cnf-two-ways": ("invalid", lambda f: f.with_claims(cnf={"jkt": "A" * 43, "x5t#S256": "A"})),
    "root-malformed": ("invalid", lambda f: f.with_claims(root="../root")),
    "root-itself": ("invalid", lambda f: f.with_claims(root=f.claims["sid"])),
    "root-null": ("invalid", lambda f: f.signed(claims=f.claims | {"root": None})),
    "root-number": ("invalid", lambda f: f.with_claims(root=7)),
    "cnf-empty": ("invalid", lambda f: f.with_claims(cnf={})),
    "member-unknown": ("invalid", lambda f: f.with_claims(role="admin")),
    "member-wrong-case": ("invalid", lambda f: f.with_claims(Sub="root")),
    "sub-missing": ("invalid", lambda f: f.with_claims(sub=None)),
    "sub-number": ("invalid", lambda f: f.with_claims(sub=0)),
    "sub-empty": ("invalid", lambda f: f.with_claims(sub="")),
    "sub-another-agent": ("invalid", lambda f: f.with_claims(sub="agent:root")),
    "sub-look-alike": ("invalid", lambda f: f.with_claims(sub="аna")),
    "sub-newline": ("invalid", lambda f: f.with_claims(sub="ana\n")),
    "client-missing": ("invalid", lambda f: f.with_claims(client_id=None)),
    "client-other": ("invalid", lambda f: f.with_claims(client_id="root")),
    "act-missing": ("invalid", lambda f: f.with_claims(act=None)),
    "act-null": ("invalid", lambda f: raw(f, b'{"sub":"agent:clerk"}', b"null")),
    "act-text": ("invalid", lambda f: f.with_claims(act="agent:clerk")),
    "act-empty": ("invalid", lambda f: f.with_claims(act={})),
    "act-a-person": ("invalid", lambda f: f.with_claims(act={"sub": "clerk"})),
    "act-more-members": (
        "invalid",
        lambda f: f.with_claims(act={"sub": "agent:clerk", "iss": URL}),
    ),
    "act-inner-false": (
        "invalid",
        lambda f: f.with_claims(act={"sub": "agent:clerk", "act": False}),
    ),
    "act-inner-null": ("invalid", lambda f: f.with_claims(act={"sub": "agent:clerk", "act": None})),
    "act-too-many": ("invalid", lambda f: f.with_claims(act=nested(9))),
    "sid-missing": ("invalid", lambda f: f.with_claims(sid=None)),
    "sid-path": ("invalid", lambda f: f.with_claims(sid="../other")),
    "sid-empty": ("invalid", lambda f: f.with_claims(sid="")),
    "jti-missing": ("invalid", lambda f: f.with_claims(jti=None)),
    "jti-list": ("invalid", lambda f: f.with_claims(jti=["a"])),
    "scope-missing": ("invalid", lambda f: f.with_claims(scope=None)),
    "scope-empty": ("invalid", lambda f: f.with_claims(scope="")),
    "scope-list": ("invalid", lambda f: f.with_claims(scope=["*"])),
    "scope-wild": ("invalid", lambda f: f.with_claims(scope="led*")),
    "hops-missing": ("invalid", lambda f: f.with_claims(hops=None)),
    "hops-negative": ("invalid", lambda f: f.with_claims(hops=-1)),
    "hops-many": ("invalid", lambda f: f.with_claims(hops=1000)),
    "hops-text": ("invalid", lambda f: f.with_claims(hops="1")),
    "hops-bool": ("invalid", lambda f: f.with_claims(hops=True)),
    "hops-fraction": ("invalid", lambda f: f.with_claims(hops=0.5)),
    "groups-text": ("invalid", lambda f: f.with_claims(groups="admin")),
    "groups-of-numbers": ("invalid", lambda f: f.with_claims(groups=[1])),
    "groups-many": ("invalid", lambda f: f.with_claims(groups=[f"g{n}" for n in range(65)])),
}


@pytest.fixture
def forge(keys: KeySet, issuer: Issuer, clerk: Principal) -> Forge:
    return Forge(keys, issuer.issue(clerk))


@pytest.mark.parametrize(("reason", "make"), FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_is_refused(
    tokens: TokenCheck, forge: Forge, reason: str, make: Make
) -> None:
    forged = make(forge).encode()
    for _ in range(2):  # a refusal is not remembered as anything else
        with pytest.raises(AuthError) as refused:
            tokens.check(forged, NOW)
        assert (refused.value.reason, refused.value.code) == (reason, f"auth.{reason}")


NEVER_GOOD = {name: case for name, case in FORGED.items() if case[0] != "expired"}


@pytest.mark.parametrize(("reason", "make"), NEVER_GOOD.values(), ids=NEVER_GOOD.keys())
def test_a_forged_token_is_refused_for_renewal_too(
    tokens: TokenCheck, forge: Forge, reason: str, make: Make
) -> None:
    with pytest.raises(AuthError) as refused:
        tokens.check_renewable(make(forge).encode(), NOW)
    assert refused.value.reason == reason


@pytest.mark.parametrize("make", [make for _, make in FORGED.values()], ids=FORGED.keys())
def test_a_refusal_does_not_repeat_the_token(tokens: TokenCheck, forge: Forge, make: Make) -> None:
    forged = make(forge)
    with pytest.raises(AuthError) as refused:
        tokens.check(forged.encode(), NOW)
    words = str(refused.value)
    assert not any(part in words for part in forged.split(".") if len(part) > 8)
    assert "eve" not in words
    assert "evil" not in words


def test_what_the_forger_builds_on_is_good(tokens: TokenCheck, forge: Forge) -> None:
    assert forge.signed() == forge.good
    tokens.check(forge.good.encode(), NOW)


def test_no_socket_is_opened_for_a_key_named_in_a_token(
    tokens: TokenCheck, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("reached out"))
    for make in (FORGED[name][1] for name in ("jku", "x5u", "kid-url")):
        with pytest.raises(AuthError):
            tokens.check(make(forge).encode(), NOW)


def test_a_token_comes_back_as_the_principal_it_was_issued_for(
    tokens: TokenCheck, issuer: Issuer, clerk: Principal
) -> None:
    assert tokens.check(issuer.issue(clerk).encode(), NOW) == clerk


def test_the_claims_are_the_documented_ones(forge: Forge) -> None:
    assert forge.claims == {
        "iss": URL,
        "aud": URL,
        "sub": "ana",
        "client_id": "clerk",
        "act": {"sub": "agent:clerk"},
        "sid": "0193f0a2-session",
        "scope": "git.* ledger.pay",
        "hops": 1,
        "jti": "0193f0a2-token",
        "iat": NOW,
        "exp": NOW + LIFE,
        "groups": ["finance"],
    }


def test_an_audience_in_a_list_by_itself_is_that_audience(
    tokens: TokenCheck, forge: Forge, clerk: Principal
) -> None:
    assert tokens.check(forge.with_claims(aud=[URL]).encode(), NOW) == clerk


agents = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,8}){0,2}", fullmatch=True)
ids = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)
principals = st.builds(
    Principal,
    agent=agents,
    user=st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@+|-]{0,40}", fullmatch=True),
    user_groups=st.frozensets(agents, max_size=4),
    chain=st.lists(agents, max_size=8).map(tuple),
    session=ids,
    scopes=st.lists(st.sampled_from(("*", "git.*", "git.log", "crm.x")), min_size=1).map(
        lambda patterns: scopes.parse(" ".join(patterns))
    ),
    hops=st.integers(0, 8),
    token_id=ids,
    issued=st.integers(NOW - LIFE, NOW + SKEW),
    expires=st.integers(NOW + SKEW + 1, NOW + 86_400),
    bound_to=st.none() | st.from_regex(r"[A-Za-z0-9_-]{43}", fullmatch=True),
    root=st.just("") | ids,
)


@given(principals)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_every_principal_survives_its_token(
    tokens: TokenCheck, issuer: Issuer, some: Principal
) -> None:
    assert tokens.check(issuer.issue(some).encode(), NOW) == some


@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_no_other_byte_anywhere_makes_another_good_token(
    tokens: TokenCheck, issuer: Issuer, clerk: Principal, place: int, byte: int
) -> None:
    good = issuer.issue(clerk).encode()
    changed = bytearray(good)
    changed[place % len(good)] = byte
    if bytes(changed) == good:
        return
    with pytest.raises(AuthError):
        tokens.check(bytes(changed), NOW)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"user": "agent:root"}, id="user-named-like-an-agent"),
        pytest.param({"user": "ana maria"}, id="space-in-user"),
        pytest.param({"agent": "Clerk"}, id="upper-case-agent"),
        pytest.param({"chain": tuple("abcdefghi")}, id="chain-too-long"),
        pytest.param({"expires": NOW}, id="no-life"),
        pytest.param({"scopes": ()}, id="no-scope"),
        pytest.param({"scopes": ("git.log", "git.*")}, id="scopes-not-shortest"),
        pytest.param({"hops": -1}, id="negative-hops"),
        pytest.param(
            {"user_groups": frozenset(f"{'g' * 120}{n}" for n in range(64))}, id="too-large"
        ),
    ],
)
def test_what_could_not_be_read_back_is_not_signed(
    issuer: Issuer, clerk: Principal, changes: dict[str, Any]
) -> None:
    with pytest.raises(AuthError):
        issuer.issue(replace(clerk, **changes))


# -- time


@pytest.mark.parametrize("late", [0, LIFE - 1, LIFE, LIFE + SKEW - 1])
def test_a_token_is_good_until_its_end_and_the_skew(
    tokens: TokenCheck, forge: Forge, clerk: Principal, late: int
) -> None:
    assert tokens.check(forge.good.encode(), NOW + late) == clerk


def test_a_remembered_token_expires_like_any_other(tokens: TokenCheck, forge: Forge) -> None:
    tokens.check(forge.good.encode(), NOW)
    with pytest.raises(AuthError) as refused:
        tokens.check(forge.good.encode(), NOW + LIFE + SKEW)
    assert refused.value.code == "auth.expired"


@pytest.mark.parametrize("early", [1, SKEW])
def test_a_token_may_begin_within_the_skew(
    tokens: TokenCheck, forge: Forge, clerk: Principal, early: int
) -> None:
    assert tokens.check(forge.good.encode(), NOW - early) == clerk


def test_a_token_from_the_future_is_refused(tokens: TokenCheck, forge: Forge) -> None:
    with pytest.raises(AuthError, match="not yet good"):
        tokens.check(forge.good.encode(), NOW - SKEW - 1)


@pytest.mark.parametrize("late", [0, LIFE, 2 * LIFE - 1])
def test_a_token_can_be_renewed_until_it_was_over_for_its_own_life(
    tokens: TokenCheck, forge: Forge, clerk: Principal, late: int
) -> None:
    assert tokens.check_renewable(forge.good.encode(), NOW + late) == clerk


def test_a_token_that_is_over_for_longer_than_its_life_is_not_renewed(
    tokens: TokenCheck, forge: Forge
) -> None:
    with pytest.raises(AuthError) as refused:
        tokens.check_renewable(forge.good.encode(), NOW + 2 * LIFE)
    assert refused.value.code == "auth.expired"


# -- revocation and the epoch


@pytest.mark.parametrize(
    "revoke",
    [
        pytest.param(lambda r: r.revoke_token("0193f0a2-token", until_s=NOW), id="token"),
        pytest.param(lambda r: r.end_session("0193f0a2-session", until_s=NOW), id="session"),
        pytest.param(lambda r: r.suspend("agent", "clerk"), id="agent"),
        pytest.param(lambda r: r.suspend("agent", "front"), id="agent-in-the-chain"),
    ],
)
def test_a_revoked_token_is_refused_at_the_next_call(
    tokens: TokenCheck,
    issuer: Issuer,
    revocations: Revocations,
    clerk: Principal,
    revoke: Callable[[Revocations], None],
) -> None:
    token = issuer.issue(replace(clerk, chain=("front",))).encode()
    tokens.check(token, NOW)
    revoke(revocations)
    for check in (tokens.check, tokens.check_renewable):
        with pytest.raises(AuthError) as refused:
            check(token, NOW)
        assert refused.value.code == "auth.revoked"


def test_a_resumed_agent_is_heard_again(
    tokens: TokenCheck, forge: Forge, revocations: Revocations, clerk: Principal
) -> None:
    revocations.suspend("agent", "clerk")
    revocations.resume("agent", "clerk")
    assert tokens.check(forge.good.encode(), NOW) == clerk


def test_a_retired_key_ends_its_tokens_with_the_epoch(
    key_folder: Path, revocations: Revocations, epoch: Epoch, clerk: Principal
) -> None:
    keys = KeySet.open(key_folder, NOW)
    tokens = TokenCheck(keys, revocations, epoch, public_url=URL, skew_s=SKEW)
    token = Issuer(keys, public_url=URL).issue(clerk).encode()
    keys.rotate(NOW + 1)
    assert tokens.check(token, NOW) == clerk
    keys.retire(NOW + 2)
    epoch.advance()
    with pytest.raises(AuthError):
        tokens.check(token, NOW)


def test_only_so_many_tokens_are_remembered(
    keys: KeySet, issuer: Issuer, revocations: Revocations, epoch: Epoch, clerk: Principal
) -> None:
    tokens = TokenCheck(keys, revocations, epoch, public_url=URL, skew_s=SKEW, max_cached=3)
    for number in range(10):
        some = replace(clerk, token_id=f"token-{number}")
        assert tokens.check(issuer.issue(some).encode(), NOW) == some
        assert len(tokens._verified) <= 3


def test_tokens_that_share_their_claims_are_remembered_apart(
    tokens: TokenCheck, forge: Forge
) -> None:
    tokens.check(forge.good.encode(), NOW)
    other = b"AA" if not forge.good.endswith("AA") else b"AQ"  # one signature in 16 ends so
    with pytest.raises(AuthError):
        tokens.check(forge.good[:-2].encode() + other, NOW)
    assert list(tokens._verified) == [sha256(forge.good.encode()).digest()]


@pytest.mark.long
def test_a_remembered_token_costs_two_microseconds(tokens: TokenCheck, forge: Forge) -> None:
    token = forge.good.encode()
    rounds = []
    for _ in range(20):
        begin = time.perf_counter_ns()
        for _ in range(2000):
            tokens.check(token, NOW)
        rounds.append((time.perf_counter_ns() - begin) / 2000)
    assert min(rounds) <= 2000

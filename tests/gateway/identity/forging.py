"""Forged tokens: all that a forger can make of a good one and of our public key."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.identity.keys import KeySet

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

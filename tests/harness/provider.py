"""An OpenID provider as it comes: metadata, keys, a log-in page and a token endpoint, on loopback.

    async with provider() as corp:
        token = corp.sign(corp.claims("ana", audience="passavant", groups=["finance"]))
        corp.rotate("RS256")
        assert corp.asked == ["/.well-known/openid-configuration", "/jwks"]

Whoever comes to its log-in page is `person`, at once. What it serves at a path can be replaced.
"""

import asyncio
import json
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from functools import cache
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

METADATA = "/.well-known/openid-configuration"
JWKS = "/jwks"

PrivateKey = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class IssuerKey:
    """A private key with the algorithm that it is for."""

    id: str
    algorithm: str
    private: PrivateKey

    @property
    def jwk(self) -> dict[str, Any]:
        public = self.private.public_key()
        members: dict[str, Any]
        if isinstance(public, Ed25519PublicKey):
            members = OKPAlgorithm.to_jwk(public, as_dict=True)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            members = ECAlgorithm.to_jwk(public, as_dict=True)
        else:
            members = RSAAlgorithm.to_jwk(public, as_dict=True)
        members.pop("key_ops", None)
        return {**members, "kid": self.id, "use": "sig", "alg": self.algorithm}


def make_key(name: str, algorithm: str) -> IssuerKey:
    """A key; those of RSA are made once, since that takes long."""
    if algorithm == "EdDSA":
        return IssuerKey(name, algorithm, Ed25519PrivateKey.generate())
    if algorithm == "ES256":
        return IssuerKey(name, algorithm, ec.generate_private_key(ec.SECP256R1()))
    return IssuerKey(name, algorithm, _rsa(name))


@cache
def _rsa(name: str) -> rsa.RSAPrivateKey:
    del name
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


@dataclass
class Provider:
    """One issuer, what it knows, and what it was asked.

    keys      of which the last signs
    person    claims of whoever logs in
    replaced  path -> status, headers and body that it answers with instead
    asked     paths, in order
    forms     what its token endpoint was sent
    """

    url: str
    keys: list[IssuerKey]
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "ana", "groups": ["finance"]})
    client: str = "passavant-console"
    secret: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    replaced: dict[str, tuple[int, Mapping[str, str], bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    now: Callable[[], float] = time.time

    def forget(self) -> None:
        """Be as if nobody had been there; its first key signs."""
        fresh = Provider(self.url, self.keys[:1])
        for each in fields(fresh):
            setattr(self, each.name, getattr(fresh, each.name))

    def rotate(self, algorithm: str) -> IssuerKey:
        """Sign with a new key from now on; the others are still shown."""
        key = make_key(f"key-{len(self.keys) + 1}", algorithm)
        self.keys.append(key)
        return key

    def claims(self, subject: str, *, audience: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any claim
        """Claims of a token that is good now."""
        now = int(self.now())
        return {
            "iss": self.url,
            "sub": subject,
            "aud": audience,
            "iat": now,
            "exp": now + 300,
            **more,
        }

    def sign(
        self,
        claims: Mapping[str, Any],
        *,
        key: IssuerKey | None = None,
        header: Mapping[str, Any] | None = None,
    ) -> str:
        """A token of these claims."""
        key = key or self.keys[-1]
        lines = {"kid": key.id, **(header or {})}
        return jwt.encode(dict(claims), key.private, algorithm=key.algorithm, headers=lines)

    # -- what it serves

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, then the end of the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        headers = {name.lower(): value for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        path, _, query = first.split(" ")[1].partition("?")
        self.asked.append(path)
        answered = self.replaced.get(path) or self._answer(path, query, headers, body)
        status, more, content = answered
        more = {**more, "content-length": str(len(content)), "connection": "close"}
        told = "".join(f"{name}: {value}\r\n" for name, value in more.items())
        writer.write(f"HTTP/1.1 {status} -\r\n{told}\r\n".encode() + content)
        await writer.drain()
        writer.close()

    def _answer(
        self, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        if path == METADATA:
            return _json(self._metadata())
        if path == JWKS:
            return _json({"keys": [key.jwk for key in self.keys]})
        if path == "/authorize":
            return 302, {"location": self.logged_in(query)}, b""
        if path == "/token":
            return self._token(headers.get("authorization", ""), body)
        return 404, {}, b""

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}{JWKS}",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }

    def logged_in(self, query: str) -> str:
        """Where a person is sent who came with this query, and has logged in."""
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        back = urlencode({"code": code, "state": asked["state"], "iss": self.url})
        return f"{asked['redirect_uri']}?{back}"

    def _token(self, authorization: str, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        self.forms.append(form)
        asked = self.codes.pop(form.get("code", ""), None)
        proven = sha256(form.get("code_verifier", "").encode()).digest()
        challenge = urlsafe_b64encode(proven).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge:
            return _json({"error": "invalid_grant"}, 400)
        if form["redirect_uri"] != asked["redirect_uri"] or not self._knows(authorization, form):
            return _json({"error": "invalid_client"}, 401)
        claims = self.claims(
            self.person["sub"], audience=self.client, nonce=asked["nonce"], **self._more()
        )
        return _json(
            {"access_token": "x" * 20, "token_type": "Bearer", "id_token": self.sign(claims)}
        )

    def _more(self) -> dict[str, Any]:
        return {name: value for name, value in self.person.items() if name != "sub"}

    def _knows(self, authorization: str, form: Mapping[str, str]) -> bool:
        if self.secret is None:
            return form.get("client_id") == self.client
        pair = b64decode(authorization.removeprefix("Basic ")).decode()
        return [unquote_plus(part) for part in pair.split(":")] == [self.client, self.secret]


@asynccontextmanager
async def provider(*algorithms: str) -> AsyncIterator[Provider]:
    """A provider that signs with a key of each algorithm, the last one most recently."""
    keys = [make_key(f"key-{place + 1}", each) for place, each in enumerate(algorithms)]
    made = Provider("", keys or [make_key("key-1", "ES256")])
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield made


def _json(value: object, status: int = 200) -> tuple[int, Mapping[str, str], bytes]:
    return status, {"content-type": "application/json"}, json.dumps(value).encode()

"""OAuth clients: how the gateway asks the authorization server of an upstream for a token.

It authenticates with a secret (RFC 6749, section 2.3.1) or a signed assertion (RFC 7523), names
the upstream the token is for (RFC 8707), and takes bearer tokens only. A token is known as a
secret before anybody has it.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_plus

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from audit.canonical import Json
from gateway.errors import CredentialMissing, FetchFailed, TokenRefused
from gateway.known_secrets import SHORTEST
from gateway.links.credentials import Credentials
from gateway.links.fetch import Fetched, Fetcher
from gateway.links.issuer import Issuer, Metadata, discover
from gateway.links.short_lived import LONGEST_S, ShortLived

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
METADATA_S = 3600
USUAL_S = 300
"""How long a token is used whose issuer does not say how long it lives."""

_ASSERTION_S = 60
_LONGEST_TOKEN = 8192
_TOKEN_LETTERS = frozenset("-._~+/=").union(
    map(chr, range(0x30, 0x3A)), map(chr, range(0x41, 0x5B)), map(chr, range(0x61, 0x7B))
)
_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "temporarily_unavailable",
        "server_error",
    }
)
_MIN_RSA_BITS = 2048

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Registration:
    """How the gateway is registered with an issuer: by `secret`, by `key`, or as a public client.

    secret, key  references: to a secret, and to a private key in PEM
    key_id       the `kid` of that key, where the issuer wants it named
    """

    issuer: Issuer
    client: str
    secret: str | None = None
    key: str | None = None
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """A token and how long, in seconds, it lives."""

    token: str = field(repr=False)
    lifetime_s: int


@dataclass(frozen=True, slots=True)
class Means:
    """What asking for tokens takes; shared by all upstreams.

    short_lived  is told of every token and assertion
    now_s        seconds since 1970, by the log's clock
    new_id       fresh ids
    """

    credentials: Credentials
    fetcher: Fetcher
    short_lived: ShortLived
    now_s: Callable[[], int]
    new_id: Callable[[], str]


class OAuthClient:
    """The gateway as a client of one issuer."""

    def __init__(self, registration: Registration, means: Means) -> None:
        self.issuer = registration.issuer
        self.client = registration.client
        self._registration = registration
        self._means = means
        self._metadata: Metadata | None = None
        self._metadata_until = 0

    async def ask(self, form: Mapping[str, str]) -> Granted:
        """A token for the parameters of a grant; see `exchange`."""
        return self.granted(await self.exchange(form))

    async def exchange(self, form: Mapping[str, str]) -> dict[str, Json]:
        """What the token endpoint answers; every token in it is known as a secret by then.

        Raises TokenRefused, CredentialMissing, FetchFailed or AddressRefused.
        """
        metadata = await self.metadata()
        proof, headers = await self._proof(metadata)
        try:
            answer = await self._means.fetcher.post(metadata.token, {**form, **proof}, headers)
        except FetchFailed:
            self._metadata = None  # it may have moved
            raise
        if answer.status != 200:
            error = _error(answer)
            said = f"HTTP {answer.status}" + ("" if error is None else f" ({error})")
            raise TokenRefused(f"{self.issuer.url}: {said}", error=error)
        members = answer.members()
        stated = members.get("expires_in")
        lifetime = stated if type(stated) is int else LONGEST_S
        self._keep(members.get("access_token"), lifetime)
        for name in ("refresh_token", "id_token"):
            self._keep(members.get(name), LONGEST_S)
        return members

    async def metadata(self) -> Metadata:
        """What the issuer says of itself. Raises FetchFailed or AddressRefused."""
        now = self._means.now_s()
        if self._metadata is None or now >= self._metadata_until:
            self._metadata = await discover(self._registration.issuer, self._means.fetcher)
            self._metadata_until = now + METADATA_S
        return self._metadata

    async def _proof(self, metadata: Metadata) -> tuple[dict[str, str], dict[str, str]]:
        """The parameters and headers by which the issuer knows us."""
        registered = self._registration
        if registered.key is not None:
            assertion = await self._assertion(registered.key)
            return {"client_assertion_type": ASSERTION, "client_assertion": assertion}, {}
        if registered.secret is None:
            return {"client_id": registered.client}, {}
        secret = await self._means.credentials.fetch(registered.secret)
        methods = metadata.methods
        if methods is not None and "client_secret_basic" not in methods:
            return {"client_id": registered.client, "client_secret": secret}, {}
        pair = f"{quote_plus(registered.client)}:{quote_plus(secret)}"
        basic = b64encode(pair.encode()).decode()
        self._means.short_lived.keep(basic, self._means.now_s() + _ASSERTION_S)
        return {}, {"Authorization": f"Basic {basic}"}

    async def _assertion(self, reference: str) -> str:
        """RFC 7523, section 3; the audience is the issuer itself, and no endpoint it names."""
        registered, now = self._registration, self._means.now_s()
        key = _private_key(reference, await self._means.credentials.fetch_text(reference))
        claims: dict[str, Json] = {
            "iss": registered.client,
            "sub": registered.client,
            "aud": registered.issuer.url,
            "iat": now,
            "exp": now + _ASSERTION_S,
            "jti": self._means.new_id(),
        }
        headers = {} if registered.key_id is None else {"kid": registered.key_id}
        assertion = jwt.encode(claims, key, algorithm=_algorithm(key), headers=headers)
        self._means.short_lived.keep(assertion, now + _ASSERTION_S)
        return assertion

    def granted(self, members: Mapping[str, Json]) -> Granted:
        """The access token in an answer. Raises TokenRefused when no header could carry it."""
        url = self.issuer.url
        token, kind = members.get("access_token"), members.get("token_type")
        lifetime = members.get("expires_in", USUAL_S)
        if not isinstance(token, str) or not isinstance(kind, str):
            raise TokenRefused(f"{url}: an answer without a token or its type")
        if type(lifetime) is not int or lifetime <= 0:
            raise TokenRefused(f"{url}: a token without a lifetime in whole seconds")
        if kind.lower() != "bearer":
            raise TokenRefused(f"{url}: a token that is no bearer token")
        if not SHORTEST <= len(token) <= _LONGEST_TOKEN or not set(token) <= _TOKEN_LETTERS:
            raise TokenRefused(f"{url}: a token that no header can carry")
        return Granted(token, lifetime)

    def know(self, *tokens: str | None) -> None:
        """Tokens that were kept: they are secrets again from now on."""
        for token in tokens:
            self._keep(token, LONGEST_S)

    def _keep(self, token: Json, lifetime: int) -> None:
        if isinstance(token, str) and len(token) >= SHORTEST:
            self._means.short_lived.keep(token, self._means.now_s() + max(lifetime, 0))


def _error(answer: Fetched) -> str | None:
    """What the issuer says is wrong, if it is one of the registered words."""
    try:
        error = answer.members().get("error")
    except FetchFailed:
        return None
    return error if isinstance(error, str) and error in _ERRORS else None


def _private_key(reference: str, text: str) -> PrivateKey:
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CredentialMissing(f"{reference}: no unencrypted private key in PEM") from None
    if isinstance(key, RSAPrivateKey) and key.key_size >= _MIN_RSA_BITS:
        return key
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        return key
    if isinstance(key, Ed25519PrivateKey):
        return key
    raise CredentialMissing(f"{reference}: neither Ed25519, P-256 nor RSA of 2048 bits")


def _algorithm(key: PrivateKey) -> str:
    if isinstance(key, Ed25519PrivateKey):
        return "EdDSA"
    return "RS256" if isinstance(key, RSAPrivateKey) else "ES256"

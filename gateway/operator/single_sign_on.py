"""Single sign-on: an operator logs in at the configured provider and comes back with a code.

Authorization code with PKCE (RFC 7636, S256), a state that is good once and in the browser that
asked for it alone, and a nonce in the token that comes back (OpenID Connect Core 1.0, section 3.1).
What somebody may do here follows from their groups there, as the deployment maps them.
"""

from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from urllib.parse import quote_plus, urlencode

from audit.canonical import Json
from gateway.errors import FetchFailed
from gateway.identity.errors import AuthError
from gateway.identity.issuers import GROUP_PREFIX, TrustedIssuer, groups, person, read
from gateway.identity.provider import Endpoints, Provider
from gateway.identity.public_keys import base64url
from gateway.identity.trust import OperatorLogin
from gateway.links.fetch import Fetcher
from gateway.operator.credentials import Operator, Role
from gateway.operator.errors import OperatorRefused

PENDING_S = 600
"""How long somebody may take to log in."""

MAX_PENDING = 1024

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Begun:
    """A log-in that has begun.

    url      where the browser is to go
    browser  what it must show again when it comes back
    """

    url: str
    browser: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Pending:
    browser: str  # digest
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    until: int


@dataclass(frozen=True, slots=True)
class Means:
    """What logging in takes.

    issuer    checks what the provider signs; its name begins the names of operators
    secret    ours at the provider; None: we have none
    callback  where the provider sends people back, exactly
    random    so many bytes that nobody can guess
    """

    issuer: TrustedIssuer
    provider: Provider
    fetcher: Fetcher
    secret: Callable[[], Awaitable[str | None]]
    callback: str
    random: Callable[[int], bytes]


class SingleSignOn:
    """Log-ins at one provider."""

    def __init__(self, login: OperatorLogin, means: Means) -> None:
        self._login = login
        self._means = means
        self._pending: dict[str, _Pending] = {}  # by digest of the state, oldest first

    @property
    def name(self) -> str:
        """The provider, as entries name it."""
        return f"oidc:{self._means.issuer.name}"

    async def begin(self, now_s: int) -> Begun:
        """Begin a log-in. Raises FetchFailed or AddressRefused."""
        endpoints = await self._means.provider.endpoints()
        state, nonce, verifier, browser = (self._secret() for _ in range(4))
        self._keep(state, _Pending(_digest(browser), nonce, verifier, now_s + PENDING_S), now_s)
        asked = urlencode(
            {
                "response_type": "code",
                "client_id": self._login.oidc.audience,
                "redirect_uri": self._means.callback,
                "scope": "openid",
                "state": state,
                "nonce": nonce,
                "code_challenge": base64url(sha256(verifier.encode()).digest()),
                "code_challenge_method": "S256",
            }
        )
        joint = "&" if "?" in endpoints.authorization else "?"
        return Begun(f"{endpoints.authorization}{joint}{asked}", browser)

    async def finish(self, answer: Mapping[str, str], browser: str | None, now_s: int) -> Operator:
        """Who came back, with what they may do here.

        answer   the parameters of the address that they came back to
        browser  what `begin` gave their browser

        Raises OperatorRefused: `operator.login` for a log-in that was not begun like this or did
        not succeed, `operator.no-role` for somebody without a role here; AuthError, IssuerSilent,
        FetchFailed or AddressRefused.
        """
        pending = self._taken(answer.get("state", ""), browser, now_s)
        endpoints = await self._means.provider.endpoints()
        named = answer.get("iss")
        if named not in (None, self._login.oidc.issuer) or (
            named is None and endpoints.names_itself
        ):
            raise _failed("the answer is another provider's")  # RFC 9207
        if "code" not in answer or "error" in answer:
            raise _failed("the provider did not log you in")
        token = await self._exchange(endpoints, answer["code"], pending)
        jws = read(token)
        claims = await self._means.issuer.verify(jws, now_s, nonce=pending.nonce)
        if claims.get("azp", self._login.oidc.audience) != self._login.oidc.audience:
            raise AuthError("audience", "given to somebody else")
        return self._operator(claims)

    # -- what is under way

    def _secret(self) -> str:
        return base64url(self._means.random(_SECRET_BYTES))

    def _keep(self, state: str, pending: _Pending, now_s: int) -> None:
        for digest, each in list(self._pending.items()):
            if each.until <= now_s or len(self._pending) >= MAX_PENDING:
                del self._pending[digest]
        self._pending[_digest(state)] = pending

    def _taken(self, state: str, browser: str | None, now_s: int) -> _Pending:
        """The log-in of that state, which is used up whatever comes of it."""
        pending = self._pending.pop(_digest(state), None)
        if pending is None or now_s >= pending.until:
            raise _failed("this log-in was not begun here, or has ended")
        if browser is None or not compare_digest(_digest(browser), pending.browser):
            raise _failed("this log-in was begun in another browser")
        return pending

    # -- what the provider says

    async def _exchange(self, endpoints: Endpoints, code: str, pending: _Pending) -> str:
        """The identity token for a code (RFC 6749, section 4.1.3)."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._means.callback,
            "code_verifier": pending.verifier,
        }
        proof, headers = await self._proof(endpoints)
        answered = await self._means.fetcher.post(endpoints.token, {**form, **proof}, headers)
        if answered.status != 200:
            raise _failed(f"the provider answered HTTP {answered.status} to the code")
        try:
            token = answered.members().get("id_token")
        except FetchFailed as error:
            raise _failed("the provider's answer is unreadable") from error
        if not isinstance(token, str):
            raise _failed("the provider gave no identity token")
        return token

    async def _proof(self, endpoints: Endpoints) -> tuple[dict[str, str], dict[str, str]]:
        """How the provider knows us: parameters and headers."""
        client, secret = self._login.oidc.audience, await self._means.secret()
        if secret is None:
            return {"client_id": client}, {}
        if endpoints.methods is not None and "client_secret_basic" not in endpoints.methods:
            return {"client_id": client, "client_secret": secret}, {}
        pair = f"{quote_plus(client)}:{quote_plus(secret)}"
        return {}, {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}

    def _operator(self, claims: Mapping[str, Json]) -> Operator:
        claim = self._login.oidc.groups_claim
        own = groups([] if claim is None else claims.get(claim, []))
        roles = roles_of(own, self._login)
        name = person(self._means.issuer.name, claims.get("sub"))
        if not roles:
            raise OperatorRefused("operator.no-role", f"as {name} you are in no group with a role")
        return Operator(name, roles, own)


def roles_of(own: frozenset[str], login: OperatorLogin) -> frozenset[Role]:
    """The roles here of whoever is in these groups there."""
    return frozenset(
        role
        for role, given in login.roles.items()
        if not own.isdisjoint(GROUP_PREFIX + group for group in given)
    )


def _failed(message: str) -> OperatorRefused:
    return OperatorRefused("operator.login", message)


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

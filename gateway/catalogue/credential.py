"""How a deployment says what the gateway is known by at a server, and what that becomes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from gateway.errors import AddressRefused
from gateway.links.authorization import Authorization, Bearer
from gateway.links.code_flow import CodeFlow, Errand
from gateway.links.connecting import Reached
from gateway.links.credentials import Reference
from gateway.links.granted import GrantedAuthorization
from gateway.links.grants import Target, client_credentials, token_exchange
from gateway.links.issuer import Issuer
from gateway.links.link import Caller
from gateway.links.oauth_client import Means, OAuthClient, Registration
from gateway.links.user_tokens import Connected, UserTokens

Subject = Callable[[Caller, str], str]
"""A signed statement about a caller, made for the issuer of that URL."""


@dataclass(frozen=True, slots=True)
class Journeys:
    """What sending people somewhere takes.

    public_url  how browsers reach this gateway
    random      so many bytes that nobody can guess
    """

    public_url: str
    random: Callable[[int], bytes]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _resource(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "#" in url:
        raise ValueError("expected a URL without fragment (RFC 8707)")
    return url


Visible = Annotated[str, Field(pattern=r"^[!-~](?:[ -~]*[!-~])?$", max_length=1024)]
Resource = Annotated[Visible, AfterValidator(_resource)]
Scope = Annotated[str, Field(pattern=r"^[!#-\[\]-~]+(?: [!#-\[\]-~]+)*$", max_length=1024)]


class OAuthClientSpec(_Model):
    """The gateway as a registered client of the server's issuer.

    resource       what tokens are made for; the server's own URL where nothing is said
    key_id         `kid` of the private key
    allow_private  whether the issuer may have a private address
    """

    issuer: Visible
    client: Visible
    secret: Reference | None = None
    private_key_jwt: Reference | None = None
    key_id: Visible | None = None
    scope: Scope | None = None
    resource: Resource | None = None
    allow_private: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.secret is not None and self.private_key_jwt is not None:
            raise ValueError("expected either `secret` or `private_key_jwt`")
        if self.secret is None and self.private_key_jwt is None and not self.is_public:
            raise ValueError("expected `secret` or `private_key_jwt`")
        if self.key_id is not None and self.private_key_jwt is None:
            raise ValueError("key_id: only beside `private_key_jwt`")
        try:
            self.at.check()
        except AddressRefused as error:
            raise ValueError(f"issuer: {error}") from error
        return self

    @property
    def is_public(self) -> bool:
        """Whether the issuer may know us by our name alone."""
        return False

    @property
    def at(self) -> Issuer:
        """The issuer."""
        return Issuer(self.issuer, self.allow_private)

    @property
    def registration(self) -> Registration:
        """How the gateway is registered there."""
        return Registration(self.at, self.client, self.secret, self.private_key_jwt, self.key_id)


class TokenExchangeSpec(OAuthClientSpec):
    """The same, with a token of its own for each caller.

    audience  the server's name with the issuer, where that knows no resources
    """

    audience: Visible | None = None


class UserOAuthSpec(OAuthClientSpec):
    """The same, with tokens of the people for whom agents act, each of whom is asked.

    listing  reference to a token with which tools are listed; else the gateway gets one for
             itself, which a public client (neither `secret` nor key) cannot
    """

    listing: Reference | None = None

    @property
    def is_public(self) -> bool:
        """Public where tools are listed with a token of their own."""
        return self.listing is not None


class Credential(_Model):
    """Our own credential with a server, of one kind; the caller's never gets there."""

    bearer: Reference | None = None
    oauth_client: OAuthClientSpec | None = None
    token_exchange: TokenExchangeSpec | None = None
    user_oauth: UserOAuthSpec | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected one of: {', '.join(type(self).model_fields)}")
        return self


@dataclass(frozen=True, slots=True)
class Place:
    """A server that has a credential."""

    server: str
    url: str


def authorization(
    credential: Credential, at: Place, means: Means, subject: Subject, connected: Connected
) -> Authorization:
    """What requests to a server are sent with."""
    if credential.bearer is not None:
        reference = credential.bearer
        return Bearer(lambda: means.credentials.fetch(reference))
    if credential.oauth_client is not None:
        return _itself(credential.oauth_client, at, means)
    if credential.user_oauth is not None:
        return _of_users(credential.user_oauth, at, means, connected)
    exchange = credential.token_exchange
    assert exchange is not None
    target = _target(exchange, at.url, exchange.audience)
    client = OAuthClient(exchange.registration, means)
    grant = token_exchange(client, target, lambda caller: subject(caller, exchange.issuer))
    return GrantedAuthorization(grant, means.now_s, per_caller=True)


def reached(spec: UserOAuthSpec, at: Place, means: Means, journeys: Journeys) -> Reached:
    """How people get to the authorization server of a server, and back."""
    client = OAuthClient(spec.registration, means)
    asked = _target(spec, at.url).form()
    callback = f"{journeys.public_url}/oauth/upstream/{at.server}/callback"
    errand = Errand(callback, asked, says_pkce=True)
    return Reached(client, CodeFlow(client, errand, journeys.random, means.now_s))


def _itself(spec: OAuthClientSpec, at: Place, means: Means) -> Authorization:
    grant = client_credentials(OAuthClient(spec.registration, means), _target(spec, at.url))
    return GrantedAuthorization(grant, means.now_s, per_caller=False)


def _of_users(spec: UserOAuthSpec, at: Place, means: Means, connected: Connected) -> Authorization:
    listing = spec.listing
    itself: Authorization
    if listing is None:
        itself = _itself(spec, at, means)
    else:
        itself = Bearer(lambda: means.credentials.fetch(listing))
    client, resource = OAuthClient(spec.registration, means), _target(spec, at.url).resource
    return UserTokens(at.server, client, resource, itself, connected, means.now_s)


def _target(spec: OAuthClientSpec, url: str, audience: str | None = None) -> Target:
    own = url.partition("?")[0]  # a query may hold a credential
    return Target(spec.resource or own, spec.scope, audience)

"""Issuers: what an authorization server says of itself (RFC 8414, OpenID Connect Discovery).

Asked of the configured issuer and of nobody else, and believed only when it names itself as it is
configured (RFC 8414, section 3.3). Where it sends us is somebody else's word: such an endpoint is
on the issuer's own origin, or public and encrypted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from audit.canonical import Json
from gateway.errors import AddressRefused, FetchFailed
from gateway.links.address import Destination
from gateway.links.fetch import Fetcher

_OAUTH = "/.well-known/oauth-authorization-server"
_OPENID = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Issuer:
    """An authorization server as it is configured.

    url            its identifier, compared letter by letter
    allow_private  whether it, and where it sends us, may have private addresses
    """

    url: str
    allow_private: bool = False

    def check(self) -> None:
        """Refuse an identifier that is no plain URL, or not encrypted. Raises AddressRefused."""
        destination = Destination.parse(self.url, allow_private=self.allow_private)
        if not destination.secure and not destination.is_here:
            raise AddressRefused("an issuer is reached by https, or on this machine")
        if "?" in self.url:
            raise AddressRefused("an issuer has no query")

    def endpoint(self, url: Json) -> Destination:
        """Where the issuer says that one of its endpoints is. Raises AddressRefused."""
        if not isinstance(url, str):
            raise AddressRefused("an endpoint that is no URL")
        own = Destination.parse(self.url).origin
        found = Destination.parse(url, allow_private=self.allow_private, configured=False)
        if found.origin == own:
            return Destination.parse(url, allow_private=self.allow_private)
        if not found.secure:
            raise AddressRefused("an endpoint that is not reached by https")
        return found


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is used of an issuer's metadata.

    token          its token endpoint
    methods        how clients may authenticate there; None: it does not say
    authorization  where browsers are sent, as the issuer spells it; None: nowhere
    challenges     methods of PKCE (RFC 7636)
    names_itself   whether it says who it is when it sends people back (RFC 9207)
    """

    token: Destination
    methods: frozenset[str] | None
    authorization: str | None
    challenges: frozenset[str]
    names_itself: bool


async def discover(issuer: Issuer, fetcher: Fetcher) -> Metadata:
    """Ask an issuer for its metadata. Raises FetchFailed or AddressRefused."""
    issuer.check()
    for url in _places(issuer.url):
        answer = await fetcher.get(Destination.parse(url, allow_private=issuer.allow_private))
        if answer.status == 200:
            return _read(issuer, answer.members())
        if not 400 <= answer.status < 500:
            raise FetchFailed(f"{issuer.url}: HTTP {answer.status} for its metadata")
    raise FetchFailed(f"{issuer.url}: has no metadata")


def _places(issuer: str) -> Iterator[str]:
    """Where metadata may be, in the order of the MCP authorization specification."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    yield f"{origin}{_OAUTH}{path}"
    yield f"{origin}{_OPENID}{path}"
    if path:
        yield f"{origin}{path}{_OPENID}"


def _read(issuer: Issuer, members: dict[str, Json]) -> Metadata:
    if members.get("issuer") != issuer.url:
        raise FetchFailed(f"{issuer.url}: its metadata is another issuer's")
    methods = members.get("token_endpoint_auth_methods_supported")
    challenges = members.get("code_challenge_methods_supported")
    authorization = members.get("authorization_endpoint")
    return Metadata(
        token=issuer.endpoint(members.get("token_endpoint")),
        methods=frozenset(map(str, methods)) if isinstance(methods, list) else None,
        authorization=authorization if isinstance(authorization, str) else None,
        challenges=frozenset(map(str, challenges if isinstance(challenges, list) else ())),
        names_itself=members.get("authorization_response_iss_parameter_supported") is True,
    )

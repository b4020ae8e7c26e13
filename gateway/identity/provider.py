"""Providers: where an OpenID provider has its keys (OIDC Discovery 1.0).

Asked of the configured issuer and nobody else, and believed only when it names itself exactly as it
is configured. Its keys are on its own address, unless the configuration names another.
"""

from audit.canonical import Json
from gateway.errors import AddressRefused, FetchFailed
from gateway.identity.trust import Oidc
from gateway.links.address import Destination
from gateway.links.fetch import Fetcher
from gateway.links.issuer import Issuer

_DISCOVERY = "/.well-known/openid-configuration"


class Provider:
    """One OpenID provider, asked anew each time."""

    def __init__(self, oidc: Oidc, fetcher: Fetcher) -> None:
        self._issuer = Issuer(oidc.issuer, oidc.allow_private)
        self._oidc = oidc
        self._fetcher = fetcher

    async def key_set(self) -> bytes:
        """Its keys, as they are served. Raises FetchFailed or AddressRefused."""
        answer = await self._fetcher.get(await self._keys())
        if answer.status != 200:
            raise FetchFailed(f"{self._oidc.issuer}: HTTP {answer.status} for its keys")
        return answer.body

    async def _keys(self) -> Destination:
        if self._oidc.jwks_url is not None:
            return _place(self._oidc.jwks_url, allow_private=self._oidc.allow_private)
        metadata = await self._metadata()
        found = self._issuer.endpoint(metadata.get("jwks_uri"))
        if found.origin != Destination.parse(self._oidc.issuer).origin:
            raise AddressRefused("keys away from the issuer's own address (see jwks_url)")
        return found

    async def _metadata(self) -> dict[str, Json]:
        url = self._oidc.issuer.removesuffix("/") + _DISCOVERY
        answer = await self._fetcher.get(_place(url, allow_private=self._oidc.allow_private))
        if answer.status != 200:
            raise FetchFailed(f"{self._oidc.issuer}: HTTP {answer.status} for its metadata")
        members = answer.members()
        if members.get("issuer") != self._oidc.issuer:
            raise FetchFailed(f"{self._oidc.issuer}: its metadata is another issuer's")
        return members


async def fetch_key_set(url: str, fetcher: Fetcher, *, allow_private: bool) -> bytes:
    """The key set at a configured address. Raises FetchFailed or AddressRefused."""
    answer = await fetcher.get(_place(url, allow_private=allow_private))
    if answer.status != 200:
        raise FetchFailed(f"{url}: HTTP {answer.status} for keys")
    return answer.body


def _place(url: str, *, allow_private: bool) -> Destination:
    return Destination.parse(url, allow_private=allow_private)

"""Fetching: a request to somebody's authorization server, guarded like a link and bounded.

The connection goes to an address that was checked, redirects are not followed, no proxy of the
environment is used, and size and time have an end. For what is asked seldom; calls of tools have
a client of their own (`gateway.links.http_client`).
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from audit.canonical import Json
from gateway.errors import FetchFailed, FetchUnreached, NotUnderstood
from gateway.links import jsonrpc
from gateway.links.address import Destination, Listener, resolve

if TYPE_CHECKING:
    import httpx

MAX_BYTES = 256 << 10
_MAX_DEPTH = 16
_FIXED = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "passavant",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole answer; what is in it may be secret."""

    status: int
    body: bytes = field(repr=False)

    def members(self, *, max_depth: int = _MAX_DEPTH) -> dict[str, Json]:
        """The body as a strict JSON object. Raises FetchFailed."""
        try:
            value = jsonrpc.read(self.body, max_bytes=len(self.body), max_depth=max_depth)
        except NotUnderstood as error:
            raise FetchFailed(f"HTTP {self.status} with a body that is {error}") from None
        if not isinstance(value, dict):
            raise FetchFailed(f"HTTP {self.status} with a body that is no JSON object")
        return value


class Fetcher:
    """Makes such requests, each over a connection of its own.

    own        where the gateway itself listens: never a legal destination
    tls        shared with links
    timeout_s  from looking the name up to the last byte
    """

    def __init__(
        self,
        own: Callable[[], Iterable[Listener]],
        tls: ssl.SSLContext,
        *,
        timeout_s: float = 10.0,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._own = own
        self.tls = tls
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes

    async def get(
        self, destination: Destination, headers: Mapping[str, str] = MappingProxyType({})
    ) -> Fetched:
        """Ask for a document. Raises FetchFailed or AddressRefused."""
        return await self._exchange("GET", destination, headers, b"")

    async def post(
        self, destination: Destination, form: Mapping[str, str], headers: Mapping[str, str]
    ) -> Fetched:
        """Send a form. Raises FetchFailed or AddressRefused."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self._exchange("POST", destination, {**headers, **kind}, _encoded(form))

    async def post_json(
        self, destination: Destination, body: dict[str, Json], headers: Mapping[str, str]
    ) -> Fetched:
        """Send a JSON object. Raises FetchFailed, FetchUnreached or AddressRefused."""
        kind = {"Content-Type": "application/json"}
        return await self._exchange("POST", destination, {**headers, **kind}, jsonrpc.dump(body))

    def patient(self, *, timeout_s: float, max_bytes: int) -> "Fetcher":
        """The same, with other bounds."""
        return Fetcher(self._own, self.tls, timeout_s=timeout_s, max_bytes=max_bytes)

    async def _exchange(
        self, method: str, destination: Destination, headers: Mapping[str, str], body: bytes
    ) -> Fetched:
        shown = destination.authority
        try:
            async with asyncio.timeout(self._timeout_s):
                addresses = await resolve(destination, self._own)
                return await self._send(method, destination, addresses, headers, body)
        except TimeoutError:
            raise FetchFailed(f"{shown}: no answer within {self._timeout_s:g} s") from None
        except OSError as error:
            raise FetchFailed(f"{shown}: {error.strerror}") from None

    async def _send(
        self,
        method: str,
        destination: Destination,
        addresses: tuple[str, ...],
        headers: Mapping[str, str],
        body: bytes,
    ) -> Fetched:
        """Send to the first address that can be connected to."""
        import httpx  # noqa: PLC0415 - no start waits for it, and most deployments never need it

        shown = destination.authority
        client = httpx.AsyncClient(verify=self.tls, trust_env=False, timeout=self._timeout_s)
        async with client:
            for address in addresses:
                request = client.build_request(
                    method,
                    _url(destination, address),
                    headers={**headers, **_FIXED, "Host": destination.authority},
                    content=body,
                    extensions={"sni_hostname": destination.host},
                )
                try:
                    response = await client.send(request, stream=True)
                    return Fetched(response.status_code, await self._body(response, shown))
                except httpx.ConnectError:
                    continue  # nothing was sent
                except httpx.HTTPError as error:
                    raise FetchFailed(f"{shown}: {type(error).__name__}") from None
        raise FetchUnreached(f"{shown}: no connection")

    async def _body(self, response: "httpx.Response", shown: str) -> bytes:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise FetchFailed(f"{shown}: an encoded body, which was not asked for")
        body = b""
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self._max_bytes:
                raise FetchFailed(f"{shown}: more than {self._max_bytes} bytes")
        return body


def _url(destination: Destination, address: str) -> str:
    """The destination with a checked address in place of its name."""
    scheme = "https" if destination.secure else "http"
    host = f"[{address}]" if ":" in address else address
    return f"{scheme}://{host}:{destination.port}{destination.target}"


def _encoded(form: Mapping[str, str]) -> bytes:
    return urlencode(form).encode("ascii")

"""Where a link may lead: destinations come from configuration alone, and are checked when resolved.

A destination is public and https, unless the configuration says otherwise in so many words: it
names a private address itself (or `localhost`), or sets `allow_private`. Every address that a name
resolves to is checked, and the connection goes to one of these and to no other. The gateway's own
listeners, link-local addresses and metadata services are never legal.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self, TypeAlias
from urllib.parse import urlsplit

from gateway.errors import AddressRefused

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Listener: TypeAlias = tuple[str, int]

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")  # the last label of what a resolver takes as a number
_VISIBLE = re.compile(r"[!-~]+")
_METADATA = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "fd00:ec2::254")))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Destination:
    """One URL of the configuration, taken apart.

    host           name in lower case, or IP address without brackets
    authority      as in the `Host` header
    target         path and query; the query may hold a credential and is never shown
    allow_private  whether names may resolve to private addresses
    configured     whether the configuration itself names it; what somebody else named is private
                   only where `allow_private` says so
    """

    secure: bool
    host: str
    port: int
    authority: str
    target: str = field(repr=False)
    allow_private: bool = False
    configured: bool = True

    @classmethod
    def parse(cls, url: str, *, allow_private: bool = False, configured: bool = True) -> Self:
        """Take a URL apart. Raises AddressRefused for every spelling but the plain one."""
        if not _VISIBLE.fullmatch(url):  # `urlsplit` would silently drop line ends
            raise AddressRefused("a URL with spaces or characters that are not ASCII")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise AddressRefused("not a URL") from error
        host = parts.hostname or ""
        if parts.scheme not in ("http", "https"):
            raise AddressRefused("expected http:// or https://")
        if parts.username is not None or parts.password is not None or "#" in url or "\\" in url:
            raise AddressRefused("a URL with user, password, fragment or backslash")
        if port == 0:
            raise AddressRefused("a URL with port 0")
        literal = _literal(host)
        if literal is None or "%" in host:  # a zone of this machine is no place to name
            _check_name(host)
        shown = f"[{host}]" if ":" in host else host
        authority = shown if port is None else f"{shown}:{port}"
        if parts.netloc.lower() != authority:
            raise AddressRefused("an authority that is not spelled plainly")
        secure = parts.scheme == "https"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        port = port or (443 if secure else 80)
        return cls(secure, host, port, authority, target, allow_private, configured)

    @property
    def says_private(self) -> bool:
        """Whether the configuration itself names a private place."""
        named = self.host == "localhost" or _literal(self.host) is not None
        return self.allow_private or (self.configured and named)

    @property
    def is_here(self) -> bool:
        """Whether it is this machine, whatever a resolver says."""
        literal = _literal(self.host)
        return self.host == "localhost" or (literal is not None and _embedded(literal).is_loopback)

    @property
    def origin(self) -> tuple[bool, str, int]:
        """Scheme, host and port."""
        return self.secure, self.host, self.port


async def resolve(
    destination: Destination, own: Callable[[], Iterable[Listener]]
) -> tuple[str, ...]:
    """The addresses to connect to, each checked. Raises AddressRefused when any is not legal.

    own  where the gateway itself listens

    A name that does not resolve raises OSError.
    """
    literal = _literal(destination.host)
    found = [literal] if literal is not None else await _look_up(destination)
    listeners = tuple(own())
    for address in found:
        _check(destination, address, listeners)
    return tuple(map(str, found))


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _check_name(host: str) -> None:
    """A name of letters, digits and hyphens that no resolver takes for a number."""
    last = host.rpartition(".")[2]
    if len(host) > 253 or not _NAME.fullmatch(host) or _NUMERIC.fullmatch(last):
        raise AddressRefused("a host that is neither a plain name nor a plain IP address")


async def _look_up(destination: Destination) -> Sequence[Address]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(destination.host, destination.port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(ipaddress.ip_address(str(item[4][0])) for item in found))


def _check(destination: Destination, address: Address, own: Sequence[Listener]) -> None:
    inner = _embedded(address)
    shown = destination.host
    if inner.is_link_local or inner.is_multicast or inner.is_unspecified or inner in _METADATA:
        raise AddressRefused(f"{shown} is link-local, multicast or a metadata service")
    if any(_is_listener(inner, destination.port, listener) for listener in own):
        raise AddressRefused(f"{shown} is the gateway itself")
    if inner.is_global:
        if not destination.secure:
            raise AddressRefused(f"{shown} is public: expected https")
        return
    if destination.host == "localhost" and not inner.is_loopback:
        raise AddressRefused("localhost does not resolve to this machine")
    if not destination.says_private:
        raise AddressRefused(f"{shown} resolves to a private address (see allow_private)")


def _embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[12:])
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


def _is_listener(address: Address, port: int, listener: Listener) -> bool:
    host, own_port = listener
    if port != own_port:
        return False
    bound = _literal(host)
    if bound is None or bound.is_unspecified:
        return _is_ours(address)
    return address == _embedded(bound)


def _is_ours(address: Address) -> bool:
    """Whether this machine has that address: only then can a socket be bound to it."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True

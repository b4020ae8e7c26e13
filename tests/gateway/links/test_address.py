"""Threat 57: where a link may lead."""

import asyncio
import socket
from collections.abc import Iterable
from typing import Any

import pytest

from gateway.errors import AddressRefused
from gateway.links.address import Destination, Listener, resolve


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param(
            "https://crm.example/mcp", (True, "crm.example", 443, "crm.example", "/mcp"), id="https"
        ),
        pytest.param(
            "https://CRM.Example:8443", (True, "crm.example", 8443, "crm.example:8443", "/"), id="c"
        ),
        pytest.param(
            "http://localhost:9000/a?b=c",
            (False, "localhost", 9000, "localhost:9000", "/a?b=c"),
            id="query",
        ),
        pytest.param("http://[::1]:9000/x", (False, "::1", 9000, "[::1]:9000", "/x"), id="ipv6"),
        pytest.param(
            "https://xn--bcher-kva.example/",
            (True, "xn--bcher-kva.example", 443, "xn--bcher-kva.example", "/"),
            id="punycode",
        ),
    ],
)
def test_a_plain_url_is_taken_apart(url: str, expected: tuple[Any, ...]) -> None:
    found = Destination.parse(url)
    assert (found.secure, found.host, found.port, found.authority, found.target) == expected


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="empty"),
        pytest.param("crm.example/mcp", id="no-scheme"),
        pytest.param("ftp://crm.example/", id="scheme"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("https:///mcp", id="no-host"),
        pytest.param("https://crm.example@evil.example/", id="user"),
        pytest.param("https://user:pw@crm.example/", id="password"),
        pytest.param("https://@crm.example/", id="empty-user"),
        pytest.param("https://crm.example/#x", id="fragment"),
        pytest.param("https://crm.example\\@evil.example/", id="backslash"),
        pytest.param("https://crm.example:0/", id="port-0"),
        pytest.param("https://crm.example:65536/", id="port-too-great"),
        pytest.param("https://crm.example:/", id="port-empty"),
        pytest.param("https://crm.example:080/", id="port-leading-zero"),
        pytest.param("https://crm.example:x/", id="port-no-number"),
        pytest.param("https://crm.example./", id="trailing-dot"),
        pytest.param("https://crm..example/", id="empty-label"),
        pytest.param("https://-crm.example/", id="hyphen"),
        pytest.param("https://crm_1.example/", id="underscore"),
        pytest.param("https://b\u00fccher.example/", id="not-ascii"),
        pytest.param("https://crm\u3002example/", id="ideographic-dot"),
        pytest.param("https://\uff43rm.example/", id="full-width"),
        pytest.param("https://crm%2eexample/", id="percent"),
        pytest.param("https://crm.example/a b", id="space"),
        pytest.param("https://crm.example/a\r\nHost: evil", id="newline"),
        pytest.param("https://2130706433/", id="decimal-address"),
        pytest.param("https://0x7f000001/", id="hexadecimal-address"),
        pytest.param("https://0177.0.0.1/", id="octal-address"),
        pytest.param("https://127.1/", id="short-address"),
        pytest.param("https://1.2.3.0x7f/", id="mixed-address"),
        pytest.param("https://[::1/", id="bracket"),
        pytest.param("https://[::1%25eth0]/", id="zone"),
        pytest.param("https://" + "a." * 130 + "example/", id="long"),
    ],
)
def test_every_other_spelling_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        Destination.parse(url)


def test_what_a_url_asks_for_is_not_shown() -> None:
    assert "hunter2" not in repr(Destination.parse("https://crm.example/mcp?key=hunter2"))


async def resolved(
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    *addresses: str,
    allow_private: bool = False,
    own: Iterable[Listener] = (),
) -> tuple[str, ...]:
    """Resolve a URL whose name has these addresses."""

    async def getaddrinfo(host: str, port: int, **_: object) -> list[Any]:
        return [(0, 0, 0, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return await resolve(Destination.parse(url, allow_private=allow_private), lambda: own)


PRIVATE = [
    "127.0.0.1",
    "127.9.9.9",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "::1",
    "fd00::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
]
NEVER = [
    "169.254.169.254",
    "169.254.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "fe80::1",
    "0.0.0.0",  # noqa: S104 - an address that is refused
    "::",
    "224.0.0.1",
    "ff02::1",
    "100.100.100.200",
    "fd00:ec2::254",
]


async def test_a_public_name_is_reached_by_all_its_addresses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = await resolved(
        monkeypatch, "https://crm.example/", "93.184.216.34", "2606:2800::1", "93.184.216.34"
    )
    assert found == ("93.184.216.34", "2606:2800::1")


@pytest.mark.parametrize("address", PRIVATE)
async def test_a_name_with_a_private_address_needs_to_be_allowed(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AddressRefused, match="allow_private"):
        await resolved(monkeypatch, "https://crm.example/", address)
    assert await resolved(monkeypatch, "http://crm.example/", address, allow_private=True)


@pytest.mark.parametrize("address", PRIVATE + NEVER)
async def test_one_bad_address_among_good_ones_is_enough(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AddressRefused):
        await resolved(monkeypatch, "https://crm.example/", "93.184.216.34", address)


@pytest.mark.parametrize("address", NEVER)
async def test_some_addresses_are_never_legal(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AddressRefused):
        await resolved(monkeypatch, "https://crm.example/", address, allow_private=True)
    literal = f"[{address}]" if ":" in address else address
    with pytest.raises(AddressRefused):
        await resolved(monkeypatch, f"http://{literal}/", address, allow_private=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.0.0.1", "192.168.1.1", "localhost"])
async def test_a_private_address_that_the_configuration_names_is_legal(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await resolved(monkeypatch, f"http://{host}:9000/", "127.0.0.1")


async def test_localhost_is_this_machine_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AddressRefused, match="this machine"):
        await resolved(monkeypatch, "http://localhost/", "10.0.0.1")


async def test_nothing_goes_unencrypted_to_a_public_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for url in ("http://crm.example/", "http://93.184.216.34/"):
        with pytest.raises(AddressRefused, match="https"):
            await resolved(monkeypatch, url, "93.184.216.34", allow_private=True)


@pytest.mark.parametrize(
    ("url", "address", "listener"),
    [
        pytest.param("http://127.0.0.1:7300/", "", ("127.0.0.1", 7300), id="agents"),
        pytest.param("http://localhost:7301/", "127.0.0.1", ("127.0.0.1", 7301), id="operators"),
        pytest.param("http://x.example:7300/", "127.0.0.1", ("127.0.0.1", 7300), id="name"),
        pytest.param("http://[::ffff:127.0.0.1]:7300/", "", ("127.0.0.1", 7300), id="mapped"),
        pytest.param("http://127.0.0.1:7300/", "", ("0.0.0.0", 7300), id="any"),  # noqa: S104
        pytest.param("http://127.0.0.9:7300/", "", ("0.0.0.0", 7300), id="any-loopback"),  # noqa: S104
        pytest.param("http://127.0.0.1:7300/", "", ("::", 7300), id="any-v6"),
        pytest.param("http://127.0.0.1:7300/", "", ("gateway.example", 7300), id="named"),
    ],
)
async def test_the_gateway_itself_is_never_legal(
    url: str, address: str, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AddressRefused, match="itself"):
        await resolved(monkeypatch, url, address, allow_private=True, own=[listener])
    elsewhere = (listener[0], 7999)
    assert await resolved(monkeypatch, url, address, allow_private=True, own=[elsewhere])


async def test_a_name_that_does_not_resolve_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    with pytest.raises(OSError, match="unknown"):
        await resolve(Destination.parse("https://crm.example/"), lambda: ())

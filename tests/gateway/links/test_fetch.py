import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509

from gateway.errors import AddressRefused, FetchFailed
from gateway.links import fetch as module
from gateway.links.address import Destination
from gateway.links.fetch import Fetcher
from tests.gateway.links.http_upstream import Upstream, eventually, http, says
from tests.gateway.links.test_tls import SecureUpstream, certificate

TLS = ssl.create_default_context()


@pytest.fixture
async def server() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.behaviours["GET"] = says(lambda _: http(b'{"a":1}'))
        yield upstream


def fetcher(tls: ssl.SSLContext = TLS, **more: int) -> Fetcher:
    return Fetcher(lambda: (), tls, **more)


async def test_a_document_is_fetched_with_nothing_of_this_machine_in_the_request(
    server: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    answer = await fetcher().get(Destination.parse(server.url))
    assert (answer.status, answer.members()) == (200, {"a": 1})
    assert server.heard[0].headers == {
        "host": f"127.0.0.1:{server.port}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": "passavant",
        "connection": "keep-alive",
    }


async def test_the_name_is_looked_up_once_and_the_checked_address_is_used(
    server: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[object] = []
    original = socket.getaddrinfo

    def getaddrinfo(*args: object, **more: object) -> object:
        looked_up.append(args[0])
        return original(*args, **more)  # type: ignore[arg-type]  # whatever it takes

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    await fetcher().get(Destination.parse(f"http://localhost:{server.port}/x"))
    assert looked_up.count("localhost") == 1
    assert server.heard[0].headers["host"] == f"localhost:{server.port}"


async def test_the_next_address_is_tried_where_one_refuses(
    server: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(*_: object) -> tuple[str, ...]:
        return "127.0.0.2", "127.0.0.1"

    monkeypatch.setattr(module, "resolve", resolve)
    assert (await fetcher().get(Destination.parse(server.url))).status == 200


async def test_where_nobody_listens_nothing_is_fetched() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(FetchFailed, match="no connection"):
            await fetcher().get(Destination.parse(f"http://127.0.0.1:{port}/"))


async def test_the_gateway_itself_is_no_destination(server: Upstream) -> None:
    ours = Fetcher(lambda: [("127.0.0.1", server.port)], TLS)
    with pytest.raises(AddressRefused, match="the gateway itself"):
        await ours.get(Destination.parse(server.url))
    assert not server.heard


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        pytest.param(http(b"x" * 200), "more than 100", id="large"),
        pytest.param(http(b"{}", extra="Content-Encoding: gzip\r\n"), "encoded", id="encoded"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "Error", id="cut"),
        pytest.param(b"planted\r\n\r\n", "Error", id="no-http"),
    ],
)
async def test_an_answer_out_of_bounds_is_refused(
    raw: bytes, complaint: str, server: Upstream
) -> None:
    async def behave(_heard: object, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        writer.close()

    server.behaviours["GET"] = behave
    with pytest.raises(FetchFailed, match=complaint) as caught:
        await fetcher(max_bytes=100).get(Destination.parse(server.url))
    assert "planted" not in str(caught.value)


# -- over TLS -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "good"),
    [
        pytest.param("localhost", True, id="its-name"),
        pytest.param("other.example", False, id="another-name"),
    ],
)
async def test_the_certificate_is_checked_by_the_name_that_was_configured(
    name: str, good: bool, tmp_path: Path
) -> None:
    path = certificate(tmp_path, [x509.DNSName(name)])
    tls = ssl.create_default_context(cafile=str(path))
    async with SecureUpstream(path) as server:
        server.behaviours["GET"] = says(lambda _: http(b"{}"))
        there = Destination.parse(f"https://localhost:{server.port}/")
        if good:
            assert (await fetcher(tls).get(there)).members() == {}
            await eventually(lambda: server.heard[0].headers["host"] == there.authority)
        else:
            with pytest.raises(FetchFailed, match="no connection"):
                await fetcher(tls).get(there)
            assert not server.heard

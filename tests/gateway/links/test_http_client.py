import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.errors import LinkDown, LinkError, LinkGarbage, LinkLost, LinkTimeout
from gateway.links.http_client import Connection, HttpClient, Limits
from tests.gateway.links.http_upstream import (
    Upstream,
    chunked,
    eventually,
    hangs_up_after,
    http,
    says,
    stays_silent,
)

REQUEST = b"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
LIMITS = Limits(
    head_bytes=4096, body_bytes=10_000, connections=4, idle_s=60, connect_s=2, drain_s=0.2
)
OK = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

MakeClient = Callable[..., HttpClient]


class FirstEvent:
    """Takes everything up to the end of the first event."""

    def __init__(self) -> None:
        self.taken = b""

    def feed(self, chunk: bytes) -> bool:
        self.taken += chunk
        return b"\n\n" in self.taken


@pytest.fixture
async def client(upstream: Upstream) -> AsyncIterator[MakeClient]:
    made: list[HttpClient] = []

    def make(limits: Limits = LIMITS, port: int | None = None) -> HttpClient:
        async def connect(protocol: Callable[[], Connection]) -> Connection:
            loop = asyncio.get_running_loop()
            where = upstream.port if port is None else port
            return (await loop.create_connection(protocol, "127.0.0.1", where))[1]

        made.append(HttpClient("s", connect, limits))
        return made[-1]

    yield make
    for each in made:
        each.close()


async def test_one_connection_serves_many_requests(upstream: Upstream, client: MakeClient) -> None:
    upstream.behaviours[""] = says(lambda _: http(b'{"a":1}'))
    http_client = client()
    for _ in range(5):
        response = await http_client.exchange(REQUEST, timeout_s=5)
        assert (response.status, response.body) == (200, b'{"a":1}')
    assert upstream.connections == 1


async def test_requests_at_the_same_time_use_connections_of_their_own(
    upstream: Upstream, client: MakeClient
) -> None:
    upstream.behaviours[""] = says(lambda _: http(b"{}"))
    http_client = client()
    await asyncio.gather(*(http_client.exchange(REQUEST, timeout_s=5) for _ in range(20)))
    assert upstream.connections == LIMITS.connections


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(chunked(b'{"a"', b":1}", kind="application/json"), id="chunked"),
        pytest.param(OK.encode() + b"Connection: close\r\n\r\n" + b'{"a":1}', id="until-close"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\n" + b'{"a":1}', id="http-1.0"),
        pytest.param(
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + http(b'{"a":1}'), id="early-hints"
        ),
        pytest.param(
            OK.encode() + b"Transfer-Encoding: chunked\r\n\r\n7\r\n" + b'{"a":1}'
            b"\r\n0\r\nContent-Type: text/html\r\n\r\n",
            id="trailer",
        ),
    ],
)
async def test_every_framing_of_a_body_is_understood(
    raw: bytes, upstream: Upstream, client: MakeClient
) -> None:
    upstream.behaviours[""] = hangs_up_after(lambda _: raw)
    response = await client().exchange(REQUEST, timeout_s=5)
    assert response.body == b'{"a":1}'
    assert response.headers.get(b"content-type") != b"text/html"


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        pytest.param(b"SSH-2.0-OpenSSH\r\n", LinkGarbage, id="not-http"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", LinkGarbage, id="bad-length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", LinkGarbage, id="negative"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
            LinkGarbage,
            id="two-lengths",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
            LinkGarbage,
            id="length-and-chunks",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
            LinkGarbage,
            id="gzip",
        ),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            LinkGarbage,
            id="upgrade",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: " + b"x" * 9000, LinkGarbage, id="endless-header"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 2000, LinkGarbage, id="endless-headers"
        ),
        pytest.param(http(b"x" * 10_001), LinkGarbage, id="too-large"),
        pytest.param(
            chunked(*[b"x" * 100] * 101, kind="application/json"), LinkGarbage, id="too-many-chunks"
        ),
        pytest.param(
            OK.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;" + b"e" * 50_000,
            LinkGarbage,
            id="endless-chunk-extension",
        ),
        pytest.param(b"", LinkLost, id="nothing"),
        pytest.param(b"HTTP/1.1 200", LinkLost, id="half-a-status-line"),
        pytest.param(OK.encode() + b"Content-Length: 20\r\n\r\n{", LinkLost, id="half-a-body"),
        pytest.param(
            chunked(b"{", kind="application/json", end=False), LinkLost, id="chunks-without-end"
        ),
    ],
)
async def test_a_broken_answer_leaves_open_what_the_server_did(
    raw: bytes, error: type[LinkError], upstream: Upstream, client: MakeClient
) -> None:
    upstream.behaviours[""] = hangs_up_after(lambda _: raw)
    with pytest.raises(error) as caught:
        await client().exchange(REQUEST, timeout_s=5)
    assert caught.value.acted is None
    assert len(upstream.heard) == 1


async def test_a_silent_server_is_given_up_and_its_connection_closed(
    upstream: Upstream, client: MakeClient
) -> None:
    upstream.behaviours[""] = stays_silent
    http_client = client()
    with pytest.raises(LinkTimeout):
        await http_client.exchange(REQUEST, timeout_s=0.5)
    assert not http_client._idle


async def test_a_byte_now_and_then_does_not_extend_the_deadline(
    upstream: Upstream, client: MakeClient
) -> None:
    async def drip(_: object, writer: asyncio.StreamWriter) -> None:
        for byte in http(b"x" * 1000):
            writer.write(bytes([byte]))
            await asyncio.sleep(0.01)

    upstream.behaviours[""] = drip
    with pytest.raises(LinkTimeout):
        await client().exchange(REQUEST, timeout_s=1)


async def test_a_refused_connection_says_that_nothing_was_sent(client: MakeClient) -> None:
    async with Upstream() as gone:
        port = gone.port
    with pytest.raises(LinkDown) as caught:
        await client(port=port).exchange(REQUEST, timeout_s=5)
    assert caught.value.acted is False


async def test_waiting_for_a_free_connection_ends_and_says_that_nothing_was_sent(
    upstream: Upstream, client: MakeClient
) -> None:
    upstream.behaviours[""] = stays_silent
    http_client = client(Limits(connections=1, connect_s=0.05))
    first = asyncio.create_task(http_client.exchange(REQUEST, timeout_s=5))
    await asyncio.sleep(0)
    with pytest.raises(LinkDown, match="busy"):
        await http_client.exchange(REQUEST, timeout_s=5)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert len(upstream.heard) <= 1


async def test_a_connection_that_turned_out_stale_is_not_tried_again(
    upstream: Upstream, client: MakeClient
) -> None:
    upstream.behaviours[""] = says(lambda _: http(b"{}"))
    http_client = client()
    await http_client.exchange(REQUEST, timeout_s=5)
    upstream.behaviours[""] = hangs_up_after(lambda _: b"")
    with pytest.raises(LinkLost):
        await http_client.exchange(REQUEST, timeout_s=5)
    assert len(upstream.heard) == 2


async def test_a_connection_that_the_server_closed_is_replaced(
    upstream: Upstream, client: MakeClient
) -> None:
    upstream.behaviours[""] = hangs_up_after(lambda _: http(b"{}"))
    http_client = client()
    for _ in range(3):
        await http_client.exchange(REQUEST, timeout_s=5)
        await eventually(lambda: not http_client._all)
    assert upstream.connections == 3


async def test_an_old_idle_connection_is_not_trusted(
    upstream: Upstream, client: MakeClient
) -> None:
    upstream.behaviours[""] = says(lambda _: http(b"{}"))
    http_client = client(Limits(idle_s=-1.0))
    for _ in range(3):
        await http_client.exchange(REQUEST, timeout_s=5)
    assert upstream.connections == 3


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param(http(b'{"second":1}'), id="a-second-answer"),
        pytest.param(b"x", id="stray-bytes"),
    ],
)
async def test_what_follows_an_answer_is_never_taken_for_the_next(
    extra: bytes, upstream: Upstream, client: MakeClient
) -> None:
    upstream.behaviours[""] = says(lambda _: http(b'{"first":1}') + extra)
    http_client = client()
    for _ in range(3):
        response = await http_client.exchange(REQUEST, timeout_s=5)
        assert response.body == b'{"first":1}'
    assert upstream.connections == 3


async def test_an_answer_that_nobody_asked_for_ends_the_connection(
    upstream: Upstream, client: MakeClient
) -> None:
    writers: list[asyncio.StreamWriter] = []

    async def behave(_: object, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(http(b'{"mine":1}'))

    upstream.behaviours[""] = behave
    http_client = client()
    await http_client.exchange(REQUEST, timeout_s=5)
    writers[0].write(http(b'{"unasked":1}'))
    await eventually(lambda: not http_client._all)
    response = await http_client.exchange(REQUEST, timeout_s=5)
    assert response.body == b'{"mine":1}'
    assert upstream.connections == 2


async def test_a_cancelled_request_closes_its_connection(
    upstream: Upstream, client: MakeClient
) -> None:
    upstream.behaviours[""] = stays_silent
    http_client = client()
    waiting = asyncio.create_task(http_client.exchange(REQUEST, timeout_s=5))
    await eventually(lambda: bool(upstream.heard))
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await eventually(lambda: not http_client._all)
    assert not http_client._idle


async def test_closing_the_client_fails_whoever_waits(
    upstream: Upstream, client: MakeClient
) -> None:
    upstream.behaviours[""] = stays_silent
    http_client = client()
    waiting = asyncio.create_task(http_client.exchange(REQUEST, timeout_s=5))
    await eventually(lambda: bool(upstream.heard))
    http_client.close()
    with pytest.raises(LinkLost):
        await waiting
    with pytest.raises(LinkDown):
        await http_client.exchange(REQUEST, timeout_s=5)


async def test_retiring_the_client_lets_whoever_waits_have_the_answer(
    upstream: Upstream, client: MakeClient
) -> None:
    answering = asyncio.Event()

    async def later(_: object, writer: asyncio.StreamWriter) -> None:
        await answering.wait()
        writer.write(http(b"{}"))

    upstream.behaviours[""] = later
    http_client = client()
    waiting = asyncio.create_task(http_client.exchange(REQUEST, timeout_s=5))
    await eventually(lambda: bool(upstream.heard))
    http_client.retire()
    with pytest.raises(LinkDown):
        await http_client.exchange(REQUEST, timeout_s=5)
    answering.set()
    assert (await waiting).body == b"{}"
    await eventually(lambda: not http_client._all)


async def test_a_connection_that_ends_as_soon_as_it_is_there_was_never_used(
    upstream: Upstream,
) -> None:
    async def connect(make: Callable[[], Connection]) -> Connection:
        loop = asyncio.get_running_loop()
        transport, connection = await loop.create_connection(make, "127.0.0.1", upstream.port)
        transport.abort()
        while connection.usable:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)
        return connection

    with pytest.raises(LinkDown) as caught:
        await HttpClient("s", connect, LIMITS).exchange(REQUEST, timeout_s=5)
    assert caught.value.acted is False
    assert not upstream.heard


async def test_the_answer_in_a_stream_is_there_before_the_stream_ends(
    upstream: Upstream, client: MakeClient
) -> None:
    upstream.behaviours[""] = says(lambda _: chunked(b"data: 1\n\n", end=False))
    http_client, events = client(), FirstEvent()
    response = await http_client.exchange(REQUEST, timeout_s=5, events=events)
    assert (response.status, events.taken) == (200, b"data: 1\n\n")
    # It goes on for ever, so its connection is given up.
    await eventually(lambda: not http_client._all)


async def test_a_stream_that_ends_properly_leaves_its_connection_usable(
    upstream: Upstream, client: MakeClient
) -> None:
    upstream.behaviours[""] = says(lambda _: chunked(b"data: 1\n\n", b"data: 2\n\n"))
    http_client = client()
    for _ in range(3):
        await http_client.exchange(REQUEST, timeout_s=5, events=FirstEvent())
    assert upstream.connections == 1


async def test_a_stream_without_the_answer_is_refused(
    upstream: Upstream, client: MakeClient
) -> None:
    upstream.behaviours[""] = says(lambda _: chunked(b": nothing\n"))
    with pytest.raises(LinkGarbage):
        await client().exchange(REQUEST, timeout_s=5, events=FirstEvent())


async def test_an_endless_stream_ends_at_the_size_limit(
    upstream: Upstream, client: MakeClient
) -> None:
    async def forever(_: object, writer: asyncio.StreamWriter) -> None:
        writer.write(chunked(end=False))
        while True:
            writer.write(b"64\r\n" + b": ..\n" * 20 + b"\r\n")
            await writer.drain()

    upstream.behaviours[""] = forever
    with pytest.raises(LinkGarbage, match="more than"):
        await client().exchange(REQUEST, timeout_s=5, events=FirstEvent())

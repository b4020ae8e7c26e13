import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.faces import connection as connections
from gateway.faces import exchange as exchanges
from gateway.faces import listener as listeners
from gateway.faces.http import Receive, Reply, Scope, Send, respond
from gateway.faces.listener import answering
from gateway.listeners import bind

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
LONGEST_S = 10.0

App = Callable[[Scope, Receive, Send], Awaitable[None]]


def post(body: bytes, *more: bytes, path: bytes = b"/") -> bytes:
    lines = [b"POST %s HTTP/1.1" % path, b"Host: h", b"Content-Length: %d" % len(body), *more]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@dataclass
class Echo:
    """Answers with method, path and body, and remembers what came."""

    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await whole(receive)
        self.scopes.append(scope)
        self.seen.append((scope["method"], scope["path"], body))
        await answer(send, b"%s %s" % (scope["path"].encode(), body))


async def whole(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client is gone")
        parts.append(message["body"])
        if not message["more_body"]:
            return b"".join(parts)


async def answer(send: Send, body: bytes, *headers: tuple[bytes, bytes], status: int = 200) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer: status, headers, body."""
        async with asyncio.timeout(LONGEST_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(head[0].split()[1]), headers, body

    async def rest(self) -> bytes:
        """All that comes until the other side closes."""
        async with asyncio.timeout(LONGEST_S):
            try:
                return await self.reader.read(-1)
            except ConnectionResetError:
                return b""


@asynccontextmanager
async def served(app: App) -> AsyncIterator[Client]:
    """One client of a listener that serves `app`."""
    listener = bind("127.0.0.1:0")
    async with answering(app, listener, lambda: 1_763_596_800.5), connected(listener) as client:
        yield client


@asynccontextmanager
async def connected(listener: socket.socket) -> AsyncIterator[Client]:
    client = Client(*await asyncio.open_connection(*listener.getsockname()[:2]))
    try:
        yield client
    finally:
        client.writer.close()


# -- requests -------------------------------------------------------------------------------


async def test_requests_are_answered_one_after_the_other_over_one_connection() -> None:
    echo = Echo()
    async with served(echo) as client:
        for number in range(3):
            await client.send(post(b"%d" % number, path=b"/n"))
            assert (await client.answer())[::2] == (200, b"/n %d" % number)
    assert echo.seen == [("POST", "/n", b"%d" % number) for number in range(3)]


async def test_requests_sent_at_once_are_answered_in_their_order() -> None:
    async with served(Echo()) as client:
        await client.send(b"".join(post(b"%d" % number) for number in range(50)))
        answers = [(await client.answer())[2] for _ in range(50)]
    assert answers == [b"/ %d" % number for number in range(50)]


async def test_a_request_may_come_byte_by_byte() -> None:
    echo = Echo()
    async with served(echo) as client:
        for byte in post(b"abc", b"X-A: b", path=b"/%C3%BC?q=1"):
            await client.send(bytes([byte]))
        await client.answer()
    (scope,) = echo.scopes
    assert echo.seen == [("POST", "/ü", b"abc")]
    assert (scope["raw_path"], scope["query_string"]) == (b"/%C3%BC", b"q=1")
    assert (b"x-a", b"b") in scope["headers"]
    assert scope["client"][0] == "127.0.0.1"


async def test_a_chunked_body_is_put_together() -> None:
    echo = Echo()
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with served(echo) as client:
        await client.send(head + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n" + GET)
        await client.answer()
        await client.answer()
    assert [body for _, _, body in echo.seen] == [b"abcde", b""]
    assert all(name != b"trailer" for name, _ in echo.scopes[0]["headers"])


async def test_who_asks_before_sending_the_body_is_told_to_go_on() -> None:
    async with served(Echo()) as client:
        await client.send(post(b"", b"Expect: 100-continue").replace(b"Length: 0", b"Length: 3"))
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"abc")
        assert (await client.answer())[2] == b"/ abc"


async def test_an_offer_of_another_protocol_is_declined_and_nothing_after_it_is_read() -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    echo = Echo()
    async with served(echo) as client:
        await client.send(GET[:-2] + offer + b"\r\n" + GET)
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert await client.rest() == b""
    assert len(echo.seen) == 1


async def test_a_body_behind_an_offer_is_never_taken_for_a_request() -> None:
    echo = Echo()
    async with served(echo) as client:
        await client.send(post(GET, b"Connection: Upgrade", b"Upgrade: h2c"))
        await client.answer()
        assert await client.rest() == b""
    assert echo.seen == [("POST", "/", b"")]  # shorter than its length says: faces refuse it


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(post(b"x", b"Connection: close"), id="said-so"),
        pytest.param(GET.replace(b"1.1", b"1.0"), id="http-1.0"),
        pytest.param(
            GET.replace(b"1.1\r\n", b"1.0\r\nConnection: keep-alive\r\n"), id="http-1.0-kept"
        ),
    ],
)
async def test_the_connection_ends_after_the_last_answer(request_: bytes) -> None:
    echo = Echo()
    async with served(echo) as client:
        await client.send(request_ + GET)
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert await client.rest() == b""
    assert len(echo.seen) == 1


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"no HTTP at all\r\n\r\n", id="nonsense"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="tls"),
        pytest.param(b"GET / HTTP/1.1\nHost: h\n\n", id="bare-newlines"),
        pytest.param(GET.replace(b"Host: h", b"Host : h"), id="blank-before-colon"),
        pytest.param(GET.replace(b"Host: h", b"Host: h\r\n folded"), id="folded-header"),
        pytest.param(post(b"x").replace(b"Length: 1", b"Length: +1"), id="signed-length"),
        pytest.param(post(b"x", b"Content-Length: 2"), id="two-lengths"),
        pytest.param(post(b"", b"Transfer-Encoding: chunked"), id="length-and-chunked"),
        pytest.param(GET.replace(b" / ", b" h:1 "), id="no-path"),
    ],
)
async def test_what_is_no_request_is_refused_and_nothing_after_it_is_read(sent: bytes) -> None:
    echo = Echo()
    async with served(echo) as client:
        await client.send(sent + GET)
        assert (await client.answer())[0] == 400
        assert await client.rest() == b""
    assert [path for _, path, _ in echo.seen] == []


async def test_a_broken_body_is_refused_and_never_whole() -> None:
    echo = Echo()
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with served(echo) as client:
        await client.send(head + b"3\r\nabc\r\n")
        await client.send(b"zz\r\nde\r\n0\r\n\r\n")
        assert (await client.answer())[0] == 400
        assert await client.rest() == b""
    assert echo.seen == []


async def test_nonsense_behind_a_request_does_not_cost_it_its_answer() -> None:
    go_on = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await whole(receive)
        await go_on.wait()
        await answer(send, b"done")

    async with served(slow) as client:
        await client.send(post(b"x") + b"nonsense\r\n\r\n")
        await asyncio.sleep(0)
        go_on.set()
        assert (await client.answer())[2] == b"done"
        assert await client.rest() == b""


async def test_a_head_without_end_is_cut_off() -> None:
    echo = Echo()
    async with served(echo) as client:
        await client.send(GET[:-2])
        with pytest.raises(ConnectionError):  # a flood may not see the 431 that precedes it
            await flood(client)
    assert echo.seen == []


async def flood(client: Client) -> None:
    for _ in range(10_000):
        await client.send(b"X-A: " + b"y" * 4000 + b"\r\n")
        await asyncio.sleep(0)


async def test_a_body_that_nobody_reads_keeps_its_sender_waiting() -> None:
    read = asyncio.Event()

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await read.wait()
        await answer(send, b"%d" % len(await whole(receive)))

    size = 32 << 20
    async with served(late) as client:
        sending = asyncio.create_task(client.send(post(b"x" * size)))
        done, _ = await asyncio.wait([sending], timeout=0.2)
        assert not done
        read.set()
        assert (await client.answer())[2] == b"%d" % size
        await sending


async def test_the_rest_of_a_request_answered_early_is_thrown_away() -> None:
    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, scope["path"].encode())

    async with served(early) as client:
        whole_request = post(b"x" * (1 << 20))
        await client.send(whole_request[:1000])
        assert (await client.answer())[2] == b"/"
        await client.send(whole_request[1000:] + GET.replace(b" / ", b" /next "))
        assert (await client.answer())[2] == b"/next"


@pytest.mark.parametrize("whole_at_once", [True, False])
async def test_a_body_that_was_offered_and_not_asked_for_hides_no_request(
    *, whole_at_once: bool
) -> None:
    """Who sends it and who does not would read what follows differently."""
    seen: list[str] = []

    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["path"])
        if whole_at_once:
            await respond(receive, send, Reply(401, b"no"))
        else:
            await answer(send, b"no", status=401)

    async with served(early) as client:
        offered = post(b"x" * len(GET), b"Expect: 100-continue", path=b"/offered")
        await client.send(offered[: -len(GET)])
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (401, "close")
        await client.send(GET)
        assert await client.rest() == b""
    assert seen == ["/offered"]


async def test_there_is_an_end_to_what_is_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "MAX_UNREAD", 1000)

    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"")

    async with served(early) as client:
        await client.send(post(b"x" * (1 << 20))[:200])
        await client.answer()
        await client.send(b"x" * 5000)
        assert await client.rest() == b""


# -- answers --------------------------------------------------------------------------------


async def test_an_answer_says_when_it_was_made() -> None:
    async with served(Echo()) as client:
        await client.send(GET)
        assert (await client.answer())[1]["date"] == "thu, 20 nov 2025 00:00:00 gmt"


async def test_an_answer_without_a_length_is_chunked() -> None:
    async def parts(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in (b"abc", b"", b"de"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})

    async with served(parts) as client:
        await client.send(GET)
        assert (await client.answer())[1]["transfer-encoding"] == "chunked"
        assert await client.reader.readexactly(20) == b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)], ids=["head", "204", "304"]
)
async def test_some_answers_have_no_body(method: bytes, status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"3")] if scope["method"] == "HEAD" else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"abc"})

    async with served(app) as client:
        await client.send(GET.replace(b"GET", method) * 2)
        for _ in range(2):
            line = await client.reader.readuntil(b"\r\n\r\n")
            assert line.startswith(b"HTTP/1.1 %d " % status)
            assert b"chunked" not in line


async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    raise LookupError("a secret")


async def two_lines(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, b"x", (b"location", b"/\r\nset-cookie: a=b"))


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    await whole(receive)


async def body_first(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.body", "body": b"x"})


@pytest.mark.parametrize("app", [raises, two_lines, silent, body_first])
async def test_an_application_that_fails_is_a_500_that_tells_nothing(app: App) -> None:
    async with served(app) as client:
        await client.send(GET * 2)
        status, headers, body = await client.answer()
        assert (status, headers["connection"], body) == (500, "close", b"")
        assert await client.rest() == b""


@pytest.mark.parametrize("sent", [b"ab", b"abcd"], ids=["short", "long"])
async def test_a_body_unlike_its_length_ends_the_connection(sent: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"3")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": sent})

    async with served(app) as client:
        await client.send(GET)
        assert await client.rest() == b""


async def test_a_client_that_does_not_read_keeps_the_application_waiting() -> None:
    parts = 0

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal parts
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while parts < 1000:
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
            parts += 1

    listener = bind("127.0.0.1:0")
    async with answering(endless, listener):
        raw = socket.create_connection(listener.getsockname()[:2])
        await asyncio.get_running_loop().sock_sendall(_nonblocking(raw), GET)
        before = -1
        while parts != before or not parts:
            before = parts
            await asyncio.sleep(0.1)
        assert parts < 200
        raw.close()


def _nonblocking(raw: socket.socket) -> socket.socket:
    raw.setblocking(False)
    return raw


# -- ends -----------------------------------------------------------------------------------


async def test_who_answers_is_told_that_the_client_is_gone() -> None:
    told: list[Any] = []
    began, ended = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await whole(receive)
        began.set()
        told.append(await receive())
        await answer(send, b"nobody reads this")
        ended.set()

    async with served(app) as client:
        await client.send(post(b"x"))
        await began.wait()
        client.writer.close()
        async with asyncio.timeout(LONGEST_S):
            await ended.wait()
    assert told == [{"type": "http.disconnect"}]


async def test_who_waits_for_a_body_is_told_that_the_client_is_gone() -> None:
    gone = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await whole(receive)
        except ConnectionError:
            gone.set()

    async with served(app) as client:
        await client.send(post(b"x" * 100)[:-50])
        await asyncio.sleep(0.01)
        client.writer.close()
        async with asyncio.timeout(LONGEST_S):
            await gone.wait()


@pytest.mark.parametrize("sent", [b"", GET[:10]], ids=["nothing", "half-a-head"])
async def test_a_connection_on_which_no_request_comes_is_closed(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.05)
    monkeypatch.setattr(listeners, "_LOOK_EVERY_S", 0.01)
    async with served(Echo()) as client:
        await client.send(sent)
        assert await client.rest() == b""


async def test_a_connection_may_rest_longer_than_a_head_may_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.5)
    monkeypatch.setattr(connections, "IDLE_S", 60.0)
    monkeypatch.setattr(listeners, "_LOOK_EVERY_S", 0.01)
    async with served(Echo()) as client:
        await client.send(GET)
        await client.answer()
        await asyncio.sleep(0.6)
        await client.send(GET)
        assert (await client.answer())[0] == 200


async def test_an_answer_under_way_is_not_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.02)
    monkeypatch.setattr(connections, "IDLE_S", 0.02)
    monkeypatch.setattr(listeners, "_LOOK_EVERY_S", 0.01)

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.2)
        await answer(send, b"done")

    async with served(slow) as client:
        await client.send(GET)
        await asyncio.sleep(0.05)
        await client.send(GET)  # begins while the first is answered
        assert (await client.answer())[2] == b"done"
        assert (await client.answer())[2] == b"done"


async def test_a_listener_that_closes_finishes_what_runs_and_begins_nothing() -> None:
    began, closing = asyncio.Event(), asyncio.Event()
    echo = Echo()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        began.set()
        await closing.wait()
        await asyncio.sleep(0.05)
        await echo(scope, receive, send)

    listener = bind("127.0.0.1:0")
    manager = answering(slow, listener)
    await manager.__aenter__()
    async with connected(listener) as client, connected(listener) as idle:
        await client.send(post(b"x" * 10)[:-5])
        await began.wait()
        end = asyncio.create_task(manager.__aexit__(None, None, None))
        assert await idle.rest() == b""
        closing.set()
        await client.send(b"x" * 5 + GET)
        status, _, body = await client.answer()
        assert (status, body) == (200, b"/ xxxxxxxxxx")
        assert await client.rest() == b""
        await end
    assert len(echo.seen) == 1


async def test_a_listener_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "GRACE_S", 0.05)
    began = asyncio.Event()
    cancelled: list[bool] = []

    async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async with asyncio.timeout(LONGEST_S):
        async with served(stuck) as client:
            await client.send(GET)
            await began.wait()
    assert cancelled == [True]

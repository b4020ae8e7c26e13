"""What is whole needs no messages: a body that is there, and an answer written at once."""

from typing import Any

import pytest

from gateway.faces.exchange import Exchange
from gateway.faces.http import EdgeRules, Head, Reply, has_left, read_body, respond

RULES = EdgeRules("http://127.0.0.1:7300", frozenset())
FIXED = b"cache-control: no-store\r\n"


class Wire:
    """A connection that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.kept: list[bool] = []
        self.is_writable = True

    def date(self) -> bytes:
        return b"Thu, 20 Nov 2025 00:00:00 GMT"

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def end(self) -> None: ...

    async def writable(self) -> None:
        self.is_writable = True

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def answered(self, *, keep: bool) -> None:
        self.kept.append(keep)


def begun(wire: Wire, *parts: bytes, whole: bool = True, **changes: Any) -> Exchange:  # noqa: ANN401 - members of a scope
    keep = changes.pop("keep", True)
    exchange = Exchange(wire, {"method": "POST", "headers": [], **changes}, keep=keep)
    for part in parts:
        exchange.take(part)
    if whole:
        exchange.complete()
    return exchange


def head(**headers: bytes) -> Head:
    lines = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return Head("POST", "/", "127.0.0.1:1", lines, [])


# -- the body


@pytest.mark.parametrize(
    "parts", [pytest.param((b"ab", b"c"), id="parts"), pytest.param((), id="none")]
)
def test_a_body_that_is_there_is_handed_out_once(parts: tuple[bytes, ...]) -> None:
    exchange = begun(Wire(), *parts)
    assert exchange.whole_body() == b"".join(parts)
    assert exchange.whole_body() is None


def test_a_body_that_still_arrives_is_not_whole() -> None:
    exchange = begun(Wire(), b"ab", whole=False)
    assert exchange.whole_body() is None
    exchange.complete()
    assert exchange.whole_body() == b"ab"


async def test_of_a_body_that_was_begun_by_messages_the_rest_is_not_the_whole() -> None:
    exchange = begun(Wire(), b"ab", whole=False)
    assert await exchange() == {"type": "http.request", "body": b"ab", "more_body": True}
    exchange.take(b"c")
    exchange.complete()
    assert exchange.whole_body() is None
    assert await exchange() == {"type": "http.request", "body": b"c", "more_body": False}


def test_who_is_gone_has_sent_no_whole_body() -> None:
    exchange = begun(Wire(), b"ab")
    exchange.disconnect()
    assert exchange.whole_body() is None


@pytest.mark.parametrize("stated", [b"3", b"1", b"02", b"+2", b"two"])
async def test_a_whole_body_unlike_its_stated_length_is_refused(stated: bytes) -> None:
    with pytest.raises(Exception, match="Content-Length") as refused:
        await read_body(begun(Wire(), b"ab"), head(content_length=stated), RULES)
    assert refused.value.code == "request.malformed"  # type: ignore[attr-defined]


async def test_a_whole_body_is_no_longer_than_others_may_be() -> None:
    rules = EdgeRules("http://127.0.0.1:7300", frozenset(), max_body=2)
    assert await read_body(begun(Wire(), b"ab"), head(content_length=b"2"), rules) == b"ab"
    with pytest.raises(Exception, match="exceeds 2 bytes"):
        await read_body(begun(Wire(), b"abc"), head(), rules)


# -- the answer


def test_a_whole_answer_is_one_piece() -> None:
    wire = Wire()
    assert begun(wire).answer(200, FIXED, ((b"a", b"b"),), b"body")
    (written,) = wire.written
    assert written == (
        b"HTTP/1.1 200 OK\r\ndate: Thu, 20 Nov 2025 00:00:00 GMT\r\ncontent-length: 4\r\n"
        b"cache-control: no-store\r\na: b\r\n\r\nbody"
    )
    assert wire.kept == [True]


def test_the_last_answer_says_so() -> None:
    wire = Wire()
    assert begun(wire, keep=False).answer(200, FIXED, (), b"")
    assert wire.written[0].endswith(b"cache-control: no-store\r\nconnection: close\r\n\r\n")
    assert wire.kept == [False]


@pytest.mark.parametrize("value", [b"b\r\nx: y", b"b\n", b"\rb"])
def test_a_header_that_would_be_two_is_not_written(value: bytes) -> None:
    wire = Wire()
    with pytest.raises(ValueError, match="more than one line"):
        begun(wire).answer(200, FIXED, ((b"a", value),), b"")
    assert (wire.written, wire.kept) == ([], [])


def test_there_is_one_answer() -> None:
    wire = Wire()
    exchange = begun(wire)
    assert exchange.answer(200, FIXED, (), b"one")
    assert not exchange.answer(200, FIXED, (), b"two")
    assert len(wire.written) == 1


def test_nobody_who_is_gone_is_answered() -> None:
    wire = Wire()
    exchange = begun(wire)
    assert not has_left(exchange)
    exchange.disconnect()
    assert has_left(exchange)
    assert not exchange.answer(200, FIXED, (), b"")
    assert wire.written == []


@pytest.mark.parametrize(
    ("status", "method"),
    [pytest.param(204, "POST", id="no-content"), pytest.param(200, "HEAD", id="head")],
)
async def test_an_answer_that_has_no_body_gets_none(status: int, method: str) -> None:
    wire = Wire()
    exchange = begun(wire, method=method)
    assert not exchange.answer(status, FIXED, (), b"body")
    await respond(exchange, exchange._send, Reply(status, b"body"))
    assert wire.written[0].endswith(b"\r\n\r\n")


async def test_who_does_not_read_gets_the_answer_when_they_do() -> None:
    wire = Wire()
    wire.is_writable = False
    exchange = begun(wire)
    assert not exchange.answer(200, FIXED, (), b"body")
    await respond(exchange, exchange._send, Reply(200, b"body"))
    assert wire.written[0].endswith(b"\r\n\r\nbody")


async def test_both_ways_of_answering_say_the_same() -> None:
    at_once, sent = Wire(), Wire()
    reply = Reply(200, b"{}", ((b"audit-receipt", b"n;1;x"),))
    await respond(begun(at_once), _never, reply)
    exchange = begun(sent)
    await respond(_receive, exchange._send, reply)
    assert _lines(at_once) == _lines(sent)


async def _never(message: Any) -> None:  # noqa: ANN401 - ASGI
    raise AssertionError(message)


async def _receive() -> dict[str, Any]:
    raise AssertionError


def _lines(wire: Wire) -> list[bytes]:
    (written,) = wire.written
    return sorted(written.split(b"\r\n"))

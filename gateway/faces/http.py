"""The HTTP edge: what of a request is looked at, in which order, and how answers are written.

Raw ASGI, since this is the path of every call. A request is reduced to its `Head` before anything
else happens: sizes, headers that may stand only once, Host and Origin. Bodies are bytes here;
reading them is the face's. Nothing is redirected, compressed, or taken from a query string.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from audit.value import value_type
from gateway.errors import RequestRefused

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]  # as ASGI gives them: names in lower case
Lines: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""Header lines of an answer."""

MAX_HEADERS = 32 * 1024
"""Bytes of all header names and values together."""

_ONCE = frozenset(
    {
        b"a2a-version",
        b"accept",
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"dpop",
        b"host",
        b"mcp-method",
        b"mcp-name",
        b"mcp-protocol-version",
        b"mcp-session-id",
        b"origin",
        b"traceparent",
        b"transfer-encoding",
        b"webhook-id",
        b"webhook-signature",
        b"webhook-timestamp",
    }
)
"""Headers that somebody decides on: two of one kind would be read differently by two readers."""

_BLANK = b" \t"  # no part of a value (RFC 9110, section 5.5); servers leave it there
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,18}")
_JSON_TYPE = re.compile(rb"application/json(?:\s*;\s*charset=\"?utf-8\"?)?\s*", re.IGNORECASE)
_USUAL_ACCEPT = b"application/json, text/event-stream"
_ACCEPTS_JSON = re.compile(rb"(?:^|,)\s*(?:application/json|application/\*|\*/\*)\s*(?:[;,]|$)")
_TRACE = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


@dataclass(frozen=True, slots=True)
class EdgeRules:
    """What one listener takes.

    public_url    where agents find this gateway, without a trailing slash
    hosts         accepted Host headers in lower case, with their port: b"127.0.0.1:7300"
    origins       accepted Origin headers beside our own, exactly as browsers send them
    max_body      bytes
    max_depth     nesting of a body
    body_seconds  how long a body may take to arrive
    """

    public_url: str
    hosts: frozenset[bytes]
    origins: frozenset[bytes] = frozenset()
    max_body: int = 4 * 1024 * 1024
    max_depth: int = 64
    body_seconds: float = 10.0


@value_type
class Head:
    """What a face may know of a request before its body.

    source   peer address, "127.0.0.1:41022"
    headers  by names in lower case; those that somebody decides on came once
    lines    the same as they came, for headers that may come more than once
    """

    method: str
    path: str
    source: str
    headers: dict[bytes, bytes]
    lines: Headers

    def all(self, name: bytes) -> list[bytes]:
        """The values of all headers of this name."""
        return [value.strip(_BLANK) for each, value in self.lines if each == name]


@value_type
class Reply:
    """One whole answer.

    call  id of the governed call that it answers, if its caller still waits for it
    """

    status: int
    body: bytes = b""
    headers: Lines = ()
    call: str | None = None


class Direct:
    """A `receive` as our own listener gives it: what is whole needs no messages.

    gone  whether the client is known to have left
    """

    __slots__ = ()

    gone: bool

    async def __call__(self) -> MutableMapping[str, Any]:
        """The next message (ASGI)."""
        raise NotImplementedError

    def whole_body(self) -> bytes | None:
        """The body, if all of it has come and nothing of it was handed out yet."""
        raise NotImplementedError

    def answer(self, status: int, fixed: bytes, headers: Lines, body: bytes) -> bool:
        """Write a whole answer; False, and nothing is done, where it has to be sent instead.

        fixed  header lines that are ours, as they are written
        """
        raise NotImplementedError


class ClientGone(Exception):
    """The client went away before its request was complete."""


def read_head(scope: Scope, rules: EdgeRules) -> Head:
    """Reduce a request to its head.

    Raises RequestRefused: `request.headers` (too large), `request.malformed` (a header twice),
    `request.host`, `request.origin`.
    """
    lines: Headers = scope["headers"]
    found: dict[bytes, bytes] = {}
    size = 0
    for name, value in lines:
        size += len(name) + len(value)
        found[name] = value.strip(_BLANK)
    if len(found) != len(lines):
        _check_once(lines)
    if size > MAX_HEADERS:
        raise RequestRefused("request.headers", f"headers take more than {MAX_HEADERS} bytes")
    _check_place(found, rules)
    return Head(scope["method"], scope["path"], source(scope), found, lines)


def source(scope: Scope) -> str:
    """The peer's address, as it stands in entries."""
    client = scope.get("client")
    return f"{client[0]}:{client[1]}" if client else "unknown"


def check_json_body(head: Head) -> None:
    """Refuse a request whose body is not plain JSON.

    Raises RequestRefused: `request.media_type`.
    """
    kind = head.headers.get(b"content-type", b"")
    if kind != b"application/json" and not _JSON_TYPE.fullmatch(kind):
        raise RequestRefused("request.media_type", "the body must be application/json in UTF-8")
    if head.headers.get(b"content-encoding", b"identity") != b"identity":
        raise RequestRefused("request.media_type", "the body must not be compressed")


def check_json_request(head: Head) -> None:
    """Refuse a request whose body is not plain JSON, or whose sender does not take JSON back.

    Raises RequestRefused: `request.media_type`, `request.accept`.
    """
    check_json_body(head)
    accept = head.headers.get(b"accept")
    if accept and accept != _USUAL_ACCEPT and not _ACCEPTS_JSON.search(accept.lower()):
        raise RequestRefused("request.accept", "the answer is application/json")


async def read_body(receive: Receive, head: Head, rules: EdgeRules) -> bytes:
    """The whole body.

    Raises RequestRefused (`request.too_large`, `request.malformed`, `request.timeout`) and
    ClientGone.
    """
    body = receive.whole_body() if isinstance(receive, Direct) else None
    if body is None:
        _check_declared(head, rules)
        body = await _collect_in_time(receive, rules)
    if len(body) > rules.max_body:
        raise _too_large(rules)
    stated = head.headers.get(b"content-length")
    if stated is not None and stated != b"%d" % len(body):
        raise RequestRefused("request.malformed", "the body is not as long as Content-Length says")
    return body


def has_left(receive: Receive) -> bool:
    """Whether the client that the answer is for is known to be gone."""
    return isinstance(receive, Direct) and receive.gone


async def until_left(receive: Receive) -> None:
    """Return when it is; of a request whose body has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


def trace_id(head: Head) -> str | None:
    """The caller's W3C trace id, for finding only; None when there is none or it is malformed."""
    value = head.headers.get(b"traceparent")
    if value is None:
        return None
    match = _TRACE.fullmatch(value.decode("latin-1"))
    return match[1] if match else None


_UNTYPED = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_JSON = ((b"content-type", b"application/json"), *_UNTYPED)
_UNTYPED_BYTES, _JSON_BYTES = (
    b"".join(b"%s: %s\r\n" % line for line in lines) for lines in (_UNTYPED, _JSON)
)


async def respond(receive: Receive, send: Send, reply: Reply) -> None:
    """Write one answer; a `content-type` among its headers takes the place of JSON's.

    receive  of the request that is answered
    """
    own_type = not reply.body or b"content-type" in dict(reply.headers)
    if isinstance(receive, Direct):
        fixed = _UNTYPED_BYTES if own_type else _JSON_BYTES
        if receive.answer(reply.status, fixed, reply.headers, reply.body):
            return
    fixed_lines = _UNTYPED if own_type else _JSON
    headers = [(b"content-length", b"%d" % len(reply.body)), *fixed_lines, *reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def _check_once(lines: Headers) -> None:
    for name, times in Counter(name for name, _ in lines).items():
        if times > 1 and name in _ONCE:
            raise RequestRefused("request.malformed", f"header {name.decode()} appears twice")


def _check_place(found: dict[bytes, bytes], rules: EdgeRules) -> None:
    # Against DNS rebinding: a browser on this machine may be led here under another name.
    host = found.get(b"host", b"").lower()
    if host not in rules.hosts:
        raise RequestRefused("request.host", "Host is not a name of this gateway")
    origin = found.get(b"origin")
    if origin is not None and origin not in rules.origins and not _same(origin, host):
        raise RequestRefused("request.origin", "Origin is not allowed here")
    if b"content-length" in found and b"transfer-encoding" in found:
        raise RequestRefused("request.malformed", "the body has two lengths")


def _same(origin: bytes, host: bytes) -> bool:
    return origin in {b"http://" + host, b"https://" + host}


def _check_declared(head: Head, rules: EdgeRules) -> None:
    """Refuse a body by what is said of its length, before any of it is waited for."""
    value = head.headers.get(b"content-length")
    if value is None:
        return
    if not _LENGTH.fullmatch(value):
        raise RequestRefused("request.malformed", "Content-Length is not a plain decimal number")
    if int(value) > rules.max_body:
        raise _too_large(rules)


async def _collect_in_time(receive: Receive, rules: EdgeRules) -> bytes:
    try:
        async with asyncio.timeout(rules.body_seconds):
            return await _collect(receive, rules)
    except TimeoutError:
        raise RequestRefused(
            "request.timeout", f"no whole body within {rules.body_seconds:g} seconds"
        ) from None


async def _collect(receive: Receive, rules: EdgeRules) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > rules.max_body:
            raise _too_large(rules)
        if not message.get("more_body", False):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)


def _too_large(rules: EdgeRules) -> RequestRefused:
    return RequestRefused("request.too_large", f"the body exceeds {rules.max_body} bytes")

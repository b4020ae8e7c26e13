"""MCP over HTTP: each request a POST of its own, in both eras.

2026-07-28 needs nothing between requests. Before it there is a session, named by the server and
ended with 404, after which the server is greeted anew. The stream that a client may open with GET
is never opened, and an answer that is lost is never asked for again.
"""

import asyncio
import contextlib
import re
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import structlog

from gateway.errors import (
    CredentialRefused,
    GatewayError,
    LinkDown,
    LinkError,
    LinkGarbage,
    LinkLost,
    LinkTimeout,
    NotUnderstood,
)
from gateway.links import jsonrpc
from gateway.links.address import Destination, Listener, resolve
from gateway.links.authorization import Authorization
from gateway.links.era import HANDSHAKE, Era, header_value
from gateway.links.flood import Flood
from gateway.links.http_client import JSON, Connection, HttpClient, Limits, Response
from gateway.links.jsonrpc import Answer, Failure, Message, Notice, Question
from gateway.links.link import Caller
from gateway.links.sse import EventStream
from gateway.links.transport import Request

_LAST_WORDS_S = 1.0
_MAX_ASIDES = 16
_SESSION = re.compile(rb"[!-~]{1,1024}")
_FIRST_WITH_VERSION_HEADER = "2025-06-18"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Upstream:
    """One server that is reached over HTTP.

    authorization  our own credential for it; None where it wants none
    own            where the gateway itself listens: never a legal destination
    tls            shared by all links
    """

    server: str
    destination: Destination
    authorization: Authorization | None = field(repr=False)
    own: Callable[[], Iterable[Listener]]
    tls: ssl.SSLContext
    limits: Limits = field(default_factory=Limits)


class HttpTransport:
    """One conversation with a server, over as many connections as it takes."""

    mirrors_parameters = True

    def __init__(self, upstream: Upstream, on_change: Callable[[], None]) -> None:
        self._upstream = upstream
        self._server = upstream.server
        self._on_change = on_change
        self._client = HttpClient(upstream.server, self._connect, upstream.limits)
        self._authorization = upstream.authorization
        self._fixed = _fixed_headers(upstream.destination)
        self._opened_with = b""  # the credential that the session, where there is one, is kept with
        self._heads: dict[tuple[str, str, str | None], bytes] = {}
        self._session: bytes | None = None
        self._era = Era(HANDSHAKE[0])
        self._last_id = 0
        self._flood = Flood()
        self._asides: set[asyncio.Task[None]] = set()
        self._end: asyncio.Future[LinkError] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        """See that there is a credential. The first request opens the first connection."""
        self._opened_with, _ = await self._authorized(None)

    def prepare(self, caller: Caller) -> Awaitable[object] | None:
        """Get the token for a call of `caller`, if it is not there."""
        return None if self._authorization is None else self._authorized(caller)

    async def ask(self, request: Request, *, timeout_s: float) -> Answer | Failure:
        """Send one request in a POST and wait for its answer."""
        authorized, credential = b"", ""
        if self._authorization is not None:
            authorized, credential = await self._authorized(request.caller)
        self._last_id += 1
        self._era = request.era
        number = self._last_id
        body = jsonrpc.request(number, request.method, request.params)
        awaited = _Awaited(number, self._unasked, self._upstream.limits.body_bytes)
        try:
            response = await self._client.exchange(
                self._head(request, authorized, body), timeout_s=timeout_s, events=awaited
            )
        except LinkDown as error:
            if not self._client.busy:  # no other call is under way: the server is gone
                self._finish(error)
            raise
        except (LinkTimeout, asyncio.CancelledError):
            self._give_up(request, number)
            raise
        if response.status == 401 and self._authorization is not None:
            self._authorization.refused(credential)
        try:
            return self._read(request, response, awaited)
        except NotUnderstood as error:
            raise LinkGarbage(self._server, str(error)) from error

    async def tell(self, notification: Request) -> None:
        """Send one notification in a POST; any answer but a refusal will do."""
        body = jsonrpc.notification(notification.method, notification.params)
        limit = self._upstream.limits.connect_s
        authorized, _ = await self._authorized(notification.caller)
        response = await self._client.exchange(
            self._head(notification, authorized, body), timeout_s=limit
        )
        if response.status >= 300:
            raise LinkGarbage(self._server, f"HTTP {response.status} to a notification")

    async def ended(self) -> LinkError:
        """Wait until the server is gone, or wants to be greeted anew."""
        return await asyncio.shield(self._end)

    def renew(self, why: str) -> None:
        """End this conversation, so that another begins."""
        self._finish(LinkLost(self._server, why))

    async def retire(self) -> None:
        """Take no more calls; those that wait still get their answers, on their connections."""
        self._client.retire()

    async def close(self) -> None:
        """Leave the session, where there is one, and end all connections."""
        self._finish(LinkLost(self._server, "the link was closed"))
        if self._session is not None:
            with contextlib.suppress(LinkError):
                await self._client.exchange(self._farewell(), timeout_s=_LAST_WORDS_S)
        for aside in self._asides:
            aside.cancel()
        await asyncio.gather(*self._asides, return_exceptions=True)
        self._client.close()

    # -- requests ---------------------------------------------------------------------------

    async def _connect(self, make: Callable[[], Connection]) -> Connection:
        """Connect to the first address that answers, of those that were just checked."""
        upstream, destination = self._upstream, self._upstream.destination
        loop = asyncio.get_running_loop()
        failure = OSError(0, "the name has no address")
        for address in await resolve(destination, upstream.own):
            try:
                _transport, connection = await loop.create_connection(
                    make,
                    address,
                    destination.port,
                    ssl=upstream.tls if destination.secure else None,
                    server_hostname=destination.host if destination.secure else None,
                )
            except OSError as error:
                failure = error
            else:
                return connection
        raise failure

    async def _authorized(self, caller: Caller | None) -> tuple[bytes, str]:
        """The header line with our credential, and its value. Raises LinkDown: nothing was sent."""
        if self._authorization is None:
            return b"", ""
        try:
            value = await self._authorization.value(caller)
        except LinkError:
            raise
        except GatewayError as error:
            raise CredentialRefused(self._server, str(error)) from error
        return b"Authorization: %s\r\n" % value.encode("ascii"), value

    def _head(self, request: Request, authorized: bytes, body: bytes) -> bytes:
        """The whole request: what is the same for each call of a tool is put together once."""
        key = (request.era.version, request.method, request.name)
        known = self._heads.get(key)
        if known is None:
            known = self._heads[key] = self._fixed + self._era_headers(request)
        fixed = known + authorized + request.mirrored
        return b"%sContent-Length: %d\r\n\r\n%s" % (fixed, len(body), body)

    def _era_headers(self, request: Request) -> bytes:
        lines = b""
        version = request.era.version.encode()
        if request.era.modern:
            lines += b"MCP-Protocol-Version: %s\r\nMcp-Method: %s\r\n" % (
                version,
                request.method.encode(),
            )
            if request.name is not None:
                lines += b"Mcp-Name: %s\r\n" % header_value(request.name)
            return lines
        if request.method == "initialize":
            return b""
        if request.era.version >= _FIRST_WITH_VERSION_HEADER:
            lines += b"MCP-Protocol-Version: %s\r\n" % version
        if self._session is not None:
            lines += b"Mcp-Session-Id: %s\r\n" % self._session
        return lines

    def _farewell(self) -> bytes:
        assert self._session is not None
        verb, _, rest = self._fixed.partition(b" ")
        assert verb == b"POST"
        lines = rest + self._opened_with
        return b"DELETE %sMcp-Session-Id: %s\r\nContent-Length: 0\r\n\r\n" % (lines, self._session)

    # -- answers ----------------------------------------------------------------------------

    def _read(self, request: Request, response: Response, awaited: "_Awaited") -> Answer | Failure:
        status = response.status
        if awaited.answer is not None:
            answer = awaited.answer
        elif 200 <= status < 300:
            answer = self._read_body(response, awaited)
        elif 300 <= status < 400:
            raise NotUnderstood("a redirect, which is not followed")
        else:
            answer = self._read_refusal(response, awaited)
        if request.method == "initialize" and isinstance(answer, Answer):
            self._begin_session(response)
        elif status == 404 and self._session is not None:
            self.renew("the session has ended")
        return answer

    def _read_body(self, response: Response, awaited: "_Awaited") -> Answer | Failure:
        if response.status != 200 or response.kind != JSON:
            raise NotUnderstood(f"HTTP {response.status} without a JSON-RPC answer")
        message = awaited.parse(response.body)
        if isinstance(message, Answer | Failure) and message.id == awaited.number:
            return message
        raise NotUnderstood("an answer to another request")

    def _read_refusal(self, response: Response, awaited: "_Awaited") -> Failure:
        """A JSON-RPC error, or the bare status of a refusal; a bare 5xx may come after the deed."""
        try:
            message = awaited.parse(response.body)
        except NotUnderstood:
            message = None
        if isinstance(message, Failure) and message.id in (None, awaited.number):
            return message
        if response.status >= 500:
            raise NotUnderstood(f"HTTP {response.status}")
        return Failure(awaited.number, response.status, f"HTTP {response.status}", None)

    def _begin_session(self, response: Response) -> None:
        session = response.headers.get(b"mcp-session-id")
        if session is not None and not _SESSION.fullmatch(session):
            raise NotUnderstood("a session id that is not 1 to 1024 visible ASCII characters")
        if session is not None and self._authorization and self._authorization.per_caller:
            raise NotUnderstood("a session, which callers with their own credentials cannot share")
        self._session = session
        self._heads.clear()

    # -- what nobody asked for --------------------------------------------------------------

    def _unasked(self, message: Notice | Question) -> None:
        self._flood.count()
        if isinstance(message, Question):
            log.info("server.question_refused", server=self._server, method=message.method)
            if not self._era.modern:
                self._aside(jsonrpc.reply(message))
        elif message.method == "notifications/tools/list_changed":
            self._on_change()

    def _give_up(self, request: Request, number: int) -> None:
        """Before 2026-07-28 closing the connection does not say that nobody waits any more."""
        if not request.era.modern and request.method != "initialize":
            params = b'{"requestId":%d,"reason":"the caller no longer waits"}' % number
            self._aside(jsonrpc.notification("notifications/cancelled", params))

    def _aside(self, body: bytes) -> None:
        """Send something that no answer is expected to; if it is lost, nothing is."""
        if len(self._asides) < _MAX_ASIDES:
            task = asyncio.create_task(self._send_aside(body))
            self._asides.add(task)
            task.add_done_callback(self._asides.discard)

    async def _send_aside(self, body: bytes) -> None:
        request = Request("notifications/cancelled", self._era)
        with contextlib.suppress(LinkError):
            authorized, _ = await self._authorized(None)
            head = self._head(request, authorized, body)
            await self._client.exchange(head, timeout_s=_LAST_WORDS_S)

    def _finish(self, error: LinkError) -> None:
        if not self._end.done():
            self._end.set_result(error)


class _Awaited:
    """What one POST waits for; in a stream of events it picks the answer out."""

    def __init__(
        self, number: int, unasked: Callable[[Notice | Question], None], max_bytes: int
    ) -> None:
        self.number = number
        self.answer: Answer | Failure | None = None
        self._unasked = unasked
        self._max_bytes = max_bytes
        self._stream: EventStream | None = None

    def parse(self, raw: bytes) -> Message:
        """Read one message. Raises NotUnderstood."""
        return jsonrpc.parse(raw, max_bytes=self._max_bytes)

    def feed(self, chunk: bytes) -> bool:
        """Take a part of the stream; True once the answer is in it."""
        stream = self._stream = self._stream or EventStream()
        for data in stream.feed(chunk):
            message = self.parse(data)
            if isinstance(message, Notice | Question):
                self._unasked(message)
            elif message.id == self.number:
                self.answer = message
                return True
            else:
                raise NotUnderstood("an answer to another request")
        return False


def _fixed_headers(destination: Destination) -> bytes:
    """What all requests to one server begin with."""
    lines = [
        f"POST {destination.target} HTTP/1.1",
        f"Host: {destination.authority}",
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        "User-Agent: passavant",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")

"""MCP over the standard streams of a local process: one line, one message.

One process serves all calls. Those that wait when it dies have an unknown outcome and are never
sent again.
"""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from gateway.errors import LinkDown, LinkError, LinkLost, LinkTimeout
from gateway.links import jsonrpc
from gateway.links.flood import Flood
from gateway.links.jsonrpc import Answer, Connection, Failure, Notice, Question
from gateway.links.link import Caller
from gateway.links.masking import Masks
from gateway.links.process import Command, LocalProcess
from gateway.links.transport import Request

MAX_MESSAGE = 8 << 20

log = structlog.get_logger(__name__)


class StdioTransport:
    """One conversation with one process."""

    mirrors_parameters = False

    def __init__(
        self, server: str, command: Command, on_change: Callable[[], None], masks: Masks
    ) -> None:
        self._server = server
        self._on_change = on_change
        self._connection = Connection()
        self._waiting: dict[int, asyncio.Future[Answer | Failure]] = {}
        self._flood = Flood()
        self._end: asyncio.Future[LinkError] = asyncio.get_running_loop().create_future()
        self.process = LocalProcess(
            server,
            command,
            on_line=self._receive,
            on_end=self._finish,
            mask=masks.text,
            max_line=MAX_MESSAGE,
        )

    async def open(self) -> None:
        """Start the process. Raises LinkDown."""
        await self.process.start()

    def prepare(self, caller: Caller) -> None:
        """Nothing: a process has its secrets from its start, whoever calls."""

    async def ask(self, request: Request, *, timeout_s: float) -> Answer | Failure:
        """Write one request line and wait for its answer."""
        number, line = self._connection.request(request.method, request.params)
        waiter: asyncio.Future[Answer | Failure] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiter
        try:
            self.process.write(line)
            async with asyncio.timeout(timeout_s):
                return await waiter
        except TimeoutError as error:
            raise LinkTimeout(self._server, f"no answer within {timeout_s:g} s") from error
        finally:
            del self._waiting[number]
            if waiter.cancelled():
                self._give_up(number)

    async def tell(self, notification: Request) -> None:
        """Write one notification line."""
        self.process.write(jsonrpc.notification(notification.method, notification.params))

    async def ended(self) -> LinkError:
        """Wait until the process has closed its output, or broke the rules."""
        return await asyncio.shield(self._end)

    def renew(self, why: str) -> None:
        """End this conversation, so that another process is started."""
        self._finish(LinkLost(self._server, why))

    async def retire(self) -> None:
        """End the process: what has broken the rules, or closed its output, answers no more."""
        await self.close()

    async def close(self) -> None:
        """End the process; whoever waits for an answer gets LinkLost."""
        self._finish(LinkLost(self._server, "the link was closed"))
        await self.process.end()

    def _give_up(self, number: int) -> None:
        """Tell the server that nobody waits any more; a late answer is dropped."""
        self._connection.abandon(number)
        params = b'{"requestId":%d,"reason":"the caller no longer waits"}' % number
        with contextlib.suppress(LinkDown):
            self.process.write(jsonrpc.notification("notifications/cancelled", params))

    def _receive(self, line: bytes) -> None:
        """Take one line. What does not even begin as an object is a stray print, and dropped."""
        if not line.lstrip().startswith(b"{"):
            self._flood.count()
            return
        message = self._connection.receive(line, max_bytes=MAX_MESSAGE)
        if isinstance(message, Answer | Failure):
            assert message.id is not None
            waiter = self._waiting[message.id]
            if not waiter.done():
                waiter.set_result(message)
        elif message is not None:
            self._flood.count()
            self._take_unasked(message)

    def _take_unasked(self, message: Notice | Question) -> None:
        if isinstance(message, Question):
            log.info("server.question_refused", server=self._server, method=message.method)
            with contextlib.suppress(LinkDown):
                self.process.write(jsonrpc.reply(message))
        elif message.method == "notifications/tools/list_changed":
            self._on_change()

    def _finish(self, error: LinkError) -> None:
        """Take no more calls, and fail those that wait: what became of them is unknown."""
        if not self._end.done():
            self._end.set_result(error)
        for waiter in self._waiting.values():
            if not waiter.done():
                waiter.set_exception(error)

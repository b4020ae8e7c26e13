"""MCP over the standard streams of a local process.

One process per server, started without a shell and with the configured environment alone. It ends
when the link is closed and when the gateway ends, however that ends. Calls that wait when it dies
have an unknown outcome and are never sent again.
"""

import asyncio
import contextlib
import os
import re
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from gateway.errors import LinkDown, LinkError, LinkGarbage, LinkLost, LinkTimeout, NotUnderstood
from gateway.links import jsonrpc
from gateway.links.flood import Flood
from gateway.links.jsonrpc import Answer, Connection, Failure, Notice, Question
from gateway.links.mcp import Request
from gateway.links.sandbox import LAUNCH

MAX_MESSAGE = 8 << 20

_MAX_UNSENT = 16 << 20  # what a server that does not read may leave with us
_GRACE_S = 2.0
_UNPRINTABLE = re.compile(r"[^ -~\u00a0-\ud7ff\ue000-\ufffd]")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Command:
    """How a local server is started.

    argv     the program and its arguments, confined already (`gateway.links.sandbox`)
    env      the whole environment of the process
    secrets  values that are masked where the server prints them
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    cwd: Path | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)


class StdioTransport:
    """One process and its streams, from start to end."""

    mirrors_parameters = False

    def __init__(self, server: str, command: Command, on_change: Callable[[], None]) -> None:
        self._server = server
        self._command = command
        self._on_change = on_change
        self._connection = Connection()
        self._waiting: dict[int, asyncio.Future[Answer | Failure]] = {}
        self._process: Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._end: asyncio.Future[LinkError] = asyncio.get_running_loop().create_future()
        self._flood = Flood()

    async def open(self) -> None:
        """Start the process. Raises LinkDown when there is no such program."""
        command = self._command
        try:
            self._process = await asyncio.create_subprocess_exec(
                *LAUNCH,
                str(os.getpid()),
                *command.argv,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env=dict(command.env),
                cwd=command.cwd,
                start_new_session=True,
                limit=MAX_MESSAGE,
            )
        except OSError as error:
            raise LinkDown(self._server, f"cannot be started: {error.strerror}") from error
        log.info("server.start", server=self._server, program=command.argv[0], pid=self.pid)
        self._readers = [
            asyncio.create_task(self._read_answers(self._process)),
            asyncio.create_task(self._read_errors(self._process)),
            asyncio.create_task(self._watch(self._process)),
        ]

    @property
    def pid(self) -> int | None:
        """The process, which is also the leader of its group; None before it is started."""
        return None if self._process is None else self._process.pid

    async def ask(self, request: Request, *, timeout_s: float) -> Answer | Failure:
        """Write one request line and wait for its answer."""
        number, line = self._connection.request(request.method, request.params)
        waiter: asyncio.Future[Answer | Failure] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiter
        try:
            self._write(line)
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
        self._write(jsonrpc.notification(notification.method, notification.params))

    async def ended(self) -> LinkError:
        """Wait until the process has closed its output, or broke the rules."""
        return await asyncio.shield(self._end)

    def renew(self, why: str) -> None:
        """End this conversation, so that another process is started."""
        self._finish(LinkLost(self._server, why))

    async def close(self) -> None:
        """End the process: its input is closed, then it is asked, then its group is killed."""
        self._finish(LinkLost(self._server, "the link was closed"))
        if self._process is not None:
            await _end_process(self._process)
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    def _write(self, line: bytes) -> None:
        stdin = None if self._process is None else self._process.stdin
        if stdin is None or self._end.done() or stdin.is_closing():
            raise LinkDown(self._server, "the process has ended")
        if stdin.transport.get_write_buffer_size() > _MAX_UNSENT:
            raise LinkDown(self._server, "the process does not read its input")
        stdin.write(line + b"\n")

    def _give_up(self, number: int) -> None:
        """Tell the server that nobody waits any more; a late answer is dropped."""
        self._connection.abandon(number)
        params = b'{"requestId":%d,"reason":"the caller no longer waits"}' % number
        with contextlib.suppress(LinkDown):
            self._write(jsonrpc.notification("notifications/cancelled", params))

    async def _read_answers(self, process: Process) -> None:
        assert process.stdout is not None
        try:
            while True:
                self._receive(await process.stdout.readuntil(b"\n"))
        except asyncio.IncompleteReadError:
            self._finish(LinkLost(self._server, "the process closed its output"))
        except asyncio.LimitOverrunError:
            self._finish(LinkGarbage(self._server, f"a line of more than {MAX_MESSAGE} bytes"))
        except NotUnderstood as error:
            self._finish(LinkGarbage(self._server, str(error)))
        except OSError as error:
            self._finish(LinkLost(self._server, f"its output cannot be read: {error.strerror}"))

    async def _watch(self, process: Process) -> None:
        """The process has ended: read its last answers, and let nothing of it stay."""
        code = await process.wait()
        _signal_group(process, signal.SIGKILL)
        await asyncio.wait([self._readers[0]], timeout=_GRACE_S)
        self._finish(LinkLost(self._server, f"the process ended with {code}"))

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
            log.info("server.question_refused", server=self._server, method=message.method[:64])
            with contextlib.suppress(LinkDown):
                self._write(jsonrpc.reply(message))
        elif message.method == "notifications/tools/list_changed":
            self._on_change()

    async def _read_errors(self, process: Process) -> None:
        """Drain standard error into our log: bounded lines, bounded rate, secrets masked."""
        assert process.stderr is not None
        lines = Flood()
        while chunk := await process.stderr.read(4096):
            for line in chunk.decode(errors="replace").splitlines():
                if line.strip() and lines.allows():
                    log.info("server.stderr", server=self._server, text=self._printable(line))

    def _printable(self, line: str) -> str:
        for secret in self._command.secrets:
            line = line.replace(secret, "***")
        return _UNPRINTABLE.sub("?", line)[:1000]

    def _finish(self, error: LinkError) -> None:
        """Take no more calls, and fail those that wait: what became of them is unknown."""
        if not self._end.done():
            self._end.set_result(error)
        for waiter in self._waiting.values():
            if not waiter.done():
                waiter.set_exception(error)


async def _end_process(process: Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    for stop in (None, signal.SIGTERM, signal.SIGKILL):
        if stop is not None:
            _signal_group(process, stop)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                await process.wait()
                break
    _signal_group(process, signal.SIGKILL)  # what it left behind


def _signal_group(process: Process, stop: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, stop)

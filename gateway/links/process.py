"""A local server's process: its lines of output, its complaints, and its end.

Output is taken apart as it arrives and never piled up: a line has a greatest length, and what the
server writes to standard error goes into our log, within bounds and without secrets. The process
leads a group of its own, which ends with it; it ends with the gateway (`gateway.links.launch`).
"""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import structlog

from gateway.errors import LinkDown, LinkError, LinkGarbage, LinkLost, NotUnderstood
from gateway.links.flood import Flood
from gateway.links.sandbox import LAUNCH

GRACE_S = 2.0
"""How long a process may take to end: after its input closed, and again after it was asked."""

_MAX_UNSENT = 16 << 20  # what a server that does not read may leave with us
_MAX_COMPLAINT = 1000
_MAX_COMPLAINT_LINE = 64 << 10
_UNPRINTABLE = re.compile(r"[^ -~\u00a0-\ud7ff\ue000-\ufffd]")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Command:
    """How a local server is started.

    argv  the program and its arguments, confined already (`gateway.links.sandbox`)
    env   the whole environment of the process
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    cwd: Path | None = None


class LocalProcess(asyncio.SubprocessProtocol):
    """One process, from start to end.

    on_line   takes each line of output, without its end; may raise NotUnderstood
    on_end    told once, why nothing more will come
    mask      takes our secrets out of what the server prints
    max_line  longest accepted line, in bytes
    """

    def __init__(
        self,
        server: str,
        command: Command,
        *,
        on_line: Callable[[bytes], None],
        on_end: Callable[[LinkError], None],
        mask: Callable[[str], str],
        max_line: int,
    ) -> None:
        self._server = server
        self._command = command
        self._on_line = on_line
        self._on_end = on_end
        self._mask = mask
        self._max_line = max_line
        self._transport: asyncio.SubprocessTransport | None = None
        self._exited = asyncio.Event()
        self._ended = False
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._complaint = b""  # what there is of its last line
        self._complaints = Flood(per_second=100, burst=200)

    async def start(self) -> None:
        """Start it. Raises LinkDown."""
        loop = asyncio.get_running_loop()
        command = self._command
        try:
            await loop.subprocess_exec(
                lambda: self,
                *LAUNCH,
                str(os.getpid()),
                *command.argv,
                env=dict(command.env),
                cwd=command.cwd,
                start_new_session=True,
            )
        except OSError as error:
            raise LinkDown(self._server, f"cannot be started: {error.strerror}") from error
        log.info("server.start", server=self._server, program=command.argv[0], pid=self.pid)

    @property
    def pid(self) -> int | None:
        """The process, which is also the leader of its group; None before it is started."""
        return None if self._transport is None else self._transport.get_pid()

    def write(self, line: bytes) -> None:
        """Write one line. Raises LinkDown when it cannot be delivered; then nothing was written."""
        if self._transport is None or self._ended:
            raise LinkDown(self._server, "the process has ended")
        pipe = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))
        if pipe.is_closing():
            raise LinkDown(self._server, "the process has closed its input")
        if pipe.get_write_buffer_size() > _MAX_UNSENT:
            raise LinkDown(self._server, "the process does not read its input")
        pipe.write(line + b"\n")

    async def end(self) -> None:
        """End it: its input is closed, then its group is asked, then killed."""
        if self._transport is None:
            return
        self._finish(LinkLost(self._server, "the link was closed"))
        if (pipe := self._transport.get_pipe_transport(0)) is not None:
            pipe.close()
        for stop in (None, signal.SIGTERM, signal.SIGKILL):
            if stop is not None:
                self._signal(stop)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GRACE_S):
                    await self._exited.wait()
                break
        self._transport.close()

    # -- what asyncio calls -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The process runs."""
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Bytes of output or of complaints."""
        if fd == 2:
            self._log(data)
            return
        try:
            self._split(data)
        except NotUnderstood as error:
            self._finish(LinkGarbage(self._server, str(error)))

    def pipe_connection_lost(self, fd: int, _exc: Exception | None) -> None:
        """The end of its output is the end of it; of its complaints, only of these."""
        if fd == 1:
            self._finish(LinkLost(self._server, "the process closed its output"))
        elif fd == 2:
            self._log(b"\n")

    def process_exited(self) -> None:
        """Nothing of it may stay; its last lines are still read, but not waited for long."""
        self._signal(signal.SIGKILL)
        self._exited.set()
        why = LinkLost(self._server, "the process has ended")
        asyncio.get_running_loop().call_later(GRACE_S, self._finish, why)

    # -- details ----------------------------------------------------------------------------

    def _split(self, data: bytes) -> None:
        first, *lines = data.split(b"\n")
        self._rest.append(first)
        self._rest_bytes += len(first)
        for line in lines:
            self._take_rest()
            self._rest, self._rest_bytes = [line], len(line)
        self._check_length()

    def _take_rest(self) -> None:
        self._check_length()
        if not self._ended:
            self._on_line(b"".join(self._rest))

    def _check_length(self) -> None:
        if self._rest_bytes > self._max_line:
            raise NotUnderstood(f"a line of more than {self._max_line} bytes")

    def _log(self, data: bytes) -> None:
        """Log whole lines: of a secret that arrives in two parts neither would be recognised."""
        *lines, self._complaint = (self._complaint + data).split(b"\n")
        if len(self._complaint) > _MAX_COMPLAINT_LINE:
            lines, self._complaint = [*lines, b"[a line without end]"], b""
        for line in lines:
            if line.strip() and self._complaints.allows():
                text = self._mask(_UNPRINTABLE.sub("?", line.decode(errors="replace")))
                log.info("server.stderr", server=self._server, text=text[:_MAX_COMPLAINT])

    def _finish(self, error: LinkError) -> None:
        if not self._ended:
            self._ended = True
            self._rest.clear()
            self._on_end(error)

    def _signal(self, stop: signal.Signals) -> None:
        """Signal the whole group, of which the process is the leader."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, stop)

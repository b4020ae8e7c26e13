"""The published log for everyone: `GET /audit/log/{origin}/checkpoint` and `/tile/{L}/{N}`.

With these a client or a witness watches that the log only grows, without a credential of ours.
Entry bundles are never served here: what agents did is for operators to read. The face exists only
where the deployment says `audit.publish: true`.
"""

import asyncio
from pathlib import Path

import structlog

from audit.errors import Unreadable
from audit.layout import CHECKPOINT, Tile
from audit.published import PublishedFolder
from gateway.errors import RequestRefused
from gateway.faces.edge import Gate, MethodRefused
from gateway.faces.http import EdgeRules, Receive, Reply, Scope, Send, read_head, respond, source
from gateway.faces.problems import problem

PREFIX = "/audit/log"

_TEXT = ((b"content-type", b"text/plain; charset=utf-8"),)
_BYTES = ((b"content-type", b"application/octet-stream"),)

_log = structlog.get_logger(__name__)


class PublishedFace:
    """Checkpoint and hash tiles of one log, read from the folder that the publisher writes.

    origin  of the log, which is part of its path
    """

    def __init__(self, folder: Path, origin: str, *, rules: EdgeRules, gate: Gate) -> None:
        self._published = PublishedFolder(folder)
        self._prefix = f"{PREFIX}/{origin}/"
        self._rules = rules
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; a body, should there be one, is never read."""
        try:
            reply = await self._reply(scope)
        except RequestRefused as refused:
            await self._gate.refuse(None, source(scope), refused.code, str(refused))
            headers = ((b"allow", b"GET"),) if isinstance(refused, MethodRefused) else ()
            reply = problem(refused.code, str(refused), headers=headers)
        await respond(receive, send, reply)

    async def _reply(self, scope: Scope) -> Reply:
        head = read_head(scope, self._rules)
        if head.method != "GET":
            raise MethodRefused("GET")
        found = None
        if head.path.startswith(self._prefix):
            path = head.path.removeprefix(self._prefix)
            found = await asyncio.to_thread(self._read, path)
        if found is None:
            raise RequestRefused("request.path", "there is nothing here")
        return found

    def _read(self, path: str) -> Reply | None:
        """The file at this path of the published log; None for all that is not published here."""
        tile = Tile.parse(path)
        try:
            if path == CHECKPOINT:
                return _found(self._published.note(path), _TEXT)
            if tile is not None and tile.level is not None:
                return _found(self._published.hashes(tile), _BYTES)
        except Unreadable as error:
            _log.error("published.unreadable", path=error.path, reason=error.reason)
        return None


def _found(content: bytes | None, headers: tuple[tuple[bytes, bytes], ...]) -> Reply | None:
    return None if content is None else Reply(200, content, headers)

"""MCP over Streamable HTTP: `POST /mcp` for all tools, `POST /mcp/{server}` for one upstream's.

One reader for every method of both eras. The revision is the body's to say, and the header has
to agree; a message is then answered by its era: `mcp_stateless` (2026-07-28) or `mcp_handshake`
(2025-11-25, 2025-06-18, 2025-03-26). Every answer is one JSON body; there are no streams.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache, partial

from audit.canonical import Json
from gateway.errors import RequestRefused
from gateway.faces import mcp_handshake, mcp_stateless
from gateway.faces.edge import Authenticate, Caller, Edge, Gate, MethodRefused
from gateway.faces.http import (
    EdgeRules,
    Receive,
    Reply,
    Scope,
    Send,
    check_json_request,
    read_body,
)
from gateway.faces.jsonrpc import INVALID_REQUEST, Message, RpcRefused, as_rpc, error, read_message
from gateway.faces.mcp_handshake import Handshake
from gateway.faces.mcp_headers import VERSION_KEY
from gateway.faces.mcp_session import McpSessions
from gateway.faces.mcp_stateless import Stateless
from gateway.faces.mcp_tools import McpTools
from gateway.faces.problems import status_of
from gateway.world import Worlds

VERSIONS = (mcp_stateless.VERSION, *mcp_handshake.VERSIONS)

_PATH = re.compile(r"/mcp(?:/([a-z][a-z0-9-]{0,19}))?/?")


@dataclass(frozen=True, slots=True)
class McpSources:
    """What changes from call to call, and is given so that tests can fix it.

    clock           monotonic seconds
    new_id          ids of requests (UUIDv7)
    new_session_id  unguessable, in visible ASCII
    """

    clock: Callable[[], float]
    new_id: Callable[[], str]
    new_session_id: Callable[[], str]


class McpFace:
    """The MCP endpoints of the agents' listener, as one ASGI application."""

    def __init__(
        self,
        *,
        gate: Gate,
        worlds: Worlds,
        authenticate: Authenticate,
        rules: EdgeRules,
        sources: McpSources,
        version: str,
    ) -> None:
        identity: dict[str, Json] = {"name": "passavant", "version": version}
        tools = McpTools(gate, worlds, sources.new_id)
        self._gate = gate
        self._edge = Edge(rules, authenticate, gate)
        self._sessions = McpSessions(sources.clock, sources.new_session_id)
        self._handshake = Handshake(tools, identity, self._sessions)
        self._stateless = Stateless(tools, identity, VERSIONS)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one HTTP request; never raises for anything the caller can cause."""
        server, resource = _place(scope["path"])
        answer = partial(self._answer, server)
        return self._edge.serve(scope, receive, send, resource=resource, answer=answer)

    async def _answer(self, server: str | None, caller: Caller) -> Reply:
        era: Handshake | Stateless | None = None
        message: Message | None = None
        try:
            if caller.head.method != "POST":
                return self._without_body(caller, server)
            check_json_request(caller.head)
            body = await read_body(caller.receive, caller.head, self._edge.rules)
            message = read_message(body, self._edge.rules)
            era = self._era(caller, message)
            _check_kind(message)
            return await era.answer(caller, server, message)
        except MethodRefused:
            raise
        except RequestRefused as refused:
            return await self._refuse(caller, era, message, as_rpc(refused))

    def _era(self, caller: Caller, message: Message) -> Handshake | Stateless:
        """The era that a message belongs to.

        The revisions before 2026-07-28 state none in the body. A message that does state one, or
        comes under a header that is none of theirs, is read as the stateless era reads it: which
        then says what does not agree.
        """
        meta = message.params.get("_meta")
        if isinstance(meta, dict) and VERSION_KEY in meta:
            return self._stateless
        stated = caller.head.headers.get(b"mcp-protocol-version", b"").decode("latin-1")
        if message.method == "initialize" or not stated or stated in mcp_handshake.VERSIONS:
            return self._handshake
        return self._stateless

    def _without_body(self, caller: Caller, server: str | None) -> Reply:
        headers = caller.head.headers
        stateless = headers.get(b"mcp-protocol-version") == mcp_stateless.VERSION.encode()
        if b"mcp-session-id" in headers and not stateless:
            match caller.head.method:
                case "DELETE":
                    return self._handshake.end(caller, server)
                case "GET":
                    return self._handshake.refuse_stream(caller, server)
        raise MethodRefused("POST")

    async def _refuse(
        self,
        caller: Caller,
        era: Handshake | Stateless | None,
        message: Message | None,
        refused: RpcRefused,
    ) -> Reply:
        """Record the refusal, and answer it as JSON-RPC."""
        if message is not None:
            refused.id = message.id
        await self._gate.refuse(
            caller.principal, caller.head.source, code=refused.code, detail=str(refused)
        )
        own = None if era is None else era.statuses.get(refused.number)
        return Reply(own or status_of(refused.code), error(refused))


@lru_cache(maxsize=256)
def _place(path: str) -> tuple[str | None, str | None]:
    """The server and the resource that a path names; agents send few different ones."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None, None
    server = found[1]
    return server, "/mcp" if server is None else f"/mcp/{server}"


def _check_kind(message: Message) -> None:
    """A notification asks for nothing; what asks for something has an id."""
    if message.id is None and not message.method.startswith("notifications/"):
        raise RpcRefused(INVALID_REQUEST, "a request needs an `id`")
    if message.id is not None and message.method.startswith("notifications/"):
        raise RpcRefused(INVALID_REQUEST, "a notification has no `id`")

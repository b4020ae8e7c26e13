"""MCP 2025-11-25 and before: a handshake opens a session, and later messages name it.

There is no stream from us (GET is refused), no batching, and nothing is offered but tools.
"""

from types import MappingProxyType

from audit.canonical import Json
from gateway.faces.edge import Caller
from gateway.faces.http import Reply
from gateway.faces.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    Message,
    RpcRefused,
    result,
    unknown_method,
)
from gateway.faces.mcp_session import McpSession, McpSessions, Owner
from gateway.faces.mcp_stateless import INSTRUCTIONS
from gateway.faces.mcp_tools import McpTools

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26")
"""Newest first; the first is offered to a client that asks for none of them."""


class Handshake:
    """Answers messages of these revisions, for one listener."""

    statuses = MappingProxyType({METHOD_NOT_FOUND: 200, INVALID_PARAMS: 200})
    """HTTP statuses of JSON-RPC errors; 400 for the others."""

    def __init__(self, tools: McpTools, identity: dict[str, Json], sessions: McpSessions) -> None:
        self._tools = tools
        self._identity = identity
        self._sessions = sessions

    async def answer(self, caller: Caller, server: str | None, message: Message) -> Reply:
        """Answer one message. Raises RpcRefused and RequestRefused."""
        if message.method == "initialize":
            return self._initialize(caller, server, message)
        session = self._session(caller, server)
        if message.id is None:
            return Reply(202)
        match message.method:
            case "tools/call":
                face = f"mcp/{session.version}"
                return await self._tools.call(caller, server, message, face=face, defaults={})
            case "tools/list":
                value = self._tools.listed(caller.principal, server, message)
            case "ping":
                value = {}
            case _:
                raise unknown_method()
        return Reply(200, result(message.id, value))

    def end(self, caller: Caller, server: str | None) -> Reply:
        """Answer a DELETE. Raises RpcRefused."""
        session = self._session(caller, server)
        self._sessions.close(session.id, session.owner)
        return Reply(204)

    def refuse_stream(self, caller: Caller, server: str | None) -> Reply:
        """Answer a GET: clients ask for a stream in every session, and are content with a no.

        Raises RpcRefused.
        """
        self._session(caller, server)
        return Reply(405, headers=((b"allow", b"POST, DELETE"),))

    def _initialize(self, caller: Caller, server: str | None, message: Message) -> Reply:
        params = message.params
        if message.id is None:
            raise RpcRefused(INVALID_REQUEST, "`initialize` is a request")
        if not isinstance(params.get("protocolVersion"), str):
            raise RpcRefused(INVALID_PARAMS, "`protocolVersion` must be a text")
        if not isinstance(params.get("capabilities"), dict):
            raise RpcRefused(INVALID_PARAMS, "`capabilities` must be an object")
        if not isinstance(params.get("clientInfo"), dict):
            raise RpcRefused(INVALID_PARAMS, "`clientInfo` must be an object")
        self._tools.check_offered(caller.principal, server)
        wanted = params["protocolVersion"]
        version = wanted if wanted in VERSIONS else VERSIONS[0]
        session = self._sessions.open(Owner.of(caller.principal, server), str(version))
        value: dict[str, Json] = {
            "protocolVersion": session.version,
            "capabilities": {"tools": {}},
            "serverInfo": self._identity,
            "instructions": INSTRUCTIONS,
        }
        headers = ((b"mcp-session-id", session.id.encode()),)
        return Reply(200, result(message.id, value), headers)

    def _session(self, caller: Caller, server: str | None) -> McpSession:
        headers = caller.head.headers
        named = headers.get(b"mcp-session-id")
        if named is None:
            raise RpcRefused(INVALID_REQUEST, "Mcp-Session-Id is missing: `initialize` first")
        owner = Owner.of(caller.principal, server)
        session = self._sessions.use(named.decode("latin-1"), owner)
        if session is None:
            raise RpcRefused(INVALID_REQUEST, "Session not found", code="request.session")
        stated = headers.get(b"mcp-protocol-version")
        if stated is not None and stated.decode("latin-1") != session.version:
            raise RpcRefused(
                INVALID_REQUEST,
                "MCP-Protocol-Version is not what this session agreed on",
                code="request.mismatch",
            )
        return session

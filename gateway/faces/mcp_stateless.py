"""MCP 2026-07-28: every request stands alone.

There is no handshake and no session; each body carries its protocol version and capabilities, and
its headers repeat what proxies route by. Only tools are offered: every other method is not found.
"""

from collections.abc import Awaitable
from types import MappingProxyType

from audit.canonical import Json
from gateway.faces.edge import Caller
from gateway.faces.http import Reply
from gateway.faces.jsonrpc import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    UNSUPPORTED_VERSION,
    Message,
    RpcRefused,
    result,
    unknown_method,
)
from gateway.faces.mcp_headers import CAPABILITIES_KEY, VERSION_KEY, check_routing
from gateway.faces.mcp_tools import McpTools

VERSION = "2026-07-28"

TTL_MS = 5_000
"""How long a client may keep a list: until then it does not see that rules changed."""

INSTRUCTIONS = (
    "Every call is decided by the operators' policy and recorded. A denied call stays denied when "
    "it is repeated unchanged. A call that waits for approval names a request: send exactly the "
    "same call again after it was approved."
)
"""What an agent's model should know; the same in both eras."""

_FACE = f"mcp/{VERSION}"
_COMPLETE: dict[str, Json] = {"resultType": "complete"}
_FRESHNESS: dict[str, Json] = {
    **_COMPLETE,
    "ttlMs": TTL_MS,
    "cacheScope": "private",  # a list depends on who asks
}


class Stateless:
    """Answers messages of this revision, for one listener."""

    statuses = MappingProxyType({METHOD_NOT_FOUND: 404})
    """HTTP statuses of JSON-RPC errors; 400 for the others."""

    def __init__(
        self, tools: McpTools, identity: dict[str, Json], supported: tuple[str, ...]
    ) -> None:
        self._tools = tools
        self._meta: dict[str, Json] = {"io.modelcontextprotocol/serverInfo": identity}
        self._supported = supported

    def answer(self, caller: Caller, server: str | None, message: Message) -> Awaitable[Reply]:
        """Answer one message. Raises RpcRefused and RequestRefused, at once or when awaited."""
        if message.id is not None:
            self._check_envelope(caller, message)
            if message.method == "tools/call":
                return self._tools.call(caller, server, message, face=_FACE, defaults=_COMPLETE)
        return self._told(caller, server, message)

    async def _told(self, caller: Caller, server: str | None, message: Message) -> Reply:
        if message.id is None:
            self._check_version(_stated(caller))
            return Reply(202)  # a message cancels nothing here: closing the stream would
        match message.method:
            case "tools/list":
                value = self._tools.listed(caller.principal, server, message)
            case "server/discover":
                self._tools.check_offered(caller.principal, server)
                value = self._discovered()
            case _:
                raise unknown_method()
        return Reply(200, result(message.id, {**value, **_FRESHNESS, "_meta": self._meta}))

    def _check_envelope(self, caller: Caller, message: Message) -> None:
        meta = message.params.get("_meta")
        if not isinstance(meta, dict) or not isinstance(meta.get(CAPABILITIES_KEY), dict):
            raise RpcRefused(INVALID_PARAMS, f"`params._meta` must hold `{CAPABILITIES_KEY}`")
        version = meta.get(VERSION_KEY)
        if not isinstance(version, str):
            raise RpcRefused(INVALID_PARAMS, f"`params._meta` must hold `{VERSION_KEY}`")
        check_routing(caller.head, message, version)
        self._check_version(version)

    def _check_version(self, version: str) -> None:
        if version != VERSION:
            raise unsupported_version(version, self._supported)

    def _discovered(self) -> dict[str, Json]:
        return {
            "supportedVersions": list(self._supported),
            "capabilities": {"tools": {}},
            "instructions": INSTRUCTIONS,
        }


def unsupported_version(requested: str, supported: tuple[str, ...]) -> RpcRefused:
    """No revision that we speak; the answer names those that we do."""
    return RpcRefused(
        UNSUPPORTED_VERSION,
        "Unsupported protocol version",
        code="request.version",
        data={"supported": list(supported), "requested": requested},
    )


def _stated(caller: Caller) -> str:
    return caller.head.headers.get(b"mcp-protocol-version", b"").decode("latin-1")

"""What both eras of MCP do with tools: list them, call them, tell how a call ended.

An action is built from the body's name and arguments alone; `_meta`, progress tokens and whatever
else a caller sends ends here. Definitions and results pass equal as JSON.
"""

from collections.abc import Callable

from audit.canonical import Json
from gateway.action import Action, Outcome
from gateway.diagnostics import begin_request
from gateway.errors import RequestRefused
from gateway.faces.edge import Caller, Gate
from gateway.faces.http import Reply, trace_id
from gateway.faces.jsonrpc import INVALID_PARAMS, Message, RpcRefused, result
from gateway.faces.mcp_headers import Mirrored, check_parameters, mirrored
from gateway.faces.receipts import receipt_header
from gateway.principal import Principal
from gateway.world import Worlds

MAX_NAME = 128
"""Characters of a tool's name (MCP 2025-11-25 and later)."""

META = "passavant/"
"""Our namespace in the `_meta` of an answer that is not the upstream's."""

_CALL_MEMBERS = frozenset({"name", "arguments", "_meta", "task"})
_LIST_MEMBERS = frozenset({"cursor", "_meta"})


class McpTools:
    """Tools, as one MCP endpoint offers them: `/mcp` (server None) or `/mcp/{server}`."""

    def __init__(self, gate: Gate, worlds: Worlds, new_id: Callable[[], str]) -> None:
        self._gate = gate
        self._worlds = worlds
        self._new_id = new_id
        self._marks: dict[str, tuple[Mirrored, ...]] = {}

    def check_offered(self, principal: Principal, server: str | None) -> None:
        """Refuse an endpoint of one server on which this caller has nothing.

        Said aloud, since a client given an empty list goes on without tools; and said alike for
        a server that does not exist and one that is not for this caller.

        Raises RequestRefused (`server.unknown`).
        """
        if server is not None and not self._gate.listing(principal, server):
            raise RequestRefused("server.unknown", f"no server {server} offers you any tool now")

    def listed(self, principal: Principal, server: str | None, message: Message) -> dict[str, Json]:
        """The result of `tools/list`, in one page, ordered by name.

        Raises RpcRefused for a cursor (none was given out), RequestRefused as `check_offered`.
        """
        _check_members(message, _LIST_MEMBERS)
        if message.params.get("cursor") is not None:
            raise RpcRefused(INVALID_PARAMS, "`cursor` was not given out here")
        self.check_offered(principal, server)
        shown = {
            tool.published if server is None else tool.name: tool.definition
            for tool in self._gate.listing(principal, server)
        }
        return {"tools": [{**shown[name], "name": name} for name in sorted(shown)]}

    async def call(
        self,
        caller: Caller,
        server: str | None,
        message: Message,
        *,
        face: str,
        defaults: dict[str, Json],
    ) -> Reply:
        """Take one `tools/call` across the gate; the answer, with the receipt of its entry.

        face      how it came in, as the action says
        defaults  members of the result where it lacks them

        Raises RpcRefused.
        """
        name, arguments = _read_call(message)
        server, own_name = self._named(server, name)
        self._check_mirrored(caller, server, own_name, arguments)
        request_id, head = self._new_id(), caller.head
        begin_request(request_id)
        trace = trace_id(head)
        action = Action(server, own_name, arguments, face, request_id, trace, head.source, name)
        outcome = await self._gate.cross(caller.principal, action)
        value = {**defaults, **call_result(outcome)}
        return Reply(200, result(message.id, value), receipt_header(outcome), outcome.call)

    def _named(self, server: str | None, name: str) -> tuple[str, str]:
        """Server and own name of the tool that `name` means on this endpoint, if there is one."""
        if server is not None:
            return server, name
        tool = self._worlds.current.catalogue.by_published(name)
        return _split(name) if tool is None else (tool.server, tool.name)

    def _check_mirrored(
        self, caller: Caller, server: str, name: str, arguments: dict[str, Json]
    ) -> None:
        tool = self._worlds.current.catalogue.lookup(server, name)
        if tool is None:
            return
        marks = self._marks.get(tool.pin)
        if marks is None:
            marks = self._marks[tool.pin] = mirrored(tool.definition.get("inputSchema"))
        # Only for who may know of the tool: this refusal tells that it exists.
        if marks and tool in self._gate.listing(caller.principal, server):
            check_parameters(marks, arguments, caller.head)


def call_result(outcome: Outcome) -> dict[str, Json]:
    """The CallToolResult of an outcome: the upstream's as it came, else our words as an error.

    Ours are ordinary results: clients show a JSON-RPC error to nobody, or send the call again.
    No `structuredContent`, which would have to fit the tool's output schema.
    """
    if outcome.status in {"done", "error"} and outcome.result is not None:
        return _without_our_words(outcome.result)
    meta: dict[str, Json] = {META + "status": outcome.status, META + "code": outcome.code}
    if outcome.approval is not None:
        meta |= {META + "approval": outcome.approval, META + "expires": outcome.expires}
    content: list[Json] = [{"type": "text", "text": outcome.text}]
    return {"content": content, "isError": True, "_meta": meta}


def _split(published: str) -> tuple[str, str]:
    """`server__tool` as its parts: a server's name holds no underscore."""
    server, joint, tool = published.partition("__")
    return (server, tool) if joint else ("", published)


def _without_our_words(result: dict[str, Json]) -> dict[str, Json]:
    """The upstream's result, without members of `_meta` that would pass for the gateway's."""
    meta = result.get("_meta")
    if not isinstance(meta, dict) or not any(name.startswith(META) for name in meta):
        return result
    others = {name: value for name, value in meta.items() if not name.startswith(META)}
    return {**result, "_meta": others}


def _read_call(message: Message) -> tuple[str, dict[str, Json]]:
    params = message.params
    _check_members(message, _CALL_MEMBERS)
    name, arguments = params.get("name"), params.get("arguments")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise RpcRefused(INVALID_PARAMS, f"`name` must be a text of 1 to {MAX_NAME} characters")
    if arguments is None:
        return name, {}
    if not isinstance(arguments, dict):
        raise RpcRefused(INVALID_PARAMS, "`arguments` must be an object")
    return name, arguments


def _check_members(message: Message, known: frozenset[str]) -> None:
    # Also what makes `Name` beside `name` a refusal instead of a question of who reads which.
    if not message.params.keys() <= known:
        raise RpcRefused(INVALID_PARAMS, f"{message.method} takes no such member in `params`")

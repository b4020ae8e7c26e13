"""Tools over plain REST: `POST /v1/tools/{server}/{tool}`, for who speaks no MCP.

The body is the arguments; the answer is the CallToolResult. It is the same action as over MCP,
decided by the same rules. What did not reach the upstream is a problem detail with the status of
its code; a pending approval is a 202 that says where to look. A tool that answered with an error
of its own is a 200 with `isError`: the call itself was made.

`POST /v1/memory/{put,get,search,delete}` is the same for the caller's own memory.
`GET /v1/openapi.json` describes the caller's own tools.
"""

import re
from collections.abc import Callable

from audit.canonical import read
from audit.errors import NotStrict
from gateway.action import Action, Outcome
from gateway.diagnostics import begin_request
from gateway.errors import RequestRefused
from gateway.faces.edge import Authenticate, Caller, Edge, Gate, MethodRefused
from gateway.faces.http import (
    EdgeRules,
    Receive,
    Reply,
    Scope,
    Send,
    check_json_request,
    read_body,
    trace_id,
)
from gateway.faces.openapi import describe
from gateway.faces.problems import problem
from gateway.faces.receipts import receipt_header
from gateway.links.jsonrpc import dump
from gateway.memory.definitions import SERVER

APPROVALS = "/v1/approvals/"
RESOURCE = "/v1"
"""The protected resource of RFC 9728 that this face is."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_TOOL = re.compile(rf"/v1/tools/([a-z][a-z0-9-]{{0,19}})/({_NAME.pattern})")
_MEMORY = re.compile(rf"/v1/({SERVER})/([a-z]{{1,20}})")
_OPENAPI = "/v1/openapi.json"


class RestFace:
    """The REST endpoints of the agents' listener, as one ASGI application."""

    def __init__(
        self,
        *,
        gate: Gate,
        authenticate: Authenticate,
        rules: EdgeRules,
        new_id: Callable[[], str],
        version: str,
    ) -> None:
        self._gate = gate
        self._edge = Edge(rules, authenticate, gate)
        self._new_id = new_id
        self._version = version

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; never raises for anything the caller can cause."""
        path: str = scope["path"]
        tool = _TOOL.fullmatch(path) or _MEMORY.fullmatch(path)
        resource = RESOURCE if tool or path == _OPENAPI else None

        async def answer(caller: Caller) -> Reply:
            if tool is None:
                return self._describe(caller)
            return await self._call(caller, tool[1], tool[2])

        await self._edge.serve(scope, receive, send, resource=resource, answer=answer)

    def _describe(self, caller: Caller) -> Reply:
        if caller.head.method != "GET":
            raise MethodRefused("GET")
        listing = self._gate.listing(caller.principal, None)
        tools = [tool for tool in listing if _NAME.fullmatch(tool.name)]
        document = describe(tools, url=self._edge.rules.public_url, version=self._version)
        return Reply(200, dump(document))

    async def _call(self, caller: Caller, server: str, tool: str) -> Reply:
        if caller.head.method != "POST":
            raise MethodRefused("POST")
        check_json_request(caller.head)
        body = await read_body(caller.receive, caller.head, self._edge.rules)
        action = self._read(caller, body, server, tool)
        return _reply(await self._gate.cross(caller.principal, action))

    def _read(self, caller: Caller, body: bytes, server: str, tool: str) -> Action:
        rules = self._edge.rules
        try:
            arguments = read(body, max_bytes=rules.max_body, max_depth=rules.max_depth)
        except NotStrict as error:
            raise RequestRefused(f"request.{error.code}", str(error)) from None
        if not isinstance(arguments, dict):
            raise RequestRefused("request.malformed", "the body must be an object: the arguments")
        request_id = self._new_id()
        begin_request(request_id)
        return Action(
            server=server,
            tool=tool,
            args=arguments,
            face="rest",
            request_id=request_id,
            trace=trace_id(caller.head),
            source=caller.head.source,
            called=f"{server}.{tool}",
        )


def _reply(outcome: Outcome) -> Reply:
    receipt, call = receipt_header(outcome), outcome.call
    if outcome.status in {"done", "error"} and outcome.result is not None:
        return Reply(200, dump(outcome.result), receipt, call)
    code = outcome.code or outcome.status
    if outcome.approval is None:
        return problem(code, outcome.text, headers=receipt, call=call)
    return problem(
        code,
        outcome.text,
        headers=(*receipt, (b"location", f"{APPROVALS}{outcome.approval}".encode())),
        call=call,
        approval=outcome.approval,
        expires=outcome.expires,
    )

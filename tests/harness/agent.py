"""Agents as they come: over MCP of both eras and over REST, spoken byte for byte.

`Agent.call` makes an ordinary call; `call_raw` puts bytes where the arguments belong; `post` sends
any body. What comes back is one `Answer`, whatever the protocol, so that a table of bad input runs
over every way in.
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

MODERN, LEGACY, REST = "2026-07-28", "2025-11-25", "rest"
WAYS = (MODERN, LEGACY, REST)

META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass(frozen=True)
class Answer:
    """What came back.

    code      our stable code; None when the upstream itself answered
    result    the upstream's CallToolResult
    rpc       number of the JSON-RPC error, where it is one
    text      what the agent's model reads
    """

    http: int
    code: str | None
    text: str
    result: dict[str, Any] | None
    rpc: int | None
    approval: str | None
    body: Any
    headers: Mapping[str, str]

    @property
    def done(self) -> bool:
        return self.result is not None and self.result.get("isError") is not True

    @property
    def receipt(self) -> str | None:
        return self.headers.get("audit-receipt")

    @property
    def entry(self) -> int:
        """Index of the entry that the receipt names."""
        assert self.receipt is not None, f"no receipt came with {self}"
        return int(self.receipt.split(";")[1])

    @classmethod
    def of(cls, response: httpx.Response) -> "Answer":
        """Read an answer of any protocol."""
        plain = cls(
            response.status_code, None, response.text, None, None, None, None, response.headers
        )
        if not response.content or "json" not in response.headers.get("content-type", ""):
            return plain
        body = response.json()
        plain = replace(plain, body=body)
        if not isinstance(body, dict):
            return plain
        if "error" in body and isinstance(body["error"], dict):
            error = body["error"]
            code = error.get("data", {}).get("code")
            return replace(plain, code=code, text=error["message"], rpc=error["code"])
        if "jsonrpc" in body:
            return _of_result(plain, body["result"])
        if "code" in body:
            return replace(
                plain, code=body["code"], text=body["detail"], approval=body.get("approval")
            )
        return _of_result(plain, body)


def _of_result(plain: Answer, result: dict[str, Any]) -> Answer:
    meta = result.get("_meta", {})
    text = "".join(part.get("text", "") for part in result.get("content", ()))
    if "passavant/status" not in meta:
        return replace(plain, result=result, text=text)
    return replace(
        plain,
        code=meta["passavant/code"],
        text=text,
        approval=meta.get("passavant/approval"),
    )


@dataclass
class Agent:
    """One client with one token.

    way     MODERN, LEGACY or REST
    server  the endpoint of one upstream (`/mcp/{server}`); None: all tools at `/mcp`
    """

    http: httpx.AsyncClient
    url: str
    token: str | None
    name: str = ""
    session: str = ""  # the gateway's, not MCP's
    way: str = REST
    server: str | None = None
    mcp_session: str | None = field(default=None)

    def by(self, way: str, **changes: Any) -> "Agent":  # noqa: ANN401 - any field
        """The same agent, coming another way."""
        return replace(self, way=way, mcp_session=None, **changes)

    async def call(self, tool: str, /, **args: Any) -> Answer:  # noqa: ANN401 - JSON
        """Call `server.tool`."""
        return await self.call_raw(tool, json.dumps(args).encode())

    async def call_raw(
        self, tool: str, args: bytes, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Call a tool with these bytes as its arguments."""
        server, _, own = tool.partition(".")
        if self.way == REST:
            return await self.post(args, headers, path=f"/v1/tools/{server}/{own}")
        name = own if self.server else f"{server}__{own}"
        return await self.rpc("tools/call", {"name": name}, arguments=args, headers=headers)

    async def names(self) -> set[str]:
        """Names of the tools it is shown."""
        if self.way == REST:
            answered = await self.get("/v1/openapi.json")
            return {
                path.removeprefix("/v1/tools/").replace("/", "__")
                for path in answered.body["paths"]
            }
        answered = await self.rpc("tools/list")
        assert answered.result is not None, answered
        return {shown["name"] for shown in answered.result["tools"]}

    async def rpc(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        arguments: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One MCP request."""
        assert self.way != REST
        params = dict(params or {})
        lines = {}
        if self.way == MODERN:
            params["_meta"] = META
            lines = {"mcp-protocol-version": MODERN, "mcp-method": _in_header(method)}
            if isinstance(params.get("name"), str):
                lines["mcp-name"] = _in_header(params["name"])
        elif method != "initialize":
            await self._greet()
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        return await self.post(_spliced(body, arguments), {**lines, **(headers or {})})

    async def post(
        self,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        path: str | None = None,
    ) -> Answer:
        """POST any bytes, with the headers that a client of this era always sends."""
        endpoint = f"/mcp/{self.server}" if self.server else "/mcp"
        lines = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
        }
        lines |= self._credential()
        if self.mcp_session is not None:
            lines |= {"mcp-session-id": self.mcp_session, "mcp-protocol-version": LEGACY}
        response = await self.http.post(
            f"{self.url}{path or endpoint}", content=body, headers={**lines, **(headers or {})}
        )
        return Answer.of(response)

    async def get(self, path: str) -> Answer:
        """GET a path of the agents' listener."""
        return Answer.of(await self.http.get(f"{self.url}{path}", headers=self._credential()))

    async def end(self) -> int:
        """End its own session; the status of the answer."""
        headers = self._credential()
        return (await self.http.delete(f"{self.url}/v1/session", headers=headers)).status_code

    def _credential(self) -> dict[str, str]:
        return {} if self.token is None else {"authorization": f"Bearer {self.token}"}

    async def _greet(self) -> None:
        """The handshake of the earlier era, once."""
        if self.mcp_session is not None:
            return
        hello = {
            "protocolVersion": LEGACY,
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
        answered = await self.post(json.dumps(body).encode())
        self.mcp_session = answered.headers.get("mcp-session-id")


def _in_header(text: str) -> str:
    """A text as a header can carry it (MCP 2026-07-28, "Custom headers")."""
    if text.isascii() and text.isprintable() and text == text.strip():
        return text
    return f"=?base64?{b64encode(text.encode()).decode()}?="


def _spliced(body: dict[str, Any], arguments: bytes | None) -> bytes:
    """The message with raw bytes as `params.arguments`."""
    if arguments is None:
        return json.dumps(body).encode()
    mark = "@arguments@"
    body["params"]["arguments"] = mark
    return json.dumps(body).encode().replace(f'"{mark}"'.encode(), arguments)

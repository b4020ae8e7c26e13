"""Faces over raw ASGI, before a gate that notes what reached it."""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, cast

import orjson
import pytest

from audit.entry import Receipt
from gateway.action import Action, Outcome
from gateway.catalogue.tools import Catalogue, Tool
from gateway.faces.http import Direct, EdgeRules, Head, Headers, Lines, Scope
from gateway.faces.mcp import McpFace, McpSources
from gateway.faces.rest import RestFace
from gateway.identity.errors import AuthError
from gateway.principal import Principal
from gateway.world import World, Worlds
from policies.snapshot import Snapshot

Value: TypeAlias = Any  # JSON whose shape is what a test is about

HOST = b"127.0.0.1:7300"
URL = "http://127.0.0.1:7300"
MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "mcp", "version": "0.1.0"},
}
RECEIPT = Receipt("passavant/node-1", 41, bytes(range(32)))
RESULT: dict[str, Any] = {
    "content": [{"type": "text", "text": "paid"}, {"type": "hologram", "depth": 1.0}],
    "structuredContent": {"paid": 2**70, "z": 1, "a": [None, True, 0.1]},
    "isError": False,
    "unheard": {"of": "members"},
}


class GateDouble:
    """Notes what faces hand to it, and answers as told."""

    def __init__(self, tools: tuple[Tool, ...]) -> None:
        self.tools = tools
        self.outcome = Outcome("done", None, "", RESULT, RECEIPT, call="call-1")
        self.crossed: list[Action] = []
        self.by: list[Principal] = []
        self.refused: list[tuple[str | None, str]] = []
        self.answered: list[str] = []

    async def cross(self, principal: Principal, action: Action) -> Outcome:
        self.crossed.append(action)
        self.by.append(principal)
        return self.outcome

    def listing(self, principal: Principal, server: str | None = None) -> tuple[Tool, ...]:
        if principal.agent == "stranger":
            return ()
        return tuple(tool for tool in self.tools if server in {None, tool.server})

    async def refuse(
        self, principal: Principal | None, source: str, code: str, detail: str = ""
    ) -> Receipt | None:
        assert source.startswith("127.0.0.1:")
        assert detail
        self.refused.append((None if principal is None else principal.agent, code))
        return None

    def delivered(self, call: str) -> None:
        self.answered.append(call)


@dataclass
class Answered:
    status: int
    raw: bytes
    headers: dict[str, str]

    @property
    def body(self) -> Value:
        return orjson.loads(self.raw)

    @property
    def error(self) -> Value:
        return self.body["error"]


class Sender(Direct):
    """The `receive` of a request that comes in so many parts.

    stays  until the answer comes
    after  awaited before it goes, once the body was received
    """

    def __init__(self, parts: list[bytes], *, stays: bool, after: Callable[[], Any] | None) -> None:
        self.gone = not stays
        self._messages = [
            {"type": "http.request", "body": part, "more_body": number < len(parts)}
            for number, part in enumerate(parts, 1)
        ]
        self._stays, self._after = stays, after

    async def __call__(self) -> dict[str, Any]:
        if self._messages:
            return self._messages.pop(0)
        if self._after is not None:
            await self._after()
        elif self._stays:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    def whole_body(self) -> bytes | None:
        return None

    def answer(self, status: int, fixed: bytes, headers: Lines, body: bytes) -> bool:
        return False


@dataclass
class Agent:
    """Sends requests to the faces as one client would."""

    app: Callable[..., Any]
    path: str = "/mcp"
    token: bytes | None = b"clerk"
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    stays: bool = True  # until its answer comes
    reads: bool = True  # it; else it goes while the answer waits to be written

    def of(self, **changes: Value) -> "Agent":
        return replace(self, **changes)

    async def send(
        self,
        raw: bytes | Iterable[bytes] = b"",
        headers: Headers | None = None,
        *,
        method: str = "POST",
        query: bytes = b"",
        drop: Iterable[bytes] = (),
        after: Callable[[], Any] | None = None,
    ) -> Answered:
        """One request; `headers` replace those of the same name that a client always sends."""
        parts = [raw] if isinstance(raw, bytes) else list(raw)
        scope = {
            "type": "http",
            "method": method,
            "path": self.path,
            "query_string": query,
            "headers": self._headers(headers or [], set(drop)),
            "client": ("127.0.0.1", 40001),
        }
        receive = Sender(parts, stays=self.stays, after=after)
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            receive.gone = receive.gone or not self.reads
            sent.append(message)

        await self.app(scope, receive, send)
        if not sent:
            return Answered(0, b"", {})
        start, body = sent
        lines = {name.decode(): value.decode() for name, value in start["headers"]}
        assert lines["content-length"] == str(len(body["body"]))
        return Answered(start["status"], body["body"], lines)

    def _headers(self, given: Headers, drop: set[bytes]) -> Headers:
        always = [
            (b"host", HOST),
            (b"accept", b"application/json, text/event-stream"),
            (b"content-type", b"application/json"),
        ]
        if self.token is not None:
            always.append((b"authorization", b"Bearer " + self.token))
        replaced = {name for name, _ in given} | drop
        return [*(line for line in always if line[0] not in replaced), *given]

    async def modern(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        headers: Headers | None = None,
        meta: Value = META,
        drop: Iterable[bytes] = (),
    ) -> Answered:
        """One request of 2026-07-28, as the official client writes it."""
        params = {} if params is None else params
        body = {
            "jsonrpc": "2.0",
            "id": next(self.ids),
            "method": method,
            "params": {**params, "_meta": meta},
        }
        lines: Headers = [
            (b"mcp-protocol-version", MODERN.encode()),
            (b"mcp-method", method.encode()),
        ]
        if isinstance(params.get("name"), str):
            lines.append((b"mcp-name", params["name"].encode()))
        replaced = {name for name, _ in headers or []} | set(drop)
        lines = [line for line in lines if line[0] not in replaced]
        return await self.send(orjson.dumps(body), [*lines, *(headers or [])], drop=drop)

    async def legacy(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        session: str | None = None,
        version: str | None = None,
    ) -> Answered:
        """One request of a session of 2025-11-25 or before."""
        body: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if not method.startswith("notifications/"):
            body["id"] = next(self.ids)
        if params is not None:
            body["params"] = params
        lines: Headers = []
        if session is not None:
            lines.append((b"mcp-session-id", session.encode()))
        if version is not None:
            lines.append((b"mcp-protocol-version", version.encode()))
        return await self.send(orjson.dumps(body), lines)

    async def open(self, version: str = "2025-11-25") -> str:
        """A session after its handshake."""
        answered = await self.legacy("initialize", greeting(version))
        session = answered.headers["mcp-session-id"]
        done = await self.legacy("notifications/initialized", session=session, version=version)
        assert done.status == 202
        return session


def greeting(version: Value = "2025-11-25") -> dict[str, Any]:
    return {
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": {"name": "mcp", "version": "0.1.0"},
    }


def authenticate(scope: Scope, head: Head) -> tuple[Principal, Lines]:
    """Tokens here are names: what tokens prove is tested with `gateway.identity`."""
    assert head.method == scope["method"]
    value = head.headers.get(b"authorization")
    if value is None:
        raise AuthError("missing", "an access token is needed")
    agent, _, session = value.decode().removeprefix("Bearer ").partition("/")
    if agent == "expired":
        raise AuthError("expired", "its time is over")
    principal = Principal(
        agent=agent,
        user="ana",
        user_groups=frozenset(),
        chain=(),
        session=session or "session-1",
        scopes=("*",),
        hops=1,
        token_id="token",
        issued=0,
        expires=1,
    )
    if agent == "bound":
        return replace(principal, bound_to="A" * 43), ((b"dpop-nonce", b"fresh"),)
    return principal, ()


def make_tool(
    server: str, name: str, schema: Value = None, *, published: str | None = None, **members: Value
) -> Tool:
    definition = {
        "inputSchema": schema or {"type": "object", "properties": {}},
        "name": name,
        "description": f"{name} of {server}",
        "x-unheard": {"of": [1, {"z": 1, "a": 2}]},
        **members,
    }
    return Tool(
        server=server,
        name=name,
        published=published or f"{server}__{name}",
        definition=definition,
        pin=f"{server}.{name}",
    )


MARKED = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "limit": {
            "type": "object",
            "properties": {"amount": {"type": "integer", "x-mcp-header": "Limit-Amount"}},
        },
        "plain": {"type": "string"},
    },
}


@pytest.fixture
def gate() -> GateDouble:
    return GateDouble(
        (
            make_tool("ledger", "refund"),
            make_tool("ledger", "pay", title="Pay"),
            make_tool("git", "git_log"),
            make_tool("ledger", "book", MARKED),
            make_tool("ledger", "a_long_name", published="short"),
        )
    )


@pytest.fixture
def worlds(gate: GateDouble) -> Worlds:
    catalogue = Catalogue({(tool.server, tool.name): tool for tool in gate.tools}, "digest")
    return Worlds(World(cast("Snapshot", None), catalogue, ()))


@pytest.fixture
def rules() -> EdgeRules:
    return EdgeRules(URL, frozenset({HOST}), frozenset({b"https://console.example"}))


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def face_of(gate: GateDouble, worlds: Worlds, clock: Clock) -> Callable[[EdgeRules], McpFace]:
    """The MCP face of a listener with these rules."""
    numbers = itertools.count(1)
    sources = McpSources(clock, lambda: f"request-{next(numbers)}", lambda: f"mcp-{next(numbers)}")

    def make(rules: EdgeRules) -> McpFace:
        return McpFace(
            gate=gate,
            worlds=worlds,
            authenticate=authenticate,
            rules=rules,
            sources=sources,
            version="0.1.0",
        )

    return make


@pytest.fixture
def agent(face_of: Callable[[EdgeRules], McpFace], rules: EdgeRules) -> Agent:
    return Agent(face_of(rules))


@pytest.fixture
def caller(gate: GateDouble, rules: EdgeRules) -> Agent:
    """A client of the REST face."""
    face = RestFace(
        gate=gate,
        authenticate=authenticate,
        rules=rules,
        new_id=lambda: "request-1",
        version="0.1.0",
    )
    return Agent(face, path="/v1/tools/ledger/pay")

"""An MCP server that answers what was recorded: the tools of a suite, played back.

Whoever plays says which step comes next; a call that arrives is noted and gets that step's result.
Results that are lists or mappings are given as structured content too, as servers built with
FastMCP do: a list stands under `result`.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import yaml

from benchmarks.traces import Step
from benchmarks.upstream import DISCOVERED, HEAD, META, Upstream


@dataclass
class Replay:
    """What the server knows.

    tools    definitions, as they are listed
    coming   the step that is about to be played
    arrived  tool and arguments of every call that came
    """

    tools: Sequence[Mapping[str, Any]]
    coming: Step | None = None
    arrived: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The result of one JSON-RPC request."""
        if request["method"] == "server/discover":
            return DISCOVERED
        if request["method"] == "tools/list":
            return {**DISCOVERED, "tools": self.tools}
        params = request["params"]
        self.arrived.append((params["name"], params["arguments"]))
        return {"resultType": "complete", "_meta": META, **result_of(self.coming)}


class _Connection(Upstream):
    """The stub's connection, answering from a replay."""

    def __init__(self, replay: Replay) -> None:
        super().__init__(None)
        self._replay = replay

    def on_message_complete(self) -> None:
        """Answer the request."""
        request, self._body = orjson.loads(self._body), b""
        result = self._replay.answer(request)
        body = orjson.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result})
        self._write(HEAD % len(body) + body)


@asynccontextmanager
async def replaying(replay: Replay) -> AsyncIterator[str]:
    """Serve on a free port of loopback; `host:port`."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(replay), "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def result_of(step: Step | None) -> dict[str, Any]:
    """The CallToolResult of a recorded step; for none, an error."""
    text = "nothing was recorded for this call" if step is None else step.result
    result: dict[str, Any] = {
        "content": [{"type": "text", "text": text}],
        "isError": step is None or step.is_error,
    }
    structured = _structured(text)
    return result if structured is None else {**result, "structuredContent": structured}


def _structured(text: str) -> dict[str, Any] | None:
    """What the text says where it is a list or a mapping, in JSON, YAML or Python's own form."""
    try:
        value = yaml.load(text, _Plain)  # noqa: S506 - a safe loader, without dates
    except yaml.YAMLError:
        return None
    if isinstance(value, list):
        return {"result": value}
    return value if isinstance(value, dict) and all(type(name) is str for name in value) else None


class _Plain(yaml.SafeLoader):
    """JSON's kinds of values and no others: what looks like a date stays text."""


_Plain.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

"""Mirror: the headers that repeat a message over HTTP (MCP 2026-07-28), which stdio has none of."""

from collections.abc import Mapping

from audit.canonical import Json
from cli.bridge.frames import Frame
from gateway.errors import NotUnderstood
from gateway.links.era import (
    MirroredParameter,
    header_value,
    mirrored_headers,
    mirrored_parameters,
    read_tools,
)
from gateway.links.jsonrpc import dump

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"

_NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

Marks = Mapping[str, tuple[MirroredParameter, ...]]
"""The marked parameters of each tool that is known."""


def stated_version(frame: Frame) -> str | None:
    """The revision that a message states by itself; None: it belongs to a handshake."""
    meta = frame.params.get("_meta")
    version = meta.get(VERSION_KEY) if isinstance(meta, dict) else None
    return version if isinstance(version, str) else None


def headers(frame: Frame, version: str, marks: Marks) -> dict[str, str]:
    """What goes with a message that stands by itself."""
    told = {"mcp-protocol-version": version, "mcp-method": frame.method}
    name = frame.params.get(_NAMED_BY.get(frame.method, ""))
    if isinstance(name, str):
        told["mcp-name"] = header_value(name).decode()
    if frame.method == "tools/call":
        told |= _marked(frame, marks.get(str(name), ()))
    return told


def listing(frame: Frame, cursor: str | None) -> Frame:
    """A request for the tools, in the name of whoever sent `frame`; `cursor`: from where on."""
    params = {"_meta": frame.params.get("_meta"), **({} if cursor is None else {"cursor": cursor})}
    message: Json = {"jsonrpc": "2.0", "id": "marks", "method": "tools/list", "params": params}
    return Frame(dump(message), "tools/list", "marks", params)


def read_marks(result: Mapping[str, Json]) -> tuple[Marks, str | None]:
    """The marks of one page of a listing, and where the next begins. Raises NotUnderstood."""
    tools, cursor = read_tools(result)
    return {str(tool["name"]): _marks(tool.get("inputSchema")) for tool in tools}, cursor


def _marks(schema: Json) -> tuple[MirroredParameter, ...]:
    try:
        return mirrored_parameters(schema)
    except NotUnderstood:
        return ()


def _marked(frame: Frame, marks: tuple[MirroredParameter, ...]) -> dict[str, str]:
    arguments = frame.params.get("arguments")
    if not marks or not isinstance(arguments, dict):
        return {}
    lines = mirrored_headers(marks, arguments).decode().splitlines()
    pairs = (line.partition(": ") for line in lines)
    return {name.lower(): value for name, _, value in pairs}

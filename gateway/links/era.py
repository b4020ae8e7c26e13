"""What MCP asks of a client in each of its two eras; plain functions on values, without I/O.

2026-07-28 is stateless: each request carries its version and our (empty) capabilities in `_meta`,
and over HTTP mirrors method, name and marked parameters in headers. The revisions before it open
with `initialize`. What a caller sent in its own `_meta` never gets here.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from audit.canonical import Json
from gateway.errors import NotUnderstood
from gateway.links.jsonrpc import dump

Version = Literal["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]

MODERN: Final = "2026-07-28"
HANDSHAKE: tuple[Version, ...] = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
VERSIONS: tuple[Version, ...] = (MODERN, *HANDSHAKE)

OUTDATED = frozenset({-32020, -32022})
"""Errors that say what we know of a server is old: header mismatch, unsupported version."""

IDEMPOTENCY_KEY: Final = "passavant/idempotency-key"
"""The member of `_meta` that a call's key stands in; MCP has none of its own."""

_CLIENT: Json = {"name": "passavant", "version": "1"}
_META: dict[str, Json] = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": _CLIENT,
}
_MODERN_TAIL = b',"_meta":' + dump(_META) + b"}"
_PLAIN_HEADER = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_ENCODED_HEADER = re.compile(r"=\?base64\?.*\?=")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_MAX_CURSOR = 4096
_OBJECTS = frozenset({dict})


@dataclass(frozen=True, slots=True)
class Era:
    """One negotiated protocol version."""

    version: str

    @property
    def modern(self) -> bool:
        """Whether requests stand alone (2026-07-28), without handshake and session."""
        return self.version == MODERN

    def params(self, **members: Json) -> bytes:
        """The parameters of a request as JSON, with the `_meta` this era asks for."""
        return dump({**members, "_meta": _META} if self.modern else {**members})

    def call_params(self, tool: str) -> tuple[bytes, bytes]:
        """What stands before and after the argument bytes in the parameters of `tools/call`."""
        head = b'{"name":' + dump(tool) + b',"arguments":'
        return head, _MODERN_TAIL if self.modern else b"}"

    def keyed_tail(self, key: str) -> bytes:
        """What stands after the argument bytes of a call that goes with an idempotency key."""
        meta: dict[str, Json] = {**_META} if self.modern else {}
        return b',"_meta":' + dump({**meta, IDEMPOTENCY_KEY: key}) + b"}"


@dataclass(frozen=True, slots=True)
class MirroredParameter:
    """An argument that a 2026-07-28 server wants repeated in a header (`x-mcp-header`)."""

    path: tuple[str, ...]
    header: str


def initialize_params(version: str) -> bytes:
    """The parameters of `initialize`: no capability is declared, so nothing may be asked of us."""
    return dump({"protocolVersion": version, "capabilities": {}, "clientInfo": _CLIENT})


def read_discover(result: Mapping[str, Json]) -> bool:
    """Whether the answer to `server/discover` offers 2026-07-28; if not, try the handshake."""
    supported = result.get("supportedVersions")
    return isinstance(supported, list) and MODERN in supported


def read_initialize(result: Mapping[str, Json], allowed: tuple[str, ...]) -> Era:
    """The version a server answered `initialize` with. Raises NotUnderstood when not allowed."""
    version = result.get("protocolVersion")
    if isinstance(version, str) and version in HANDSHAKE and version in allowed:
        return Era(version)
    raise NotUnderstood("a protocol version that is not allowed for this server")


def read_tools(result: Mapping[str, Json]) -> tuple[list[dict[str, Json]], str | None]:
    """The tool definitions of one page, as they came, and the cursor of the next page.

    Raises NotUnderstood when a tool is no object, or has no name.
    """
    tools, cursor = result.get("tools"), result.get("nextCursor")
    if not isinstance(tools, list):
        raise NotUnderstood("a list of tools without `tools`")
    page = [tool for tool in tools if isinstance(tool, dict) and isinstance(tool.get("name"), str)]
    if len(page) != len(tools):
        raise NotUnderstood("a tool that is no object, or has no name")
    if cursor is not None and not (isinstance(cursor, str) and len(cursor) <= _MAX_CURSOR):
        raise NotUnderstood(f"a cursor that is no text of at most {_MAX_CURSOR} characters")
    return page, cursor


def is_complete(result: Mapping[str, Json]) -> bool:
    """False when the server wants input, or a task to be polled: capabilities never declared."""
    return result.get("resultType", "complete") == "complete"


def check_call_result(result: Mapping[str, Json]) -> None:
    """Refuse what is no CallToolResult; unknown members and content types are none of our business.

    Raises NotUnderstood.
    """
    content = result.get("content")
    if not isinstance(content, list) or not _OBJECTS.issuperset(map(type, content)):
        raise NotUnderstood("a tool result whose `content` is no list of objects")
    if not isinstance(result.get("isError", False), bool):
        raise NotUnderstood("a tool result whose `isError` is no boolean")


def header_value(text: str) -> bytes:
    """The text as a header value; in base64 where it would not survive as it is."""
    if _PLAIN_HEADER.fullmatch(text) and not _ENCODED_HEADER.fullmatch(text):
        return text.encode()
    return b"=?base64?" + base64.b64encode(text.encode()) + b"?="


def mirrored_parameters(schema: Json) -> tuple[MirroredParameter, ...]:
    """The parameters that a tool's input schema marks with `x-mcp-header`.

    Raises NotUnderstood when a mark stands where it may not, on a type that has no one spelling,
    is no token, or is used twice: such a tool is left out (2026-07-28, transports, custom headers).
    """
    if not isinstance(schema, dict) or b'"x-mcp-header"' not in dump(schema):
        return ()
    found = tuple(_marked(schema, ()))
    names = [parameter.header.lower() for parameter in found]
    if len(set(names)) != len(names) or len(names) != _count_marks(schema):
        raise NotUnderstood("an `x-mcp-header` that is used twice or stands where it may not")
    return found


def mirrored_headers(
    parameters: tuple[MirroredParameter, ...], arguments: Mapping[str, Json]
) -> bytes:
    """The `Mcp-Param-*` header lines for these arguments; an argument left out gets none."""
    lines = []
    for parameter in parameters:
        value = _value_at(arguments, parameter.path)
        if isinstance(value, bool):
            value = "true" if value else "false"
        if isinstance(value, str | int):
            spelled = header_value(str(value))
            lines.append(b"Mcp-Param-%s: %s\r\n" % (parameter.header.encode(), spelled))
    return b"".join(lines)


def _marked(schema: Mapping[str, Json], path: tuple[str, ...]) -> Iterator[MirroredParameter]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return
    for name, inner in properties.items():
        if not isinstance(inner, dict):
            continue
        if "x-mcp-header" in inner:
            yield _mark(inner, (*path, name))
        yield from _marked(inner, (*path, name))


def _mark(schema: Mapping[str, Json], path: tuple[str, ...]) -> MirroredParameter:
    header = schema["x-mcp-header"]
    if not isinstance(header, str) or not _TOKEN.fullmatch(header):
        raise NotUnderstood("an `x-mcp-header` that is no HTTP token")
    if schema.get("type") not in ("string", "integer", "boolean"):
        raise NotUnderstood("an `x-mcp-header` on a type that has no single spelling")
    return MirroredParameter(path, header)


def _count_marks(value: Json) -> int:
    """How often `x-mcp-header` stands anywhere; data that merely looks like a mark counts too."""
    if isinstance(value, list):
        return sum(map(_count_marks, value))
    if not isinstance(value, dict):
        return 0
    return ("x-mcp-header" in value) + sum(map(_count_marks, value.values()))


def _value_at(arguments: Mapping[str, Json], path: tuple[str, ...]) -> Json:
    value: Json = dict(arguments)
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value

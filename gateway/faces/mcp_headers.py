"""Headers that repeat the body: MCP 2026-07-28 mirrors method, name and marked arguments.

They exist so that proxies can route without parsing. We decide on the body alone, and refuse a
request whose headers say something else: whoever routed it was told another story.
MCP 2026-07-28, Streamable HTTP, "Standard headers" and "Custom headers from tool parameters".
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from audit.canonical import Json
from gateway.faces.http import Head
from gateway.faces.jsonrpc import HEADER_MISMATCH, Message, RpcRefused

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"

_NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_WRAPPED = b"=?base64?"
_SENTINEL = re.compile(rb"=\?base64\?(.*)\?=")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_DECIMAL = re.compile(r"(-?[0-9]+)(?:\.0+)?")
_MARK = "x-mcp-header"


@dataclass(frozen=True, slots=True)
class Mirrored:
    """An argument that a tool's schema marks with `x-mcp-header`."""

    header: bytes  # "mcp-param-…", lower case
    path: tuple[str, ...]  # through objects, to the argument


def check_routing(head: Head, message: Message, version: Json) -> None:
    """Compare version, method and name. Raises RpcRefused (-32020).

    version  what `params._meta` states
    """
    headers = head.headers
    if _text(headers.get(b"mcp-protocol-version")) != version:
        raise _mismatch("MCP-Protocol-Version does not say what the body says")
    if _text(headers.get(b"mcp-method")) != message.method:
        raise _mismatch("Mcp-Method does not say what the body says")
    named_by = _NAMED_BY.get(message.method)
    if named_by is not None and _decoded(headers.get(b"mcp-name")) != message.params.get(named_by):
        raise _mismatch(f"Mcp-Name does not say what `{named_by}` says")


def mirrored(schema: Json) -> tuple[Mirrored, ...]:
    """The arguments that a caller of the tool with this input schema repeats in headers.

    Marks count on properties that are reached through `properties` alone; a schema with a mark
    that is no header name, or with one name twice, has none: conforming clients drop such a tool.
    """
    found = tuple(_marks(schema, ()))
    names = [one.header for one in found]
    valid = len(set(names)) == len(names) and all(names)
    return found if valid else ()


def check_parameters(
    marks: tuple[Mirrored, ...], arguments: Mapping[str, Json], head: Head
) -> None:
    """Compare each `Mcp-Param-*` header with its argument: both and equal, or neither.

    Raises RpcRefused (-32020).
    """
    for mark in marks:
        sent = head.all(mark.header)
        shown = _shown(_argument(arguments, mark.path))
        agreed = _agree(_decoded(sent[0]), shown) if len(sent) == 1 else not sent and shown is None
        if not agreed:
            raise _mismatch(f"{mark.header.decode()} does not say what the arguments say")


def _marks(schema: Json, path: tuple[str, ...]) -> Iterator[Mirrored]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return
    for name, inner in properties.items():
        if isinstance(inner, dict) and _MARK in inner:
            yield Mirrored(_header(inner[_MARK]), (*path, name))
        yield from _marks(inner, (*path, name))


def _header(mark: Json) -> bytes:
    if not isinstance(mark, str) or not _TOKEN.fullmatch(mark):
        return b""
    return b"mcp-param-" + mark.lower().encode()


def _argument(arguments: Mapping[str, Json], path: tuple[str, ...]) -> Json:
    value: Json = dict(arguments)
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _shown(value: Json) -> str | None:
    """A value as clients write it into a header; None when it has no such form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def _agree(sent: str | None, shown: str | None) -> bool:
    if shown is None or sent == shown:
        return sent == shown
    # 60.0 was read as 60: a client that kept the fraction says the same number.
    number = _DECIMAL.fullmatch(sent or "")
    return number is not None and number[1] == shown


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _decoded(value: bytes | None) -> str | None:
    """A header's text; what HTTP cannot carry comes as `=?base64?…?=`, in canonical form."""
    if value is None or not value.startswith(_WRAPPED):
        return _text(value)
    wrapped = _SENTINEL.fullmatch(value)
    if wrapped is None:
        return _text(value)
    try:
        raw = base64.b64decode(wrapped[1], validate=True)
        return raw.decode() if base64.b64encode(raw) == wrapped[1] else None
    except (binascii.Error, UnicodeDecodeError):
        return None


def _mismatch(message: str) -> RpcRefused:
    return RpcRefused(HEADER_MISMATCH, message, code="request.mismatch")

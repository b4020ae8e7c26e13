"""Frames: the messages of a stdio client, one JSON object a line, read strictly (MCP, stdio)."""

from dataclasses import dataclass

from audit.canonical import Json
from gateway.errors import NotUnderstood
from gateway.links import jsonrpc

MAX_BYTES = 4 << 20
"""Longest message in either direction, as long as the gateway takes."""

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
FAILED = -32603

Id = str | int


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of the client.

    raw     as it came, without its line end
    id      None: a notification
    params  {} where there are none
    """

    raw: bytes
    method: str
    id: Id | None
    params: dict[str, Json]


class Unreadable(Exception):
    """A line is no message; `number` and `id` are for the answer."""

    def __init__(self, number: int, message: str, id: Id | None = None) -> None:  # noqa: A002 - JSON-RPC's word
        super().__init__(message)
        self.number, self.id = number, id


def read(line: bytes) -> Frame | None:
    """The message of one line; None for an answer, since nothing was asked of the client.

    Raises Unreadable.
    """
    try:
        value = jsonrpc.read(line, max_bytes=MAX_BYTES)
    except NotUnderstood as error:
        raise Unreadable(PARSE_ERROR, str(error)) from None
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        raise Unreadable(INVALID_REQUEST, "expected one JSON-RPC 2.0 message a line")
    if "method" not in value and ("result" in value or "error" in value):
        return None
    method, number, params = value.get("method"), value.get("id"), value.get("params", {})
    if number is not None and (isinstance(number, bool) or not isinstance(number, str | int)):
        raise Unreadable(INVALID_REQUEST, "`id` must be a text or an integer")
    if not isinstance(method, str) or not isinstance(params, dict):
        raise Unreadable(INVALID_REQUEST, "expected a method, and parameters by name", number)
    return Frame(line, method, number, params)


def answer(raw: bytes, asked: Id) -> bytes:
    """The line for an answer of the gateway to request `asked`. Raises NotUnderstood."""
    value = jsonrpc.read(raw, max_bytes=MAX_BYTES)
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0" or value.get("id") != asked:
        raise NotUnderstood("no answer to this request")
    if ("result" in value) == ("error" in value):
        raise NotUnderstood("neither a result nor an error")
    return jsonrpc.dump(value) + b"\n"


def failure(asked: Id | None, number: int, message: str, code: str | None = None) -> bytes:
    """The line for a request that was not answered."""
    error: dict[str, Json] = {"code": number, "message": message}
    if code is not None:
        error["data"] = {"code": code}
    return jsonrpc.dump({"jsonrpc": "2.0", "id": asked, "error": error}) + b"\n"

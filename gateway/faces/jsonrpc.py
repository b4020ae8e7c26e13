"""JSON-RPC 2.0 as agents speak it to us: one message read, one answer written.

Reading is strict and done once; what a `Message` holds is what the gate decides on. Batches,
members that JSON-RPC does not have, and answers to questions we never ask are refused.
"""

from typing import TypeAlias

from audit.canonical import Json, read
from audit.errors import NotStrict
from audit.value import value_type
from gateway.errors import RequestRefused
from gateway.faces.http import EdgeRules
from gateway.links.jsonrpc import dump

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
HEADER_MISMATCH = -32020
UNSUPPORTED_VERSION = -32022

MAX_METHOD = 128
MAX_ID = 256

Id: TypeAlias = "str | int | None"

_MEMBERS = frozenset({"jsonrpc", "id", "method", "params"})


@value_type
class Message:
    """One request, or a notification when `id` is None."""

    method: str
    id: Id
    params: dict[str, Json]


class RpcRefused(RequestRefused):
    """A message that is answered with a JSON-RPC error.

    number  the JSON-RPC error code
    data    further members of `error.data`, beside our `code`
    id      of the message, where it could be read
    """

    id: Id = None

    def __init__(
        self,
        number: int,
        message: str,
        *,
        code: str = "request.malformed",
        data: dict[str, Json] | None = None,
    ) -> None:
        super().__init__(code, message)
        self.number, self.data = number, data or {}


def read_message(raw: bytes, rules: EdgeRules) -> Message:
    """Read one message. Raises RpcRefused."""
    try:
        value = read(raw, max_bytes=rules.max_body, max_depth=rules.max_depth)
    except NotStrict as error:
        raise RpcRefused(PARSE_ERROR, str(error), code=f"request.{error.code}") from None
    if not isinstance(value, dict):
        raise _invalid("one JSON-RPC message per request; batches are not taken")
    if value.get("jsonrpc") != "2.0" or not value.keys() <= _MEMBERS:
        raise _invalid("not a JSON-RPC 2.0 request or notification")
    method, number, params = value.get("method"), _read_id(value), value.get("params", {})
    if not isinstance(method, str) or not 0 < len(method) <= MAX_METHOD:
        raise _invalid(f"`method` must be a text of 1 to {MAX_METHOD} characters", number)
    if not isinstance(params, dict):
        refused = RpcRefused(INVALID_PARAMS, "`params` must be an object")
        refused.id = number
        raise refused
    return Message(method, number, params)


def unknown_method() -> RpcRefused:
    """Not offered here: everything but tools."""
    return RpcRefused(METHOD_NOT_FOUND, "Method not found", code="request.unknown_method")


def as_rpc(refused: RequestRefused) -> RpcRefused:
    """A refusal of the HTTP edge, said in JSON-RPC."""
    if isinstance(refused, RpcRefused):
        return refused
    return RpcRefused(INVALID_REQUEST, str(refused), code=refused.code)


def result(number: Id, value: dict[str, Json]) -> bytes:
    """The answer to request `number`."""
    return dump({"jsonrpc": "2.0", "id": number, "result": value})


def error(refused: RpcRefused) -> bytes:
    """The refusal of a request."""
    data: dict[str, Json] = {"code": refused.code, **refused.data}
    fault: dict[str, Json] = {"code": refused.number, "message": str(refused), "data": data}
    return dump({"jsonrpc": "2.0", "id": refused.id, "error": fault})


def _read_id(value: dict[str, Json]) -> Id:
    if "id" not in value:
        return None
    number = value["id"]
    if type(number) is int or (isinstance(number, str) and len(number) <= MAX_ID):
        return number
    raise _invalid(f"`id` must be an integer or a text of at most {MAX_ID} characters")


def _invalid(message: str, number: Id = None) -> RpcRefused:
    refused = RpcRefused(INVALID_REQUEST, message)
    refused.id = number
    return refused

"""JSON-RPC 2.0 as the caller speaks it: over raw values, without I/O.

What an upstream says is read once, strictly, and kept equal as JSON: integers of any size, floats
as doubles, every member. `Connection` keeps the ids of one connection; the bytes go through a link.
"""

import json
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, TypeAlias

import orjson

from audit import canonical
from audit.canonical import Json
from audit.value import value_type
from gateway.errors import NotUnderstood

MAX_DEPTH = 64
METHOD_NOT_FOUND = -32601

_MAX_ABANDONED = 1024
_MAX_ID = 256
# An unterminated text ends with the input: every byte is looked at once, whatever is sent.
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKET = bytes(byte for byte in range(256) if byte not in b"[]{}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


@value_type
class Answer:
    """The result of request `id`."""

    id: int
    result: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Failure:
    """The server refused request `id` (None: it could not tell which). `message` is untrusted."""

    id: int | None
    code: int
    message: str
    data: Json


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the server says without being asked."""

    method: str


@dataclass(frozen=True, slots=True)
class Question:
    """A request by the server: sampling, elicitation, roots, ping."""

    id: str | int
    method: str


Message: TypeAlias = Answer | Failure | Notice | Question


class Connection:
    """The ids of one connection: which requests were made, and what comes back for them."""

    def __init__(self) -> None:
        self._last = 0
        self._waiting: set[int] = set()
        self._abandoned: dict[int, None] = {}

    def request(self, method: str, params: bytes) -> tuple[int, bytes]:
        """Take the next id; the id and the bytes of the request with `params`, itself JSON."""
        self._last += 1
        self._waiting.add(self._last)
        return self._last, request(self._last, method, params)

    def abandon(self, number: int) -> None:
        """Wait no longer for the answer to request `number`; should it come, it is dropped."""
        if number in self._waiting:
            self._waiting.remove(number)
            self._abandoned[number] = None
            if len(self._abandoned) > _MAX_ABANDONED:
                del self._abandoned[next(iter(self._abandoned))]

    def receive(self, raw: bytes, *, max_bytes: int) -> Message | None:
        """One message of the server; None for an answer that nobody waits for any more.

        Raises NotUnderstood, also for an answer that was not asked for or is given twice.
        """
        message = parse(raw, max_bytes=max_bytes)
        if isinstance(message, Notice | Question):
            return message
        if message.id is None:
            raise NotUnderstood("an error that names no request")
        if message.id in self._waiting:
            self._waiting.remove(message.id)
            return message
        if message.id in self._abandoned:
            del self._abandoned[message.id]
            return None
        raise NotUnderstood("an answer to no request, or a second one to the same")


def request(number: int, method: str, params: bytes) -> bytes:
    """The bytes of a request; `params` is JSON and goes in as it is."""
    return b'{"jsonrpc":"2.0","id":%d,"method":"%s","params":%s}' % (
        number,
        method.encode(),
        params,
    )


def notification(method: str, params: bytes = b"{}") -> bytes:
    """The bytes of a notification; `params` is JSON and goes in as it is."""
    return b'{"jsonrpc":"2.0","method":"%s","params":%s}' % (method.encode(), params)


def reply(question: Question) -> bytes:
    """What a server's own request gets: `ping` an empty result, all else `method not found`.

    No capability was declared, so nothing else may be asked of us.
    """
    if question.method == "ping":
        return dump({"jsonrpc": "2.0", "id": question.id, "result": {}})
    error: Json = {"code": METHOD_NOT_FOUND, "message": "Method not found"}
    return dump({"jsonrpc": "2.0", "id": question.id, "error": error})


def parse(raw: bytes, *, max_bytes: int) -> Message:
    """Read one message. Raises NotUnderstood; a batch is none."""
    body = read(raw, max_bytes=max_bytes)
    if not isinstance(body, dict) or body.get("jsonrpc") != "2.0":
        raise NotUnderstood("not a JSON-RPC 2.0 message")
    if "method" in body:
        return _said_by_server(body)
    number = body.get("id")
    if ("result" in body) == ("error" in body):
        raise NotUnderstood("neither a result nor an error, or both")
    if "error" in body:
        return _failure(number, body["error"])
    result = body["result"]
    if type(number) is not int or not isinstance(result, dict):
        raise NotUnderstood("a result that is no object, or without the id of a request")
    return Answer(number, result)


def read(raw: bytes, *, max_bytes: int, max_depth: int = MAX_DEPTH) -> Json:
    """Parse what an upstream sent; numbers and members stay what they are.

    Raises NotUnderstood for more than `max_bytes`, deeper nesting, invalid UTF-8, duplicate keys,
    NaN and infinities, lone surrogates, integers of more than 4300 digits, and broken JSON.
    """
    if len(raw) > max_bytes:
        raise NotUnderstood(f"more than {max_bytes} bytes")
    if raw.count(b"[") + raw.count(b"{") > max_depth:
        _check_depth(raw, max_depth)
    if (quick := canonical.read_back(raw)) is not None:
        return quick
    try:
        value: Json = _decoder.decode(raw.decode())
    except ValueError:  # of the parser, the decoding, and integers of absurd length
        raise NotUnderstood("not strict JSON") from None
    if _SURROGATE.search(raw):
        _check_surrogates(value)
    return value


def dump(value: Json) -> bytes:
    """The JSON text of a value that `read` returned, integers beyond 64 bits included."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def dump_sorted(value: Json) -> bytes:
    """The same with members in the order of their code points, at every depth."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        compact = (",", ":")
        return json.dumps(value, ensure_ascii=False, separators=compact, sort_keys=True).encode()


def _said_by_server(body: dict[str, Json]) -> Notice | Question:
    method, number = body["method"], body.get("id")
    if not isinstance(method, str) or "result" in body or "error" in body:
        raise NotUnderstood("a method that is no text, or with a result")
    if "id" not in body:
        return Notice(method)
    if type(number) is int or (isinstance(number, str) and len(number) <= _MAX_ID):
        return Question(number, method)
    raise NotUnderstood("a request whose id is neither integer nor short text")


def _failure(number: Json, error: Json) -> Failure:
    if number is not None and type(number) is not int:
        raise NotUnderstood("an error without the id of a request")
    if not isinstance(error, dict):
        raise NotUnderstood("an error that is no object")
    code, message = error.get("code"), error.get("message")
    if type(code) is not int or not isinstance(message, str):
        raise NotUnderstood("an error without code or message")
    return Failure(number, code, message, error.get("data"))


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotUnderstood("an object has the same key twice")
    return members


def _constant(name: str) -> Any:  # noqa: ANN401 - the decoder's own signature
    raise NotUnderstood(f"{name} is not a JSON number")


def _float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise NotUnderstood("a number is not finite as a double")
    return number


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)


def _check_depth(raw: bytes, max_depth: int) -> None:
    """Sum +1 and -1 over the brackets outside texts; before parsing, since the parser recurses."""
    steps = _STRINGS.sub(b"", raw).translate(_STEPS, _NO_BRACKET)
    if max(accumulate(memoryview(steps).cast("b")), default=0) > max_depth:
        raise NotUnderstood(f"nested deeper than {max_depth}")


def _check_surrogates(value: Json) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise NotUnderstood("a text holds a lone surrogate") from None

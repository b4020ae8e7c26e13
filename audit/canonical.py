"""Strict reading and canonical writing of JSON: the one home of both.

Accepted is I-JSON (RFC 7493) with integers kept exact: every text has one value, and every value
one text, so that what was decided on, recorded and forwarded are the same bytes. Written form is
that of RFC 8785 for ASCII keys and integers; other keys are ordered by code point, and numbers
with a fraction are shortest doubles in the writer's own spelling.
"""

import math
import re
from collections.abc import Callable, Mapping
from json.decoder import JSONDecodeError, JSONDecoder
from typing import Any, TypeAlias

import orjson

from audit.errors import NotStrict

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MAX_SAFE = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 7493, section 2.2)."""

MAX_DEPTH = 64
"""Nesting of lists and objects; an object within an object is 2 deep. Writing allows 254."""

MAX_VALUES = 100_000
"""Values in one text, each list, object, item and member: two bytes of text can become a hundred
of memory, and a step in every pass over the value.
"""

_WHITESPACE = " \t\n\r"  # RFC 8259, section 2; str.strip() alone would take more
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
# The closing quote may be missing, so that no text is gone through twice.
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_WRITE_OPTIONS = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER  # +-MAX_SAFE
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)


def read(raw: bytes, *, max_bytes: int, max_depth: int = MAX_DEPTH) -> Json:
    """Parse one JSON text strictly; whole numbers become integers (`60.0` is 60, `-0.0` is 0).

    max_bytes  longest accepted text
    max_depth  deepest accepted nesting

    Raises NotStrict: `too_large` (also for more than MAX_VALUES values), `too_deep`, or `malformed`
    for invalid UTF-8, a byte order mark, duplicate keys, NaN, infinities (also `1e400`), integers
    beyond +-MAX_SAFE, lone surrogates, trailing data, and whatever else RFC 8259 refuses.
    """
    if len(raw) > max_bytes:
        raise NotStrict("too_large", f"{len(raw)} bytes, at most {max_bytes} are accepted")
    if len(raw) > MAX_VALUES:
        _check_count(raw, max_depth)
    quick = read_back(raw, orjson.OPT_STRICT_INTEGER)
    if type(quick) is dict and _is_plain(quick, max_depth):
        return quick
    return _read_strictly(raw, max_depth)


def read_back(raw: bytes, options: int = 0) -> Json:
    """The value of a text that orjson, with these options, writes back byte for byte; else None.

    In such a text the parser can have lost nothing: no second key, no integer beyond 64 bits, or
    beyond +-MAX_SAFE with OPT_STRICT_INTEGER, no sign of a zero but in a fraction. It takes a
    third of the time of a strict parser, and most texts of programs are like that.
    """
    try:
        value: Json = orjson.loads(raw)
        return value if orjson.dumps(value, option=options) == raw else None
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None


def write(value: Json) -> bytes:
    """The canonical bytes of a value, as `read` or `normalise` return them.

    Raises NotStrict for anything these could not have returned: integers beyond +-MAX_SAFE, floats
    that are whole or not finite, lone surrogates, other types.
    """
    raw = _encode(value)  # first: it also ends on a value that contains itself
    _check_types(value)
    return raw


def normalise(value: object, *, max_depth: int = MAX_DEPTH) -> Json:
    """A copy of an already parsed value (YAML, a command line) under the rules of `read`.

    Raises NotStrict; tuples are taken as lists.
    """
    if isinstance(value, str):
        _check_text(value)
        return value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _bounded(value)
    if isinstance(value, float):
        return _number(value)
    if max_depth < 1:
        raise _too_deep(max_depth)
    if isinstance(value, Mapping):
        return {_key(key): normalise(item, max_depth=max_depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [normalise(item, max_depth=max_depth - 1) for item in value]
    raise NotStrict("malformed", f"{type(value).__name__} is not a JSON type")


def _is_plain(part: Any, levels: int) -> bool:  # noqa: ANN401 - whatever a list or object holds
    """Whether orjson takes everything in a list or object as this reader does: there is no number
    with a fraction or an exponent, and nothing is nested deeper than `levels`.
    """
    if levels < 1:
        return False
    for value in part.values() if type(part) is dict else part:
        kind = type(value)
        if kind is float or ((kind is dict or kind is list) and not _is_plain(value, levels - 1)):
            return False
    return True


def _read_strictly(raw: bytes, max_depth: int) -> Json:
    try:
        # A byte order mark is no JSON character: the parser refuses it.
        text = raw.decode().strip(_WHITESPACE)
        value, end = _scan(text, 0)
    except UnicodeDecodeError as error:
        raise NotStrict("malformed", f"not UTF-8 at byte {error.start}") from None
    except JSONDecodeError as error:
        raise NotStrict("malformed", f"not JSON at character {error.pos}") from None
    except StopIteration as error:
        raise NotStrict("malformed", f"not JSON at character {error.value}") from None
    except RecursionError:
        raise _too_deep(max_depth) from None
    if end != len(text):
        raise NotStrict("malformed", f"data after the value, at character {end}")
    if text.count("[") + text.count("{") > max_depth:
        _check_depth(value, max_depth)
    if "\\u" in text and _SURROGATE_ESCAPE.search(text):
        _encode(value)
    return value


def _check_count(raw: bytes, max_depth: int) -> None:
    """Count what begins a value in a text that is not parsed yet."""
    if raw.count(b",") + _opened(raw) <= MAX_VALUES:
        return
    signs = _TEXT.sub(b"", raw)
    commas, opened = signs.count(b","), _opened(signs)
    if opened > max_depth * (commas + 1):  # no other way to open so many with so few commas
        raise _too_deep(max_depth)
    if commas + opened > MAX_VALUES:
        raise NotStrict("too_large", f"more than {MAX_VALUES} values")


def _opened(raw: bytes) -> int:
    return raw.count(b"[") + raw.count(b"{")


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotStrict("malformed", "an object has the same key twice")
    return members


def _read_int(digits: str) -> int:
    if len(digits) > 17:  # before int(), whose cost grows with the square of the length
        raise _beyond()
    return _bounded(int(digits))


def _read_float(digits: str) -> int | float:
    return _number(float(digits))


def _read_constant(name: str) -> Json:
    raise NotStrict("malformed", f"{name} is not a JSON number")


_decoder = JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_read_int,
    parse_float=_read_float,
    parse_constant=_read_constant,
)
# The scanner itself: `decode` would look for white space twice more.
_scan: Callable[[str, int], tuple[Json, int]] = _decoder.scan_once  # type: ignore[attr-defined]


def _bounded(number: int) -> int:
    if -MAX_SAFE <= number <= MAX_SAFE:
        return number
    raise _beyond()


def _number(number: float) -> int | float:
    if not math.isfinite(number):
        raise NotStrict("malformed", "a number is not finite as a double")
    return _bounded(int(number)) if number.is_integer() else number


def _check_depth(value: Json, max_depth: int) -> None:
    level = _containers([value])
    for _ in range(max_depth):
        level = [inner for part in level for inner in _containers(part)]
    if level:
        raise _too_deep(max_depth)


def _containers(part: list[Json] | dict[str, Json]) -> list[list[Json] | dict[str, Json]]:
    items = part.values() if isinstance(part, dict) else part
    return [item for item in items if isinstance(item, dict | list)]


_PLAIN = frozenset({str, int, bool, type(None)})


def _check_types(value: Json) -> None:
    pending: list[Any] = [value]
    for part in pending:  # grows while it is walked: no call per value
        kind = type(part)
        if kind is dict:
            pending += [item for item in part.values() if type(item) not in _PLAIN]
        elif kind is list:
            pending += [item for item in part if type(item) not in _PLAIN]
        elif kind is float:
            _check_float(part)
        elif kind not in _PLAIN:
            raise NotStrict("malformed", f"{kind.__name__} is not a JSON type")


def _check_float(number: float) -> None:
    if not math.isfinite(number) or number.is_integer():
        raise NotStrict("malformed", "a float that is whole or not finite")


def _encode(value: Json) -> bytes:
    try:
        return orjson.dumps(value, option=_WRITE_OPTIONS)
    except orjson.JSONEncodeError as error:
        raise NotStrict("malformed", f"not a JSON value: {error}") from None


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise NotStrict("malformed", f"an object has a key of type {type(key).__name__}")
    _check_text(key)
    return key


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotStrict("malformed", "a text holds a lone surrogate") from None


def _beyond() -> NotStrict:
    return NotStrict("malformed", f"an integer is beyond +-{MAX_SAFE}")


def _too_deep(max_depth: int) -> NotStrict:
    return NotStrict("too_deep", f"nested deeper than {max_depth}")

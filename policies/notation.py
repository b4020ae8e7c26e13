"""Notation: how names, tools, durations, rates and paths are spelled in policy files.

Each spelling is one type with one accepted form, a bound, and a sentence that says what was
expected; the same object writes the pattern into the JSON Schema that editors complete from.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from audit.canonical import Json, normalise
from audit.errors import NotStrict

T = TypeVar("T")
K = TypeVar("K")

ANY = "*"
"""Every agent, or every tool. Only what denies may say it."""


def refuse(code: str, message: str, *, field: str | None = None) -> PydanticCustomError:
    """The error a validator raises: `field` is the member to point at inside a model."""
    context = {"text": message, "field": field}
    return PydanticCustomError(code, "{text}", context)


@dataclass(frozen=True, slots=True)
class Spelling:
    """One accepted form of a text; stands in `Annotated[str, Spelling(...)]`."""

    pattern: str
    expected: str
    code: str = "policy.spelling"

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        form = re.compile(self.pattern)

        def check(text: str) -> str:
            if form.fullmatch(text):
                return text
            raise refuse(self.code, f"found {text[:80]!r}, expected {self.expected}")

        return core_schema.no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            **handler(schema),
            "pattern": f"^(?:{self.pattern})$",
            "description": self.expected,
        }


_SERVER = r"[a-z][a-z0-9-]{0,19}"
_NAME = r"(?=.{1,64}$)[a-z][a-z0-9]*(-[a-z0-9]+)*"
NAME = re.compile(_NAME)
_MEMBER = r"[A-Za-z_][A-Za-z0-9_]{0,63}"

Name = Annotated[
    str,
    Spelling(
        _NAME,
        "a name of at most 64 lower-case letters, digits and single hyphens, as 'pay-small'",
        "policy.name",
    ),
]
AnyOrName = Annotated[
    str,
    Spelling(
        rf"\*|{_NAME}",
        "a name in lower-case letters, digits and single hyphens, or '*' for all",
        "policy.name",
    ),
]
Label = Annotated[
    str,
    Spelling(r"[a-z][a-z0-9_-]{0,63}", "a label in lower-case letters, as 'untrusted'"),
]
ToolName = Annotated[
    str,
    Spelling(
        rf"{_SERVER}\.[A-Za-z0-9_./-]{{1,128}}", "a tool as 'server.tool'", "policy.tool-name"
    ),
]
ToolPattern = Annotated[
    str,
    Spelling(
        rf"\*|{_SERVER}\.(\*|[A-Za-z0-9_./-]{{1,128}}\*?)",
        "a tool as 'server.tool', 'server.*', 'server.prefix*', or '*'",
        "policy.tool-name",
    ),
]
UserName = Annotated[
    str,
    Spelling(r"[!-~]{1,255}", "the name of a user in visible ASCII characters, without spaces"),
]
GroupSource = Annotated[
    str, Spelling(r"oidc:group/[!-~]{1,200}", "a group of the identity provider: 'oidc:group/NAME'")
]
ArgumentName = Annotated[str, Spelling(_MEMBER, "the name of an argument, as 'customer_id'")]
ValuePath = Annotated[
    str,
    Spelling(
        rf"(args|result)(\.{_MEMBER}){{1,8}}",
        "a value of the call or of its result, as 'args.id' or 'result.id'",
    ),
]
ResultPart = Annotated[
    str,
    Spelling(
        rf"{_MEMBER}(\[\])?(\.{_MEMBER}(\[\])?){{0,7}}",
        "a part of the result, as 'title' or 'rows[].note'",
    ),
]
ResultMember = Annotated[
    str,
    Spelling(rf"{_MEMBER}(\.{_MEMBER}){{0,7}}", "one member of the result, as 'invoice.total'"),
]
ConditionText = Annotated[
    str, Field(min_length=1, max_length=2000, description="a condition, as 'args.amount <= 100'")
]


def _shows(text: str) -> str:
    """An escape may write what the file may not hold: it would reach terminals and pages."""
    if all(line.isprintable() for line in text.split("\n")):
        return text
    raise refuse("policy.hidden-character", f"found {text[:80]!a}, expected text that shows")


Sentence = Annotated[
    str,
    Spelling(r"(?=\s*\S)[\s\S]{1,500}", "a sentence for a person, of at most 500 characters"),
    AfterValidator(_shows),
]
"""Prose: one or more characters, all of which show."""
FileName = Annotated[
    str, Spelling(r"[^\x00-\x1f]{1,400}", "the name of a file"), AfterValidator(_shows)
]


@dataclass(frozen=True, slots=True)
class NotEmpty:
    """Refuses an empty list or mapping: nothing is ever granted or demanded by one."""

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def check(items: Sized) -> Sized:
            if items:
                return items
            raise refuse("policy.empty", "found nothing in it, expected at least one")

        # After the items: `min_length` would count those that were refused as missing.
        return core_schema.no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        inner = handler(schema)
        if inner["type"] == "array":
            return {**inner, "minItems": 1}
        # Names that do not fit the pattern are refused, not let pass unread.
        return {**inner, "minProperties": 1, "additionalProperties": False}


def _different(items: tuple[T, ...]) -> tuple[T, ...]:
    """Names only: what else stands in lists has an id of its own, or may well be repeated."""
    names = Counter(item for item in items if isinstance(item, str))
    for name, count in names.items():
        if count > 1:
            raise refuse("policy.twice", f"{name!r} is listed twice")
    return items


# `Strict(False)` lets a YAML list become a tuple; the items stay as strict as the model is.
Several = Annotated[tuple[T, ...], Strict(strict=False), AfterValidator(_different)]
"""A list, possibly empty, in which no name is repeated."""
Some = Annotated[tuple[T, ...], Strict(strict=False), NotEmpty(), AfterValidator(_different)]
"""A list with at least one item, in which no name is repeated."""
Block = Annotated[dict[K, T], NotEmpty()]
"""A mapping from names, with at least one."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often: `count` in every `per_s` seconds."""

    count: int
    per_s: int


_SECONDS: Mapping[str, int] = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "day": 86400}
_DURATION = r"([1-9][0-9]{0,5})(s|m|h|d)"
_RATE = r"([1-9][0-9]{0,8})/(s|min|h|day)"
_LONGEST_S = 366 * 86400


def _read_duration(text: object) -> int:
    match = re.fullmatch(_DURATION, text) if isinstance(text, str) else None
    if match is None:
        raise refuse(
            "policy.duration", f"found {shown(text)}, expected a duration as '30m' or '4h'"
        )
    seconds = int(match[1]) * _SECONDS[match[2]]
    if seconds > _LONGEST_S:
        raise refuse("policy.duration", f"found {text!r}, expected at most 366 days")
    return seconds


def _read_rate(text: object) -> Rate:
    match = re.fullmatch(_RATE, text) if isinstance(text, str) else None
    if match is None:
        raise refuse("policy.rate", f"found {shown(text)}, expected a rate as '60/min' or '5/day'")
    return Rate(int(match[1]), _SECONDS[match[2]])


def _read_date(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise refuse("policy.date", f"found {shown(value)}, expected a day as 2027-03-31, unquoted")


def _read_moment(value: object) -> int:
    if isinstance(value, datetime):
        moment = value if value.tzinfo else None
    elif isinstance(value, date):
        moment = datetime(value.year, value.month, value.day, tzinfo=UTC)
    else:
        moment = None
    if moment is None:
        raise refuse(
            "policy.date",
            f"found {shown(value)}, expected 2027-03-31 or 2027-03-31T10:00:00Z, unquoted",
        )
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def _read_json(value: dict[str, Any]) -> Json:
    try:
        return normalise(value)
    except NotStrict as error:
        raise refuse("policy.value", f"{error}: a value as in JSON was expected") from None


Duration = Annotated[
    int,
    BeforeValidator(_read_duration),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION}$", "examples": ["30m"]}),
]
"""Seconds, written `30m`."""
Frequency = Annotated[
    Rate,
    BeforeValidator(_read_rate),
    WithJsonSchema({"type": "string", "pattern": f"^{_RATE}$", "examples": ["60/min"]}),
]
"""A `Rate`, written `60/min`."""
Day = Annotated[
    date, BeforeValidator(_read_date), WithJsonSchema({"type": "string", "format": "date"})
]
"""A calendar day, in UTC."""
Moment = Annotated[
    int, BeforeValidator(_read_moment), WithJsonSchema({"type": "string", "format": "date-time"})
]
"""Microseconds since the epoch, written as a date or a time with its offset."""
JsonObject = Annotated[dict[str, Any], AfterValidator(_read_json)]
"""Arguments of a call, by the same rules as when they come over the wire."""


def shown(value: object) -> str:
    """A value as an error message names it: short, and in the file's own words."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case datetime():
            return "a time"
        case date():
            return f"the date {value.isoformat()}"
        case _:
            return repr(value)[:82]


def shape(**choices: type) -> Callable[[object], str | None]:
    """A discriminator that tells alternatives apart by their YAML shape, so that an error speaks
    of the one that was written and not of all.
    """

    def tag(value: object) -> str | None:
        return next(
            (f"<{name}>" for name, kind in choices.items() if isinstance(value, kind)), None
        )

    return tag


def tool_matches(pattern: str, tool: str) -> bool:
    """Whether a pattern (exact, `server.*`, `server.prefix*` or `*`) covers a tool."""
    if pattern.endswith(ANY):
        return tool.startswith(pattern[:-1])
    return tool == pattern

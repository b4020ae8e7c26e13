"""Queries: what an auditor types to find entries.

    kind:decision agent:clerk tool:ledger.* after:2026-11-20 "refund of 40"

A term is `name:value` or a word; values and words with spaces or colons stand in double quotes. All
terms must hold, but of several with one name any. A value is compared exactly, or up to a final
`*`; a word is found anywhere, whatever its case. `after:` and `before:` take a day, a moment
(ISO 8601, UTC when no offset is given) or an age such as `90s`, `30m`, `2h`, `7d`; the moment
itself belongs to `after`.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Self, TypeAlias

from audit.errors import QueryInvalid

Column: TypeAlias = Callable[[dict[str, Any]], str | Sequence[str] | None]
"""What a qualifier means: the value, or values, that it is compared with in an entry's body."""

BUILT_IN: Mapping[str, Column] = {
    "kind": lambda body: body["kind"],
    "id": lambda body: body["id"],
    "boot": lambda body: body["boot"],
}

_MOST_CHARACTERS = 1000
_MOST_TERMS = 32
_TERM = re.compile(
    r'(?:(?P<name>\w+):)?(?:"(?P<quoted>[^"]*)"(?=\s|$)|(?P<plain>[^\s"]+))(?:\s+|$)'
)
_AGE = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[smhd])", re.ASCII)
_UNITS_US = {"s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
_TIMES = ("after", "before")


@dataclass(frozen=True, slots=True)
class Term:
    """A qualifier and the value it must have, or begin with."""

    name: str
    value: str
    is_prefix: bool

    def holds(self, found: str | Sequence[str] | None) -> bool:
        """Whether a column's value, or one of its values, is the one looked for."""
        values = (found,) if isinstance(found, str) else found or ()
        if self.is_prefix:
            return any(value.startswith(self.value) for value in values)
        return self.value in values


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query; times in microseconds since 1970, `after` included, `before` not."""

    terms: tuple[Term, ...] = ()
    words: tuple[str, ...] = ()
    after: int | None = None
    before: int | None = None

    @classmethod
    def parse(cls, text: str, *, names: Collection[str], now: int) -> Self:
        """Read what was typed.

        names  the qualifiers there are, beside `after` and `before`
        now    microseconds since 1970; ages count back from it

        Raises QueryInvalid.
        """
        if len(text) > _MOST_CHARACTERS:
            raise QueryInvalid(f"longer than {_MOST_CHARACTERS} characters", term="")
        terms: list[Term] = []
        words: list[str] = []
        times: dict[str, int] = {}
        for name, value, is_quoted in _split(text):
            if name is None:
                words.append(_searchable(value))
            elif name in _TIMES:
                times[name] = _read_time(name, value, now)
            elif name in names:
                terms.append(_read_term(name, value, is_quoted=is_quoted))
            else:
                raise _unknown(name, [*names, *_TIMES])
        return cls(tuple(terms), tuple(words), times.get("after"), times.get("before"))

    def matches(self, body: dict[str, Any], columns: Mapping[str, Column]) -> bool:
        """Whether an entry has what the qualifiers ask for; words and times are not looked at."""
        for name in {term.name for term in self.terms}:
            found = columns[name](body)
            if not any(term.holds(found) for term in self.terms if term.name == name):
                return False
        return True


def _split(text: str) -> list[tuple[str | None, str, bool]]:
    """Cut into (name, value, whether it was quoted)."""
    found: list[tuple[str | None, str, bool]] = []
    text = text.strip()
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if not match:
            raise QueryInvalid(
                "a quotation mark is not closed, or stands in a word", term=text[at:]
            )
        quoted = match["quoted"]
        found.append(
            (match["name"], match["plain"] if quoted is None else quoted, quoted is not None)
        )
        at = match.end()
    if len(found) > _MOST_TERMS:
        raise QueryInvalid(f"more than {_MOST_TERMS} terms", term="")
    return found


def _read_term(name: str, value: str, *, is_quoted: bool) -> Term:
    is_prefix = value.endswith("*") and not is_quoted
    stem = value[:-1] if is_prefix else value
    return Term(name, _searchable(stem, term=f"{name}:{value}"), is_prefix)


def _searchable(value: str, *, term: str | None = None) -> str:
    if not any(character.isalnum() for character in value):
        raise QueryInvalid("needs a letter or a digit to look for", term=term or value)
    return value


def _read_time(name: str, value: str, now: int) -> int:
    age = _AGE.fullmatch(value)
    if age:
        return now - int(age["count"]) * _UNITS_US[age["unit"]]
    try:
        moment = datetime.fromisoformat(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 10**6)
    except (ValueError, OverflowError):
        raise QueryInvalid(
            "expected a day (2026-11-20), a moment (2026-11-20T09:30) or an age (2h)",
            term=f"{name}:{value}",
        ) from None


def _unknown(name: str, known: list[str]) -> QueryInvalid:
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}:" if near else f"there are {', '.join(sorted(known))}"
    return QueryInvalid(f"no qualifier {name}: ({hint}); quote it to search for it", term=name)

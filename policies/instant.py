"""Moments and spans of time in microseconds, as conditions write them, and the ends of days."""

import re
from datetime import UTC, date, datetime, timedelta, timezone

from policies.errors import ConditionFailed

# RFC 3339, section 5.6, with capital letters and at most microseconds.
_TIMESTAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.([0-9]{1,6}))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_DURATION = re.compile(r"-?(?:[0-9]{1,12}(?:\.[0-9]{1,6})?(?:h|ms|m|s|us))+")
_STEP = re.compile(r"([0-9]+)(?:\.([0-9]+))?(h|ms|m|s|us)")
_MICROSECONDS = {"us": 1, "ms": 10**3, "s": 10**6, "m": 60 * 10**6, "h": 3_600 * 10**6}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp(text: str) -> int:
    """Microseconds since the epoch of an RFC 3339 date and time.

    Raises ConditionFailed for everything else, leap seconds among it.
    """
    match = _TIMESTAMP.fullmatch(text) if len(text) <= 40 else None
    if match is None:
        raise ConditionFailed("not a date and time as in 2027-01-31T09:30:00Z")
    day, fraction, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        zone = timezone(-offset if sign == "-" else offset)
        moment = datetime.fromisoformat(day).replace(tzinfo=zone)
    except ValueError:
        raise ConditionFailed("no such date, time or offset") from None
    return (moment - _EPOCH) // timedelta(microseconds=1) + int((fraction or "0").ljust(6, "0"))


def duration(text: str) -> int:
    """Microseconds of a span such as "1h30m", "-90s" or "0.5ms".

    Raises ConditionFailed for everything else, and for parts of a microsecond.
    """
    if len(text) > 64 or not _DURATION.fullmatch(text):
        raise ConditionFailed("not a span of time as in 1h30m")
    total = sum(_step(*step.groups()) for step in _STEP.finditer(text))
    return -total if text.startswith("-") else total


def end_of(day: date) -> int:
    """The first microsecond after a day, in UTC."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    return int(midnight.timestamp()) * 1_000_000


def _step(whole: str, fraction: str | None, unit: str) -> int:
    scale = int("1" + "0" * len(fraction or ""))
    amount, rest = divmod(int(whole + (fraction or "")) * _MICROSECONDS[unit], scale)
    if rest:
        raise ConditionFailed("a span of time is counted in whole microseconds")
    return amount

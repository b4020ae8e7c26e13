"""Schedules: the moments that a line of cron names, in UTC.

Five fields (minute, hour, day, month, weekday) as in POSIX crontab, with the usual steps, ranges
and names. What a line means is left to `croniter`; it is loaded when there is a schedule.
"""

_FIELDS = 5


def is_schedule(text: str) -> bool:
    """Whether a line names moments, one of which comes at last."""
    from croniter import croniter  # type: ignore[import-untyped]  # noqa: PLC0415 - few have one

    if len(text.split()) != _FIELDS or not croniter.is_valid(text):
        return False
    try:
        croniter(text, 0).get_next(float)
    except ValueError:  # the thirtieth of February
        return False
    return True


def last_at(text: str, now_s: int) -> int:
    """The latest moment up to and with `now_s`, in seconds since 1970."""
    from croniter import croniter  # noqa: PLC0415 - as above

    return int(croniter(text, now_s + 1).get_prev(float))


def next_after(text: str, now_s: int) -> int:
    """The first moment after `now_s`, in seconds since 1970."""
    from croniter import croniter  # noqa: PLC0415 - as above

    return int(croniter(text, now_s).get_next(float))

"""Moments and spans of time."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import ConditionFailed
from policies.instant import duration, timestamp


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        pytest.param("1970-01-01T00:00:00Z", 0, id="epoch"),
        pytest.param("1970-01-01T00:00:01.5Z", 1_500_000, id="fraction"),
        pytest.param("1970-01-01T01:00:00+01:00", 0, id="east"),
        pytest.param("1969-12-31T19:00:00-05:00", 0, id="west"),
        pytest.param("1969-12-31T23:59:59Z", -1_000_000, id="before"),
    ],
)
def test_a_moment_is_counted_from_the_epoch(text: str, microseconds: int) -> None:
    assert timestamp(text) == microseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2027-01-31",
        "2027-01-31T09:30:00",
        "2027-01-31 09:30:00Z",
        "2027-01-31t09:30:00z",
        "2027-02-30T00:00:00Z",
        "2027-01-31T24:00:00Z",
        "2027-01-31T23:59:60Z",
        "2027-01-31T09:30:00.1234567Z",
        "2027-01-31T09:30:00+24:00",
        "2027-01-31T09:30:00Z\n",
        "٢٠٢٧-01-31T09:30:00Z",
        "0000-01-01T00:00:00Z",
        "9" * 100,
    ],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ConditionFailed):
        timestamp(text)


@given(
    st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30))  # noqa: DTZ001
)
def test_every_moment_is_read_back(moment: datetime) -> None:
    expected = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )
    assert timestamp(moment.isoformat(timespec="microseconds") + "Z") == expected


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [("1h30m", 5_400_000_000), ("-90s", -90_000_000), ("0.5ms", 500), ("1us", 1), ("0s", 0)],
)
def test_a_span_is_the_sum_of_its_steps(text: str, microseconds: int) -> None:
    assert duration(text) == microseconds


@pytest.mark.parametrize("text", ["", "1", "1d", "h", "1 h", "--1s", "0.5us", "1e3s", "1s" * 40])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ConditionFailed):
        duration(text)

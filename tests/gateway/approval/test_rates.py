"""What became of the questions of a rule, as the log tells it."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from gateway.approval.rates import MOST_TIMES, Rate, Rates
from gateway.approval.request import Request, State, Verdict, Vote
from tests.gateway.approval.test_quorum import obligation, request

ASKED = replace(request(obligation()), rules=("pays", "guards"))


def decided(state: State, after_s: int = 7, verdict: Verdict = "approve") -> Request:
    vote = Vote("omar", verdict, ("finance",), ASKED.asked + after_s)
    return replace(ASKED, state=state, votes=(vote,))


def counted(ends: Iterable[Request]) -> Rates:
    rates = Rates()
    for end in ends:
        rates.moved(None, ASKED)
        rates.moved(ASKED, end)
    return rates


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        pytest.param(decided("approved"), Rate(1, approved=1, seconds=(7,)), id="yes"),
        pytest.param(decided("denied", 3, "deny"), Rate(1, denied=1, seconds=(3,)), id="no"),
        pytest.param(replace(ASKED, state="expired"), Rate(1, over=1), id="silence"),
        pytest.param(replace(ASKED, state="withdrawn"), Rate(1, over=1), id="withdrawn"),
        pytest.param(
            replace(ASKED, state="approved", broken_by="kim"), Rate(1, alone=1), id="alone"
        ),
        pytest.param(replace(ASKED, votes=decided("asked").votes), Rate(1), id="one-of-two"),
    ],
)
def test_each_end_is_counted_once_for_each_rule(end: Request, expected: Rate) -> None:
    rates = counted([end])
    assert rates.all() == {"guards": expected, "pays": expected}
    rates.moved(replace(end, state="claimed"), replace(end, state="executed"))
    assert rates.of("pays") == expected


def test_a_rule_that_never_asked_has_no_share() -> None:
    nothing = Rates().of("pays")
    assert (nothing.percent, nothing.median_s, nothing.is_waved_through) == (None, None, False)


@pytest.mark.parametrize(
    ("yes", "no", "after_s", "is_said"),
    [
        pytest.param(20, 0, 5, True, id="all-at-once"),
        pytest.param(38, 2, 1, True, id="ninety-five-of-a-hundred"),
        pytest.param(37, 3, 1, False, id="some-are-refused"),
        pytest.param(20, 0, 6, False, id="they-take-their-time"),
        pytest.param(19, 0, 1, False, id="too-few-to-tell"),
    ],
)
def test_a_rule_that_nobody_reads_is_pointed_at(
    yes: int, no: int, after_s: int, *, is_said: bool
) -> None:
    ends = [decided("approved", after_s)] * yes + [decided("denied", after_s, "deny")] * no
    assert counted(ends).of("pays").is_waved_through is is_said


def test_the_newest_times_are_kept_and_a_row_has_them_all() -> None:
    rates = counted(decided("approved", seconds) for seconds in range(MOST_TIMES + 5))
    rate = rates.of("pays")
    assert (rate.asked, len(rate.seconds), rate.seconds[0]) == (MOST_TIMES + 5, MOST_TIMES, 5)
    again = Rates()
    for rule in rates.changed:
        row = rates.stored(rule)
        assert row is not None
        again.restore(rule, row)
    assert again.all() == rates.all()

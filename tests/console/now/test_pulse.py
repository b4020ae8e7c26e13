"""The pulse: every call is counted once, however often somebody looks."""

from hypothesis import given
from hypothesis import strategies as st

from audit.entry import Entry
from console.now.chart import draw
from console.now.pulse import MOST_READ, Hour, Pulse

MINUTE = 60_000_000


def entry(index: int, minute: int, effect: str) -> Entry:
    body = {"kind": "approval.asked", "ts": minute * MINUTE}
    if effect != "ask":
        body = {"kind": "decision", "ts": minute * MINUTE, "decision": {"effect": effect}}
    return Entry(index, b"\0" * 32, b"{}", members=body)


@given(
    effects=st.lists(st.sampled_from(["allow", "ask", "deny"]), max_size=40),
    looks=st.lists(st.integers(0, 40), max_size=5),
)
def test_each_call_counts_once_however_often_somebody_looks(
    effects: list[str], looks: list[int]
) -> None:
    log = [entry(at, 100 + at % 7, effect) for at, effect in enumerate(effects)]
    pulse = Pulse()
    for size in [*sorted(min(each, len(log)) for each in looks), len(log)]:
        start, stop = pulse.missing(size)
        pulse.take(log[start:stop])
    totals = dict(pulse.hour(110 * MINUTE).totals)
    assert totals == {effect: effects.count(effect) for effect in ("allow", "ask", "deny")}


def test_what_is_older_than_an_hour_is_gone() -> None:
    pulse = Pulse()
    pulse.take([entry(0, 10, "allow"), entry(1, 80, "deny")])
    assert dict(pulse.hour(80 * MINUTE).totals) == {"allow": 0, "ask": 0, "deny": 1}


def test_of_a_long_log_the_newest_is_read_and_it_says_so() -> None:
    pulse = Pulse()
    size = MOST_READ * 3
    assert pulse.missing(size) == (size - MOST_READ, size)
    assert pulse.hour(0).from_ == size - MOST_READ


def test_an_approved_call_is_one_that_went_through() -> None:
    pulse = Pulse()
    body = {"kind": "decision", "ts": 0, "decision": {"effect": "ask"}}
    pulse.take([Entry(0, b"\0" * 32, b"{}", members=body)])
    assert dict(pulse.hour(0).totals) == {"allow": 1, "ask": 0, "deny": 0}


GOLDEN = """\
<svg class="chart" viewBox="0 0 634 138" preserveAspectRatio="xMinYMin"
 aria-hidden="true" focusable="false">
<line x1="34" y1="120" x2="634" y2="120"/>
<text x="0" y="11">4</text>
<text x="34" y="134">an hour ago</text>
<text x="634" y="134" text-anchor="end">now</text>
<rect class="allow" x="34" y="94" width="8" height="26"/>
<rect class="allow" x="624" y="68" width="8" height="52"/>
<rect class="ask" x="624" y="42" width="8" height="26"/>
<rect class="deny" x="624" y="16" width="8" height="26"/>
</svg>"""


def test_the_chart_is_drawn_as_it_was() -> None:
    counts = ((1, 0, 0), *([(0, 0, 0)] * 58), (2, 1, 1))
    assert draw(Hour(0, counts, 0)) == GOLDEN

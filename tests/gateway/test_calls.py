import asyncio
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from gateway.action import Outcome, Status
from gateway.calls import HOLD_US, Calls
from gateway.calls import Call as UnderWay
from tests.gateway.rooms import KEY, NOW_S, OTHER_KEYS, Call, House

NOW = NOW_S * 1_000_000
DONE = Outcome("done", None, "")
UNKNOWN = Outcome("unknown", "upstream.unknown_outcome", "")
KEPT: list[Status] = ["done", "error", "unknown", "denied", "pending"]
NOTHING_DONE: list[Status] = ["refused", "unavailable"]


# -- joining --------------------------------------------------------------------------------


async def test_a_running_call_is_joined_and_both_get_its_answer() -> None:
    calls = Calls()
    first = calls.begin("c1", KEY)
    found = calls.earlier(KEY, NOW)
    assert found is first
    waiting = asyncio.ensure_future(found.answer)
    calls.end(first, DONE, NOW)
    assert await waiting == await first.answer == DONE


@pytest.mark.parametrize("status", KEPT)
async def test_an_answer_that_was_not_delivered_is_still_owed(status: Status) -> None:
    calls = Calls()
    calls.end(calls.begin("c1", KEY), replace(DONE, status=status), NOW)
    found = calls.earlier(KEY, NOW + HOLD_US - 1)
    assert found is not None
    assert (await found.answer).status == status


@pytest.mark.parametrize("status", KEPT)
async def test_a_delivered_answer_is_never_given_twice(status: Status) -> None:
    calls = Calls()
    calls.end(calls.begin("c1", KEY), replace(DONE, status=status), NOW)
    calls.delivered("c1")
    assert calls.earlier(KEY, NOW) is None


@pytest.mark.parametrize("status", NOTHING_DONE)
async def test_a_call_that_did_nothing_may_be_tried_again_at_once(status: Status) -> None:
    calls = Calls()
    call = calls.begin("c1", KEY)
    calls.end(call, replace(DONE, status=status), NOW)
    assert calls.earlier(KEY, NOW) is None
    assert call.answer.done()  # whoever has joined is told


async def test_nobody_comes_back_for_ever() -> None:
    calls = Calls()
    calls.end(calls.begin("c1", KEY), DONE, NOW)
    assert calls.earlier(KEY, NOW + HOLD_US) is None


async def test_a_call_that_still_runs_is_joined_however_long_it_takes() -> None:
    calls = Calls()
    first = calls.begin("c1", KEY)
    calls.sweep(NOW + 100 * HOLD_US)
    assert calls.earlier(KEY, NOW + 100 * HOLD_US) is first


async def test_what_runs_cannot_have_been_delivered() -> None:
    calls = Calls()
    first = calls.begin("c1", KEY)
    calls.delivered("c1")
    assert calls.earlier(KEY, NOW) is first


@pytest.mark.parametrize(
    "other",
    [pytest.param(other, id=name) for name, other in OTHER_KEYS.items()],
)
async def test_only_an_identical_call_joins(other: object) -> None:
    calls = Calls()
    calls.begin("c1", KEY)
    assert calls.earlier(other, NOW) is None  # type: ignore[arg-type]  # all are keys


async def test_an_answer_of_an_older_call_ends_nothing_of_the_newer() -> None:
    calls = Calls()
    calls.end(calls.begin("c1", KEY), DONE, NOW)
    newer = calls.begin("c2", KEY)
    calls.delivered("c1")
    calls.sweep(NOW + 2 * HOLD_US)
    assert calls.earlier(KEY, NOW + 2 * HOLD_US) is newer


async def test_swept_calls_leave_nothing() -> None:
    calls = Calls()
    for n in range(100):
        call = calls.begin(f"c{n}", replace(KEY, arguments=str(n)))
        calls.end(call, DONE, NOW)
        calls.abandon(f"a{n}", NOW)
    calls.sweep(NOW + HOLD_US)
    assert (calls._by_id, calls._by_key, calls._abandoned) == ({}, {}, {})


class Joining(RuleBasedStateMachine):
    """Calls of one key begin, end and are delivered in any order; one answer is owed at most."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.calls = Calls()
        self.now = NOW
        self.count = 0
        self.owed: UnderWay | None = None
        self.ended: int | None = None

    def teardown(self) -> None:
        self.runner.close()

    async def begin(self) -> UnderWay:
        return self.calls.begin(f"c{self.count}", KEY)

    @rule()
    def call_arrives(self) -> None:
        found = self.calls.earlier(KEY, self.now)
        is_over = self.ended is not None and self.ended + HOLD_US <= self.now
        if self.owed is not None and not is_over:
            assert found is self.owed
            return
        assert found is None
        self.count += 1
        self.owed, self.ended = self.runner.run(self.begin()), None

    @rule(status=st.sampled_from([*KEPT, *NOTHING_DONE]))
    def call_ends(self, status: Status) -> None:
        if self.owed is None or self.ended is not None:
            return
        self.calls.end(self.owed, replace(DONE, status=status), self.now)
        self.ended = self.now
        if status in NOTHING_DONE:
            self.owed = None

    @rule()
    def answer_is_delivered(self) -> None:
        if self.owed is None:
            return
        self.calls.delivered(self.owed.id)
        if self.ended is not None:
            self.owed = None

    @rule(seconds=st.sampled_from([1, 60, 119, 120, 600]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * 1_000_000

    @rule()
    def room_is_swept(self) -> None:
        self.calls.sweep(self.now)


Joining.TestCase.settings = settings(max_examples=50, stateful_step_count=30)
TestJoining = Joining.TestCase


# -- after a crash --------------------------------------------------------------------------


async def test_what_was_authorised_and_has_no_outcome_is_unfinished(house: House) -> None:
    first, second = (Call(house.recorder.new_id(), KEY) for _ in range(2))
    receipt = await house.decide(first)
    later = await house.decide(second)
    await house.end(first, receipt)
    (left,) = house.calls.unfinished
    assert (left.id, left.index, left.leaf) == (second.id, later.index, later.leaf.hex())
    assert (left.tool, left.session, left.pin) == (KEY.tool, KEY.session, KEY.pin)


async def test_an_outcome_ends_a_call_once(house: House) -> None:
    call = Call(house.recorder.new_id(), KEY)
    receipt = await house.decide(call)
    assert house.calls.settled(call.id) is not None
    assert house.calls.settled(call.id) is None
    await house.end(call, receipt)
    assert house.calls.unfinished == ()


async def test_the_view_hears_only_of_calls_that_outlast_a_look_at_them(house: House) -> None:
    short, long = (Call(house.recorder.new_id(), KEY) for _ in range(2))
    receipts = [await house.decide(call) for call in (short, long)]
    await house.end(short, receipts[0])
    assert house.calls.changed == {long.id}
    await house.keeper.save()
    await house.end(long, receipts[1])
    assert house.calls.changed == {long.id}
    await house.keeper.save()
    again = house.reopen()
    assert again.calls.unfinished == ()
    again.close()


@pytest.mark.parametrize("is_saved", [False, True], ids=["from-the-log", "from-the-view"])
async def test_a_resend_after_a_crash_is_answered_and_not_repeated(
    house: House, is_saved: bool
) -> None:
    call = Call(house.recorder.new_id(), KEY)
    await house.decide(call)
    if is_saved:
        await house.keeper.save()
    again = house.reopen()
    (left,) = again.calls.unfinished
    later = left.ts + 100 * HOLD_US  # it was down for long, and the client still comes back
    again.calls.hold(left.id, KEY, UNKNOWN, later)
    found = again.calls.earlier(KEY, later + HOLD_US - 1)
    assert found is not None
    assert await found.answer == UNKNOWN
    again.calls.delivered(left.id)
    assert again.calls.earlier(KEY, later) is None
    again.close()

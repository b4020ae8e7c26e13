import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import MAX_SAFE, Json
from gateway.session.charge import MICRO, Charge, Terms, cost
from gateway.session.limits import SLOTS, Limits, Reservation
from policies.decision import Decision, Facts
from policies.notation import Rate
from policies.register import Budget, Limit
from policies.snapshot import Snapshot, ToolRule
from tests.gateway.rooms import ASKED, KEY, NOW_S, Call, House

NOW = NOW_S * MICRO
S = MICRO
PER = ("agent", "user", "session", "tool")


@dataclass
class Rules:
    """As much of a snapshot as limits are counted by."""

    limits: Mapping[str, Limit]
    budgets: Mapping[str, Budget]
    tools: Mapping[str, ToolRule]


def rate(count: int, per_s: int, *, burst: int | None = None, per: str = "agent") -> Limit:
    return Limit.model_construct(per=per, rate=Rate(count, per_s), burst=burst)


def budget(amount: int, *, unknown_cost: int | str = "deny", per: str = "agent") -> Budget:
    return Budget.model_construct(
        per=per, amount=amount, window=3600, unit="eur", unknown_cost=unknown_cost
    )


def rules(**terms: Limit | Budget) -> Snapshot:
    costs: Mapping[str, str | int] = MappingProxyType({"eur": "args.amount"})
    tool = ToolRule("irreversible", frozenset(), "trusted", cost=costs)
    limits = {name: each for name, each in terms.items() if isinstance(each, Limit)}
    budgets = {name: each for name, each in terms.items() if isinstance(each, Budget)}
    return cast("Snapshot", Rules(limits, budgets, {"ledger.pay": tool, "ledger.free": FREE}))


FREE = ToolRule("read", frozenset(), "trusted")
FACTS = Facts(agent="clerk", tool="ledger.pay", args={"amount": 1}, session="s1", now=NOW)


@dataclass
class Attempt:
    id: str
    facts: Facts
    decision: Decision


def attempt(
    name: str,
    limits: Sequence[str] = (),
    budgets: Sequence[str] = (),
    *,
    facts: Facts = FACTS,
) -> Attempt:
    asked = replace(ASKED, limits=tuple(limits), budgets=tuple(budgets))
    return Attempt(name, facts, asked)


def entry(call_id: str, charges: Sequence[Charge]) -> dict[str, Json]:
    return {"id": call_id, "decision": {"charges": [charge.to_json() for charge in charges]}}


def spend(limits: Limits, snapshot: Snapshot, call: Attempt) -> tuple[Charge, ...] | None:
    """Reserve and record, as the gate does for a call that is forwarded."""
    reservation = limits.reserve(snapshot, call)
    if isinstance(reservation, str):
        return None
    with reservation:
        limits.charged(entry(call.id, reservation.charges))
    return reservation.charges


def passed(limits: Limits, snapshot: Snapshot, count: int, facts: Facts = FACTS) -> int:
    """How many of `count` calls at one moment pass all limits of the snapshot."""
    names = (tuple(snapshot.limits), tuple(snapshot.budgets))
    calls = [attempt(f"{facts.now}-{n}", *names, facts=facts) for n in range(count)]
    return sum(spend(limits, snapshot, call) is not None for call in calls)


# -- how many pass --------------------------------------------------------------------------


async def test_of_a_thousand_calls_at_once_ten_pass() -> None:
    limits, snapshot = Limits(), rules(ten=rate(10, 60))

    async def call(n: int) -> bool:
        await asyncio.sleep(0)
        reservation = limits.reserve(snapshot, attempt(f"c{n}", ["ten"]))
        if isinstance(reservation, str):
            return False
        with reservation:
            await asyncio.sleep(0.01)  # the entry is being written
            limits.charged(entry(f"c{n}", reservation.charges))
        return True

    assert sum(await asyncio.gather(*(call(n) for n in range(1000)))) == 10


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=120))
def test_never_more_pass_in_any_window_than_the_limit_says(
    calls: list[tuple[int, bool]],
) -> None:
    limits, snapshot = Limits(), rules(five=rate(5, 60))
    now, times = NOW, []
    for n, (pause, is_forwarded) in enumerate(calls):
        now += pause * S // 2
        charges = spend(limits, snapshot, attempt(f"c{n}", ["five"], facts=at(now)))
        if charges is None:
            continue
        if is_forwarded:
            times.append(now)
        else:
            limits.returned(charges)
    for first in times:
        assert sum(first <= each < first + 60 * S for each in times) <= 5


@given(st.lists(st.integers(0, 30), max_size=80))
def test_a_call_passes_at_the_latest_when_a_slot_more_than_the_window_is_over(
    pauses: list[int],
) -> None:
    limits, snapshot = Limits(), rules(five=rate(5, 60))
    now, times = NOW, [0] * 5
    for n, pause in enumerate(pauses):
        now += pause * S
        is_due = times[-5] + 60 * S + 60 * S // SLOTS < now
        is_passed = spend(limits, snapshot, attempt(f"c{n}", ["five"], facts=at(now))) is not None
        assert is_passed or not is_due
        if is_passed:
            times.append(now)


def at(now: int) -> Facts:
    return replace(FACTS, now=now)


@pytest.mark.parametrize(
    ("limit", "most", "window_s"),
    [
        pytest.param(rate(60, 60), 60, 60, id="60-a-minute"),
        pytest.param(rate(60, 60, burst=20), 20, 20, id="60-a-minute-20-at-once"),
        pytest.param(rate(5, 86400, burst=10), 10, 172800, id="5-a-day-10-at-once"),
        pytest.param(rate(1, 1), 1, 1, id="1-a-second"),
    ],
)
def test_a_burst_is_the_same_rate_over_another_time(limit: Limit, most: int, window_s: int) -> None:
    assert Terms.of_limit(limit) == Terms(most, window_s * S)
    limits, snapshot = Limits(), rules(some=limit)
    assert passed(limits, snapshot, most + 5) == most
    assert passed(limits, snapshot, 1, at(NOW + window_s * S - 1)) == 0
    assert passed(limits, snapshot, 1, at(NOW + window_s * S * 2)) == 1


@given(st.integers(1, 10**9), st.sampled_from([1, 60, 3600, 86400]), st.integers(1, 2**53 - 1))
def test_no_burst_gives_more_than_the_rate(count: int, per_s: int, burst: int) -> None:
    terms = Terms.of_limit(rate(count, per_s, burst=burst))
    assert 0 < terms.window <= MAX_SAFE
    if terms.window < MAX_SAFE:
        assert terms.most * per_s * S <= count * terms.window


# -- for whom -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("per", "same", "other"),
    [
        ("agent", replace(FACTS, user="ana", session="s2"), replace(FACTS, agent="scout")),
        ("user", replace(FACTS, user="ana", agent="scout"), replace(FACTS, user="omar")),
        ("session", replace(FACTS, user="ana"), replace(FACTS, session="s2")),
        ("tool", replace(FACTS, agent="scout"), replace(FACTS, tool="ledger.free")),
    ],
)
def test_a_limit_is_counted_for_whom_it_says(per: str, same: Facts, other: Facts) -> None:
    limits, snapshot = Limits(), rules(one=rate(1, 60, per=per))
    assert passed(limits, snapshot, 1, replace(FACTS, user="ana")) == 1
    assert passed(limits, snapshot, 1, same) == 0
    assert passed(limits, snapshot, 1, other) == 1


def test_leaving_out_the_person_is_no_way_around_a_limit() -> None:
    limits, snapshot = Limits(), rules(one=rate(1, 60, per="user"))
    assert passed(limits, snapshot, 3) == 1
    assert passed(limits, snapshot, 3, replace(FACTS, session="s2")) == 0


def test_a_person_named_like_an_agent_is_not_that_agent() -> None:
    limits, snapshot = Limits(), rules(one=rate(1, 60, per="user"))
    assert passed(limits, snapshot, 1, replace(FACTS, user="clerk")) == 1
    assert passed(limits, snapshot, 1) == 1


# -- what refuses ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "budgets", "name"),
    [
        pytest.param(("missing",), (), "missing", id="limit"),
        pytest.param((), ("missing",), "missing", id="budget"),
        pytest.param(("ten", "missing"), (), "missing", id="second-limit"),
        pytest.param(("odd",), (), "odd", id="counted-for-nobody-knows-whom"),
        pytest.param(("spend",), (), "spend", id="a-budget-is-no-limit"),
        pytest.param((), ("ten",), "ten", id="a-limit-is-no-budget"),
    ],
)
def test_what_the_policy_does_not_define_refuses(
    limits: tuple[str, ...], budgets: tuple[str, ...], name: str
) -> None:
    room = Limits()
    snapshot = rules(ten=rate(10, 60), spend=budget(10), odd=rate(10, 60, per="planet"))
    assert room.reserve(snapshot, attempt("c1", limits, budgets)) == name
    assert passed(room, rules(ten=rate(10, 60)), 20) == 10  # nothing stayed reserved


def test_a_call_that_is_refused_by_one_limit_takes_nothing_from_the_others() -> None:
    limits, snapshot = Limits(), rules(ten=rate(10, 60), one=rate(1, 60))
    assert passed(limits, snapshot, 20) == 1
    assert passed(limits, rules(ten=snapshot.limits["ten"]), 20) == 9


def test_a_limit_that_two_rules_name_is_counted_once() -> None:
    limits, snapshot = Limits(), rules(two=rate(2, 60))
    for n in range(2):
        assert spend(limits, snapshot, attempt(f"c{n}", ["two", "two"])) is not None
    assert spend(limits, snapshot, attempt("c3", ["two"])) is None


def test_a_call_under_no_limit_passes_and_leaves_nothing() -> None:
    limits = Limits()
    assert spend(limits, rules(), attempt("c1")) == ()
    assert limits.changed == set()


# -- budgets --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "args", "micro"),
    [
        pytest.param("args.amount", {"amount": 40}, 40 * MICRO, id="whole"),
        pytest.param("args.amount", {"amount": 12.1}, 12_100_000, id="as-it-is-written"),
        pytest.param("args.amount", {"amount": 0.1 + 0.2}, 300_001, id="rounded-up"),
        pytest.param("args.amount", {"amount": 5e-324}, 1, id="tiny"),
        pytest.param("args.amount", {"amount": 0}, 0, id="nothing"),
        pytest.param("args.sum.net", {"sum": {"net": 2}}, 2 * MICRO, id="deeper"),
        pytest.param(3, {}, 3 * MICRO, id="fixed"),
        pytest.param(None, {"amount": 40}, None, id="not-stated"),
        pytest.param("args.amount", {}, None, id="missing"),
        pytest.param("args.amount", {"amount": None}, None, id="null"),
        pytest.param("args.amount", {"amount": True}, None, id="boolean"),
        pytest.param("args.amount", {"amount": "40"}, None, id="text"),
        pytest.param("args.amount", {"amount": [40]}, None, id="list"),
        pytest.param("args.amount", {"amount": -40}, None, id="negative"),
        pytest.param("args.amount", {"amount": -0.01}, None, id="slightly-negative"),
        pytest.param("args.sum.net", {"sum": 2}, None, id="not-so-deep"),
    ],
)
def test_a_cost_is_counted_in_millionths_or_unknown(
    source: str | int | None, args: dict[str, Json], micro: int | None
) -> None:
    assert cost(source, args) == micro


def paid(limits: Limits, snapshot: Snapshot, *amounts: Json) -> list[bool]:
    return [
        passed(limits, snapshot, 1, replace(FACTS, args={"amount": amount}, now=NOW + n)) == 1
        for n, amount in enumerate(amounts)
    ]


def test_a_budget_is_spent_to_the_last_cent_and_no_further() -> None:
    snapshot = rules(spend=budget(100))
    assert paid(Limits(), snapshot, 60, 39.99, 0.02, 0.01, 0.01) == [True, True, False, True, False]


def test_a_negative_amount_earns_nothing() -> None:
    assert paid(Limits(), rules(spend=budget(100)), 100, -50, 1) == [True, False, False]


def test_an_unknown_cost_is_denied_or_charged_a_sum() -> None:
    assert paid(Limits(), rules(spend=budget(100)), "1") == [False]
    assert paid(Limits(), rules(spend=budget(100, unknown_cost=50)), "1", "1", "1") == [
        True,
        True,
        False,
    ]


def test_a_tool_that_states_no_cost_is_of_unknown_cost() -> None:
    free = replace(FACTS, tool="ledger.free")
    assert passed(Limits(), rules(spend=budget(100)), 1, free) == 0
    assert passed(Limits(), rules(spend=budget(100)), 1, replace(FACTS, tool="other")) == 0


def test_no_single_amount_is_too_large_to_be_refused() -> None:
    most = rules(spend=budget(MAX_SAFE))
    assert paid(Limits(), most, MAX_SAFE, 1e15, 1e300) == [False, False, False]
    assert paid(Limits(), most, 9_000_000_000, 9_000_000_000) == [True, False]


@given(st.lists(st.floats(0, 60, allow_nan=False), max_size=30))
def test_what_was_charged_is_never_less_than_what_was_paid(amounts: list[float]) -> None:
    limits, snapshot = Limits(), rules(spend=budget(100))
    went = [amount for amount in amounts if paid(limits, snapshot, amount) == [True]]
    assert sum(went) <= 100.000001


# -- what is given back, and what is kept ---------------------------------------------------


def test_a_call_that_goes_no_further_gives_back_what_it_held() -> None:
    limits, snapshot = Limits(), rules(one=rate(1, 60))
    first = reserved(limits, snapshot, "c1")
    assert limits.reserve(snapshot, attempt("c2", ["one"])) == "one"
    with first:
        pass  # pending, denied, or not recorded
    assert passed(limits, snapshot, 5) == 1


def test_a_call_that_fails_gives_back_what_it_held() -> None:
    limits, snapshot = Limits(), rules(one=rate(1, 60))
    with pytest.raises(RuntimeError), reserved(limits, snapshot, "c1"):
        raise RuntimeError
    assert passed(limits, snapshot, 5) == 1


def reserved(limits: Limits, snapshot: Snapshot, name: str) -> Reservation:
    reservation = limits.reserve(snapshot, attempt(name, ["one"]))
    assert isinstance(reservation, Reservation)
    return reservation


def test_a_recorded_call_is_counted_once_before_and_after_its_exit() -> None:
    limits, snapshot = Limits(), rules(one=rate(2, 60))
    with reserved(limits, snapshot, "c1") as reservation:
        assert limits.used(reservation.charges[0]) == 1
        limits.charged(entry("c1", reservation.charges))
        assert limits.used(reservation.charges[0]) == 1
    assert limits.used(reservation.charges[0]) == 1


def test_a_charge_is_returned_to_its_own_counter() -> None:
    limits, snapshot = Limits(), rules(one=rate(1, 60))
    charges = spend(limits, snapshot, attempt("c1", ["one"]))
    assert charges is not None
    other = replace(charges[0], key="agent:scout")
    limits.returned((other,))
    assert limits.used(charges[0]) == 1
    limits.returned(charges)
    assert limits.used(charges[0]) == 0
    assert passed(limits, snapshot, 5) == 1


def test_what_no_longer_counts_is_forgotten() -> None:
    limits, snapshot = Limits(), rules(one=rate(1, 60))
    charges = spend(limits, snapshot, attempt("c1", ["one"]))
    assert charges is not None
    limits.forget(NOW + 59 * S)
    assert limits.stored(charges[0].counter) is not None
    limits.forget(NOW + 63 * S)
    assert limits.stored(charges[0].counter) is None


def test_another_policy_does_not_forget_what_was_counted() -> None:
    limits = Limits()
    assert passed(limits, rules(one=rate(10, 60)), 10) == 10
    assert passed(limits, rules(one=rate(10, 3600)), 10, at(NOW + S)) == 0
    assert passed(limits, rules(one=rate(12, 60)), 10, at(NOW + S)) == 2


# -- over a restart -------------------------------------------------------------------------


async def test_what_was_counted_is_found_after_a_crash(house: House) -> None:
    snapshot = rules(ten=rate(10, 60), spend=budget(100))
    last: tuple[Charge, ...] = ()
    for status in ("refused", "done", "error", "unknown"):
        call_id = house.recorder.new_id()
        reservation = house.limits.reserve(snapshot, attempt(call_id, ["ten"], ["spend"]))
        assert isinstance(reservation, Reservation)
        with reservation:
            call = Call(call_id, KEY, charges=reservation.charges)
            await house.end(call, await house.decide(call), status)
            last = call.charges
    again = house.reopen()
    calls, euros = last
    assert (again.limits.used(calls), again.limits.used(euros)) == (3, 3 * MICRO)
    again.close()


def test_a_charge_survives_being_written() -> None:
    charge = Charge("budget", "spend", "agent:clerk", 12_100_000, 3600 * S, NOW)
    assert Charge.from_json(charge.to_json()) == charge

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import MAX_SAFE, Json
from gateway.records import settled_charges
from gateway.session.charge import SLOTS, Charge
from gateway.session.cost import MICRO, cost
from gateway.session.limits import Limits, Reservation
from gateway.session.terms import Terms, settlement
from policies.decision import Decision, Facts
from policies.history import KEPT
from policies.notation import Rate
from policies.snapshot import Snapshot, ToolRule
from policies.terms import Budget, Limit
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
    histories: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def rate(count: int, per_s: int, *, burst: int | None = None, per: str = "agent") -> Limit:
    return Limit.model_construct(per=per, rate=Rate(count, per_s), burst=burst, at_once=None)


def budget(
    amount: int, *, unknown_cost: int | str = "deny", per: str = "agent", window_s: int = 3600
) -> Budget:
    return Budget.model_construct(
        per=per, amount=amount, window=window_s, unit="eur", unknown_cost=unknown_cost
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
    words: bytes = b"{}"


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
    if not isinstance(reservation, Reservation):
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
        if not isinstance(reservation, Reservation):
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
    assert Terms.of_rate(limit.rate or Rate(0, 0), limit.burst) == Terms(most, window_s * S)
    limits, snapshot = Limits(), rules(some=limit)
    assert passed(limits, snapshot, most + 5) == most
    assert passed(limits, snapshot, 1, at(NOW + window_s * S - 1)) == 0
    assert passed(limits, snapshot, 1, at(NOW + window_s * S * 2)) == 1


@given(st.integers(1, 10**9), st.sampled_from([1, 60, 3600, 86400]), st.integers(1, 2**53 - 1))
def test_no_burst_gives_more_than_the_rate(count: int, per_s: int, burst: int) -> None:
    terms = Terms.of_rate(Rate(count, per_s), burst)
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
    assert cost(source, {"args": args}) == micro


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


# -- how many at once -----------------------------------------------------------------------


def at_once(most: int, per: str = "agent") -> Limit:
    return Limit.model_construct(per=per, rate=None, burst=None, at_once=most)


def test_a_place_is_free_again_when_its_call_is_over_whatever_came_of_it() -> None:
    limits, snapshot = Limits(), rules(one=at_once(1))
    first = reserved(limits, snapshot, "c1")
    with first:
        assert limits.reserve(snapshot, attempt("c2", ["one"])) == "one"
        first.keep()  # its outcome is unknown: it ran, and runs no more for us
    with pytest.raises(RuntimeError), reserved(limits, snapshot, "c3"):
        raise RuntimeError
    with reserved(limits, snapshot, "c4") as last:
        assert last.charges == ()  # what runs is known to this process alone
    assert limits.running("at-once:one:agent:clerk", NOW) == 0


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 4))
def test_never_more_run_at_once_than_the_limit_says(steps: list[int], most: int) -> None:
    limits, snapshot = Limits(), rules(few=at_once(most), five=rate(5, 60))
    running: list[Reservation] = []
    for n, step in enumerate(steps):
        if step > 3 and running:
            running.pop(step % len(running)).__exit__()
            continue
        taken = limits.reserve(snapshot, attempt(f"c{n}", ["few", "five"]))
        if isinstance(taken, Reservation):
            running.append(taken)
        else:
            assert taken == ("few" if len(running) == most else "five")
        assert limits.running("at-once:few:agent:clerk", NOW) == len(running) <= most


def test_a_call_without_a_place_takes_nothing_from_its_budget() -> None:
    limits, snapshot = Limits(), rules(none=at_once(1), spend=budget(1))
    with reserved_as(limits, snapshot, "c1", ["none"], []):
        call = attempt("c2", ["none"], ["spend"])
        assert limits.reserve(snapshot, call) == "none"
    with reserved_as(limits, snapshot, "c3", ["none"], ["spend"]):
        pass


def reserved_as(
    limits: Limits, snapshot: Snapshot, name: str, rates: list[str], budgets: list[str]
) -> Reservation:
    reservation = limits.reserve(snapshot, attempt(name, rates, budgets))
    assert isinstance(reservation, Reservation)
    return reservation


# -- a tree of sessions ---------------------------------------------------------------------


def test_a_tree_of_sessions_has_one_budget() -> None:
    limits, snapshot = Limits(), rules(spend=budget(3, per="tree"))
    root, child = replace(FACTS, session="s1"), replace(FACTS, session="s2", tree="s1")
    assert passed(limits, snapshot, 2, root) == 2
    assert passed(limits, snapshot, 2, replace(child, agent="scout", now=NOW + 1)) == 1
    assert passed(limits, snapshot, 2, replace(child, session="s3", tree="s3")) == 2


# -- what the gateway measures, and what is known only afterwards ----------------------------


def measured(unit: str, **terms: object) -> Budget:
    given = {"per": "agent", "amount": 100, "window": 3600, "unknown_cost": "deny", **terms}
    return Budget.model_construct(unit=unit, **given)  # type: ignore[arg-type]  # made as they are


def test_bytes_that_leave_are_measured_and_no_tool_can_state_them() -> None:
    limits, snapshot = Limits(), rules(out=measured("bytes-out"))
    call = attempt("c1", [], ["out"])
    call.words = b"x" * 90
    assert spend(limits, snapshot, call) is not None
    call = attempt("c2", [], ["out"])
    call.words = b"x" * 11
    assert limits.reserve(snapshot, call) == "out"
    call.words = b"x" * 10
    assert isinstance(limits.reserve(snapshot, call), Reservation)


@pytest.mark.parametrize(
    ("result", "size", "used"),
    [
        pytest.param({"structuredContent": {"usage": {"tokens": 7}}}, 40, 7, id="less"),
        pytest.param({"structuredContent": {"usage": {"tokens": 700}}}, 40, 700, id="more"),
        pytest.param({"structuredContent": {"usage": {"tokens": 0}}}, 40, 0, id="nothing"),
        pytest.param({"usage": {"tokens": 7}}, 40, 7, id="unstructured"),
        pytest.param({"structuredContent": {}}, 40, 50, id="not-said"),
        pytest.param({"structuredContent": {"usage": {"tokens": -7}}}, 40, 50, id="negative"),
        pytest.param({"structuredContent": {"usage": {"tokens": "7"}}}, 40, 50, id="text"),
        pytest.param({"structuredContent": {"usage": {"tokens": True}}}, 40, 50, id="truth"),
    ],
)
def test_a_cost_known_afterwards_is_reserved_and_then_settled(
    result: dict[str, Json], size: int, used: int
) -> None:
    model = ToolRule("read", frozenset(), "trusted", cost={"tokens": "result.usage.tokens"})
    limits, snapshot = Limits(), with_tool(model, spend=measured("tokens", unknown_cost=50))
    charges = spend(limits, snapshot, attempt("c1", [], ["spend"]))
    assert charges is not None
    assert limits.used(charges[0]) == 50 * MICRO
    limits.settled(charges, settlement(snapshot, "ledger.pay", charges, result, size))
    assert limits.used(charges[0]) == used * MICRO


def test_bytes_that_come_back_are_settled_by_their_number() -> None:
    limits, snapshot = Limits(), with_tool(FREE, spend=measured("bytes-in", unknown_cost=60))
    charges = spend(limits, snapshot, attempt("c1", [], ["spend"]))
    assert charges is not None
    assert limits.reserve(snapshot, attempt("c2", [], ["spend"])) == "spend"
    limits.settled(charges, settlement(snapshot, "ledger.pay", charges, {}, 39))
    assert limits.used(charges[0]) == 39 * MICRO
    assert spend(limits, snapshot, attempt("c3", [], ["spend"])) is not None


def test_a_cost_known_afterwards_without_a_sum_to_reserve_is_refused() -> None:
    model = ToolRule("read", frozenset(), "trusted", cost={"tokens": "result.usage.tokens"})
    snapshot = with_tool(model, spend=measured("tokens"), size=measured("bytes-in"))
    for name in ("spend", "size"):
        assert Limits().reserve(snapshot, attempt("c1", [], [name])) == name


def test_what_arguments_cost_is_not_changed_by_what_a_result_says() -> None:
    snapshot = rules(spend=budget(100))
    charges = spend(Limits(), snapshot, attempt("c1", [], ["spend"]))
    assert charges is not None
    assert settlement(snapshot, "ledger.pay", charges, {"amount": 0, "eur": 0}, 10) == ()


def with_tool(tool: ToolRule, **terms: Limit | Budget) -> Snapshot:
    found = cast("Rules", rules(**terms))
    return cast("Snapshot", Rules(found.limits, found.budgets, {"ledger.pay": tool}))


# -- histories ------------------------------------------------------------------------------

HOUR = 3600 * S


def asked_about(tool: str = "ledger.pay", *windows: int) -> Snapshot:
    found = cast("Rules", rules())
    histories = {tool: windows or (HOUR, KEPT)}
    return cast("Snapshot", Rules({}, {}, found.tools, histories))


def question(window: int, now: int, *, user: str | None = None) -> Charge:
    key = "agent:clerk" if user is None else f"agent:clerk user:{user}"
    return Charge("history", "ledger.pay", key, 1, window, now)


def test_only_what_conditions_ask_about_is_counted() -> None:
    assert spend(Limits(), asked_about("ledger.free"), attempt("c1")) == ()
    charges = spend(Limits(), asked_about(), attempt("c1"))
    assert charges == (question(HOUR, NOW), question(KEPT, NOW))


def test_a_call_under_way_is_in_the_history_until_it_is_known_not_to_have_been_forwarded() -> None:
    limits, snapshot = Limits(), asked_about()
    reservation = limits.reserve(snapshot, attempt("c1"))
    assert isinstance(reservation, Reservation)
    assert (limits.used(question(HOUR, NOW)), limits.latest(question(KEPT, NOW))) == (1, NOW)
    limits.charged(entry("c1", reservation.charges))
    assert (limits.used(question(HOUR, NOW)), limits.latest(question(KEPT, NOW))) == (1, NOW)
    limits.returned(reservation.charges)
    assert (limits.used(question(HOUR, NOW)), limits.latest(question(KEPT, NOW))) == (0, None)


def test_a_history_is_of_one_agent_and_person_in_all_their_sessions() -> None:
    limits, snapshot = Limits(), asked_about()
    assert passed(limits, snapshot, 1, replace(FACTS, user="ana", session="s2")) == 1
    later = NOW + S
    assert limits.latest(question(KEPT, later, user="ana")) == NOW
    assert limits.latest(question(KEPT, later, user="omar")) is None
    assert limits.latest(question(KEPT, later)) is None


@given(st.lists(st.tuples(st.integers(0, 600), st.booleans()), min_size=1, max_size=60))
def test_the_last_call_is_told_exactly_and_a_count_is_never_too_low(
    calls: list[tuple[int, bool]],
) -> None:
    limits, snapshot = Limits(), asked_about()
    now, forwarded = NOW, [0]
    for n, (pause, is_forwarded) in enumerate(calls):
        now += pause * S
        charges = spend(limits, snapshot, attempt(f"c{n}", facts=at(now)))
        assert charges is not None
        if is_forwarded:
            forwarded.append(now)
        else:
            limits.returned(charges)
        is_remembered = forwarded[-1] > now - KEPT
        assert limits.latest(question(KEPT, now)) == (forwarded[-1] if is_remembered else None)
        within = sum(each > now - HOUR for each in forwarded)
        within_a_slot_more = sum(each > now - HOUR - HOUR // SLOTS for each in forwarded)
        assert within <= limits.used(question(HOUR, now)) <= within_a_slot_more


async def test_a_history_is_found_after_a_crash_and_in_the_stored_view(house: House) -> None:
    snapshot = asked_about()
    call_id = house.recorder.new_id()
    reservation = house.limits.reserve(snapshot, attempt(call_id))
    assert isinstance(reservation, Reservation)
    with reservation:
        call = Call(call_id, KEY, charges=reservation.charges)
        await house.end(call, await house.decide(call), "unknown")
    for _ in range(2):
        house = house.reopen()
        assert house.limits.latest(question(KEPT, NOW + S)) == NOW
        assert house.limits.used(question(HOUR, NOW + S)) == 1
        await house.keeper.save()
    house.close()


async def test_what_a_call_has_cost_in_the_end_is_found_after_a_crash(house: House) -> None:
    model = ToolRule("read", frozenset(), "trusted", cost={"tokens": "result.tokens"})
    snapshot = with_tool(model, spend=measured("tokens", unknown_cost=50))
    call_id = house.recorder.new_id()
    reservation = house.limits.reserve(snapshot, attempt(call_id, [], ["spend"]))
    assert isinstance(reservation, Reservation)
    with reservation:
        call = Call(call_id, KEY, charges=reservation.charges)
        receipt = await house.decide(call)
        final = settlement(snapshot, "ledger.pay", reservation.charges, {"tokens": 8}, 1)
        await house.end(call, receipt, "done", settled_charges(final))
    assert house.limits.used(final[0]) == 8 * MICRO
    again = house.reopen()
    assert again.limits.used(final[0]) == 8 * MICRO
    again.close()

"""What conditions may ask about the past, put into the facts."""

from dataclasses import replace

import pytest

from gateway.session.cost import MICRO
from gateway.session.limits import Limits, Reservation
from gateway.session.past import recalled
from policies.compile import compile_snapshot
from policies.decision import Facts
from policies.kernel import decide
from policies.loader import read_policies
from tests.gateway.session.test_limits import Attempt, entry

NOW = 1_795_154_745 * MICRO
POLICY = """\
apiVersion: passavant/v1
kind: Policy
name: test
default: deny
users: {default: unrestricted}
agents:
  bot: {roles: [worker], owner: team}
  aide: {roles: [worker], owner: team}
  idle: {roles: [none], owner: team}
tools: {s.pay: {risk: write, cost: {eur: args.amount}}, s.look: {risk: read}, s.plain: {risk: read}}
limits:
  slow: {per: agent, rate: 100/day}
  few: {per: user, at_once: 9}
budgets:
  spend: {per: agent, amount: 100, window: 1d, unit: eur}
rules:
  - id: pays
    roles: [worker]
    tools: [s.pay]
    effect: allow
    when: "totals.slow < 3 && totals.few < 5 && totals.spend <= 20 && count('s.pay', '1h') < 50"
    limits: [slow, few]
    budgets: [spend]
  - {id: looks, roles: [worker], tools: [s.look], effect: allow, when: "!before('s.pay')"}
  - {id: plain, roles: [worker, none], tools: [s.plain], effect: allow}
delegation:
  edges: [{id: e, from: bot, to: aide, tools: [s.*]}]
"""
SNAPSHOT = compile_snapshot(read_policies([("p.yaml", POLICY.encode())]), None)
PAY = Facts("bot", "s.pay", {"amount": 7.25}, session="s1", now=NOW)


def pay(limits: Limits, facts: Facts = PAY, *, name: str = "c") -> bool:
    """A call as the gate makes it, up to its entry; whether it passed."""
    facts = recalled(SNAPSHOT, replace(facts, now=facts.now + 1), limits)
    decision = decide(SNAPSHOT, facts)
    if decision.effect != "allow":
        return False
    taken = limits.reserve(SNAPSHOT, Attempt(f"{name}{facts.now}", facts, decision))
    if not isinstance(taken, Reservation):
        return False
    with taken:
        limits.charged(entry(f"{name}{facts.now}", taken.charges))
    return True


def test_totals_are_of_what_counts_now_and_a_budget_is_rounded_up() -> None:
    limits = Limits()
    told = recalled(SNAPSHOT, PAY, limits)
    assert told.totals == {"slow": 0, "few": 0, "spend": 0}
    assert told.history == {"s.pay@3600": 0}
    assert pay(limits)
    told = recalled(SNAPSHOT, replace(PAY, now=NOW + 2), limits)
    assert told.totals == {"slow": 1, "few": 0, "spend": 8}
    assert told.history == {"s.pay@3600": 1}


def test_a_total_decides() -> None:
    limits = Limits()
    passed = [pay(limits, replace(PAY, now=NOW + n * MICRO)) for n in range(5)]
    assert passed == [True, True, True, False, False]  # 21.75 was used, which is more than 20
    assert pay(limits, replace(PAY, agent="aide"))


def test_calls_that_run_are_a_total_too() -> None:
    limits = Limits()
    decision = decide(SNAPSHOT, recalled(SNAPSHOT, PAY, limits))
    for n in range(2):
        assert isinstance(limits.reserve(SNAPSHOT, Attempt(f"c{n}", PAY, decision)), Reservation)
    assert recalled(SNAPSHOT, PAY, limits).totals == {"slow": 2, "few": 2, "spend": 15}


@pytest.mark.parametrize(
    ("facts", "is_first"),
    [
        pytest.param(PAY, False, id="itself"),
        pytest.param(replace(PAY, session="s2"), False, id="in-another-session"),
        pytest.param(replace(PAY, agent="aide"), True, id="another-agent"),
        pytest.param(replace(PAY, agent="aide", chain=("bot",)), False, id="another-for-it"),
        pytest.param(replace(PAY, user="ana"), True, id="for-somebody"),
    ],
)
def test_whose_past_it_is(facts: Facts, is_first: bool) -> None:
    limits = Limits()
    assert pay(limits)
    look = replace(facts, tool="s.look", now=NOW + MICRO)
    told = recalled(SNAPSHOT, look, limits)
    assert told.history == {"s.pay": None if is_first else MICRO - 1}
    assert (decide(SNAPSHOT, told).effect == "allow") == is_first


def test_what_is_done_through_others_is_in_the_past_of_whom_it_is_done_for() -> None:
    limits = Limits()
    assert pay(limits, replace(PAY, agent="aide", chain=("bot",)))
    for agent in ("bot", "aide"):
        look = replace(PAY, agent=agent, tool="s.look", now=NOW + MICRO)
        assert recalled(SNAPSHOT, look, limits).history == {"s.pay": MICRO - 1}


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(replace(PAY, tool="s.plain"), id="nothing-is-asked"),
        pytest.param(replace(PAY, tool="s.gone"), id="no-such-tool"),
        pytest.param(replace(PAY, agent="nobody"), id="no-such-agent"),
        pytest.param(replace(PAY, agent="idle"), id="no-rule-for-it"),
    ],
)
def test_what_no_condition_asks_is_not_looked_up(facts: Facts) -> None:
    told = recalled(SNAPSHOT, facts, Limits())
    assert (told.totals, told.history) == ({}, {})

"""Explaining: which clauses were looked at, which part failed, with which value."""

from dataclasses import replace

import pytest

from policies.compile import compile_snapshot
from policies.decision import Facts
from policies.explain import Verdict, explain
from policies.loader import read_policies

POLICY = """\
apiVersion: passavant/v1
kind: Policy
name: test
default: deny
users: {default: unrestricted}
agents: {bot: {roles: [payer]}, boss: {roles: [payer, lead]}}
groups: {people: {members: [kim]}}
approvals: {one: {from: people, quorum: 1, expires: 30m}}
tools: {pay.refund: {risk: irreversible}, pay.list: {risk: read}, crm.find: {risk: read}}
guardrails:
  - {id: tainted, why: x, tools: [pay.refund], when: "'web' in labels"}
  - {id: odd, why: x, tools: [pay.refund], when: args.note == 'x'}
rules:
  - id: small
    roles: [payer]
    tools: [pay.refund]
    effect: allow
    when: args.amount > 0 && args.amount <= 100 && args.to == 'ana'
  - {id: ended, roles: [payer], tools: [pay.refund], effect: allow, until: 2020-01-01}
  - {id: lists, roles: [payer], tools: [pay.list], effect: allow}
  - {id: finds, roles: [lead], tools: [crm.find], effect: allow}
delegation:
  edges: [{id: e, from: boss, to: bot, tools: [pay.refund]}]
"""
SNAPSHOT = compile_snapshot(read_policies([("p.yaml", POLICY.encode())]), None)
REFUND = Facts(
    "bot",
    "pay.refund",
    {"amount": 250, "to": "ana", "note": ""},
    now=1_800_000_000_000_000,
)


def verdicts(facts: Facts) -> dict[str, Verdict]:
    return {verdict.clause: verdict for verdict in explain(SNAPSHOT, facts).considered}


RELEASE = """\
releases:
  - id: total
    why: x
    tool: pay.list
    part: sum.total
    from: [private]
    when: args.year >= 2020 && args.year <= 2030 && provenance.year == 'user'
"""


@pytest.mark.parametrize(
    ("year", "origin", "holds"),
    [
        pytest.param(2026, "user", True, id="holds"),
        pytest.param(2026, "untrusted", False, id="a-stranger-chose-it"),
        pytest.param(1999, "user", False, id="another-call"),
        pytest.param("2026", "user", False, id="cannot-be-compared"),
    ],
)
def test_it_is_told_whether_a_value_would_be_released(
    year: int | str, origin: str, *, holds: bool
) -> None:
    snapshot = compile_snapshot(read_policies([("p.yaml", (POLICY + RELEASE).encode())]), None)
    facts = Facts("bot", "pay.list", {"year": year}, provenance={"year": origin}, now=REFUND.now)
    explained = explain(snapshot, facts)
    (release,) = explained.releases
    assert (release.rule, release.part, release.holds) == ("total", "sum.total", holds)
    assert f"total: {'releases' if holds else 'does not release'} 'sum.total'" in str(explained)
    assert "provenance" in snapshot.engine.reads("bot", "pay.list")
    assert "provenance" not in snapshot.engine.reads("bot", "pay.refund")


def test_the_part_that_failed_is_shown_with_its_value() -> None:
    small = verdicts(REFUND)["small"]
    assert not small.matched
    assert [(part.text, part.truth) for part in small.parts] == [
        ("args.amount > 0", "true"),
        ("args.amount <= 100", "false"),
        ("args.to == 'ana'", "true"),
    ]
    assert small.parts[1].values == (("args.amount", "250"),)


def test_every_clause_is_looked_at_though_the_first_decides() -> None:
    tainted = replace(REFUND, labels=frozenset({"web"}))
    explanation = explain(SNAPSHOT, tainted)
    assert explanation.decision.rules == ("tainted",)
    assert {verdict.clause for verdict in explanation.considered} == {
        "tainted",
        "odd",
        "small",
        "ended",
    }
    assert verdicts(tainted)["tainted"].parts[0].values == (("labels", '["web"]'),)


def test_a_condition_without_a_value_tells_why_and_what_it_meant() -> None:
    facts = replace(REFUND, args={"amount": "40", "to": "ana"})
    found = verdicts(facts)
    assert "args.amount is no number" in found["small"].because
    assert not found["small"].matched
    assert found["odd"].matched
    assert "counts as a match: args.note is absent" in found["odd"].because
    assert found["odd"].parts[0].values == (("args.note", "absent"),)


def test_a_rule_that_has_ended_says_so() -> None:
    assert verdicts(REFUND)["ended"].because == "has ended"


def test_near_misses_name_other_people_and_other_tools() -> None:
    near = explain(SNAPSHOT, replace(REFUND, tool="crm.find")).near_misses
    assert [(each.clause, each.differs) for each in near] == [
        ("finds", "who"),
        ("small", "what"),
        ("ended", "what"),
        ("lists", "what"),
    ]


def test_what_was_refused_before_any_rule_has_nothing_to_consider() -> None:
    explanation = explain(SNAPSHOT, replace(REFUND, agent="nobody"))
    assert explanation.decision.rules == ("agent:unknown",)
    assert not explanation.considered
    assert not explanation.near_misses


def test_every_link_of_a_chain_is_looked_at() -> None:
    explanation = explain(SNAPSHOT, replace(REFUND, chain=("boss",)))
    assert {verdict.agent for verdict in explanation.considered} == {"bot"} | {"boss"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("a\u202eb\n", r'"a\u202eb\n"', id="what-does-not-show"),
        pytest.param("x" * 5_000, "5002 characters", id="what-is-long"),
    ],
)
def test_values_are_shown_inert(value: str, shown: str) -> None:
    explanation = explain(SNAPSHOT, replace(REFUND, args={"amount": 1, "to": value, "note": ""}))
    text = str(explanation)
    assert shown in text
    assert text.isascii()
    assert max(map(len, text.splitlines())) < 300


def test_an_explanation_reads_as_text() -> None:
    text = str(explain(SNAPSHOT, REFUND))
    assert text.startswith("deny: No rule lets bot use pay.refund in this way.\n")
    assert "false  args.amount <= 100  [args.amount = 250]" in text

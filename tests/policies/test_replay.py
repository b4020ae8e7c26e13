"""Replay: two policies, one call; and what was never gathered is not passed over."""

from dataclasses import replace
from typing import Any

import pytest

from policies.compile import compile_snapshot
from policies.decision import Facts
from policies.loader import read_policies
from policies.replay import replay
from policies.snapshot import Snapshot

POLICY = """\
apiVersion: passavant/v1
kind: Policy
name: replay
default: deny
users: {default: unrestricted}
agents: {clerk: {roles: [clerk], owner: team}}
groups: {people: {members: [ana]}}
approvals:
  one: {from: people, quorum: 1, expires: 30m, not: [requester]}
  two: {from: people, quorum: 1, expires: 40m, not: [requester]}
limits: {often: {per: agent, rate: 5/min}}
tools: {s.pay: {risk: write, emits: []}}
rules:
  - {id: pays, why: w, roles: [clerk], tools: [s.pay], RULE}
"""

CALL = Facts("clerk", "s.pay", {"n": 5}, now=1_000_000)
ALLOW, ASK = 'effect: allow, when: "args.n <= 5"', "effect: ask, approval: one"


def compiled(rule: str) -> Snapshot:
    text = POLICY.replace("RULE", rule)
    return compile_snapshot(read_policies([("p.yaml", text.encode())]), None)


@pytest.mark.parametrize(
    ("before", "after", "differs", "is_wider"),
    [
        pytest.param(ALLOW, ALLOW, False, False, id="the-same"),
        pytest.param(ALLOW, ASK, True, False, id="stricter"),
        pytest.param(ASK, ALLOW, True, True, id="wider"),
        pytest.param(ASK, ASK.replace("one", "two"), True, False, id="others-are-asked"),
        pytest.param(ALLOW, ALLOW.replace("5", "50"), False, False, id="other-calls-alone"),
    ],
)
def test_two_policies_answer_one_call(
    before: str,
    after: str,
    differs: bool,
    is_wider: bool,
) -> None:
    played = replay(CALL, compiled(before), compiled(after), read=frozenset())
    assert (played.differs, played.is_wider) == (differs, is_wider)


READS: dict[str, tuple[str, dict[str, Any]]] = {
    "provenance.n": ("provenance.n == 'user'", {"provenance": {"n": "user"}}),
    "secrets": ("size(secrets) == 0", {"secrets": frozenset({"key"})}),
    "totals.often": ("totals.often < 3", {"totals": {"often": 1}}),
    "history.s.pay": ("!before('s.pay')", {"history": {"s.pay": None}}),
}


@pytest.mark.parametrize("name", READS)
def test_what_nobody_gathered_is_told(name: str) -> None:
    draft = compiled(f'effect: allow, when: "{READS[name][0]}"')
    played = replay(CALL, compiled(ALLOW), draft, read=frozenset())
    assert played.unknown == (name,)


@pytest.mark.parametrize("name", READS)
def test_what_was_read_then_is_known(name: str) -> None:
    condition, gathered = READS[name]
    draft = compiled(f'effect: allow, when: "{condition}"')
    played = replay(replace(CALL, **gathered), draft, draft, read=frozenset({name}))
    assert played.unknown == ()


@pytest.mark.parametrize("name", ["provenance.n", "totals.often", "history.s.pay"])
def test_what_was_gathered_for_another_rule_is_known(name: str) -> None:
    condition, gathered = READS[name]
    draft = compiled(f'effect: allow, when: "{condition}"')
    played = replay(replace(CALL, **gathered), draft, draft, read=frozenset())
    assert played.unknown == ()

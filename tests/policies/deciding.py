"""A policy with something of everything, and what is decided under it."""

from dataclasses import replace
from typing import Any

from policies.compile import compile_snapshot
from policies.decision import Decision, Facts
from policies.kernel import decide
from policies.loader import read_policies

DAY = 86_400 * 1_000_000
NOON_OF_MARCH_31 = 1_806_494_400_000_000  # 2027-03-31T12:00:00Z

POLICY = """\
apiVersion: passavant/v1
kind: Policy
name: test
default: deny
agents:
  clerk: {roles: [payer, reader]}
  aide: {roles: [payer, reader], on_behalf_of: required}
  watcher: {roles: [payer, reader], max_risk: read}
  boss: {roles: [payer, reader, lead]}
  prover: {roles: [payer, reader], proof_of_possession: required}
  writer: {roles: [payer, reader], proof_of_possession: write}
  payer: {roles: [payer, reader], proof_of_possession: irreversible}
  guest: {roles: [payer, reader], until: 2027-03-31, purpose: Helps out.}
users:
  default: unrestricted
  interns: {from: "oidc:group/interns", tools: [s.read, s.list]}
  guests: {members: [gast], tools: [s.read]}
groups:
  people: {members: [kim, lee]}
  leads: {from: "oidc:group/leads"}
tools:
  s.read: {risk: read}
  s.list: {risk: read}
  s.pay: {risk: irreversible}
  s.note: {risk: write}
  t.read: {risk: read}
approvals:
  one: {from: people, quorum: 1, expires: 30m}
  two: {from: leads, quorum: 2, expires: 4h, passkey: required, reason: required}
  self: {from: people, quorum: 1, expires: 5m, self: allowed}
limits: {often: {per: agent, rate: 5/min}, seldom: {per: user, rate: 1/day}}
budgets: {eur: {per: agent, amount: 100, window: 1d, unit: eur}}
guardrails:
  - {id: tainted, why: Text from the web must not pay., tools: [s.pay], when: "'web' in labels"}
  - id: check-notes
    why: x
    tools: [s.note]
    effect: ask
    approval: two
    when: size(args.text) > 9
rules:
  - id: reads
    roles: [reader]
    tools: [s.*]
    effect: allow
    when: tool != 's.pay'
    limits: [often]
  - id: pays-small
    roles: [payer]
    tools: [s.pay]
    effect: allow
    when: args.n <= 10
    budgets: [eur]
  - id: pays-large
    roles: [payer]
    tools: [s.pay]
    effect: ask
    approval: one
    when: args.n > 5
    limits: [seldom]
  - {id: pays-more, roles: [payer], tools: [s.pay], effect: ask, approval: self, when: "args.n > 8"}
  - {id: never-13, agents: [clerk, boss], tools: [s.pay], effect: deny, when: "args.n == 13"}
  - {id: lent, agents: [clerk], tools: [t.read], effect: allow, until: 2027-03-31}
delegation:
  max_hops: 2
  edges:
    - {id: e1, from: boss, to: clerk, tools: [s.read, s.pay]}
    - {id: e2, from: clerk, to: aide, tools: [s.*]}
    - {id: e3, from: clerk, to: boss, tools: [s.read]}
    - {id: e4, from: prover, to: clerk, tools: [s.read]}
"""

SNAPSHOT = compile_snapshot(read_policies([("policy.yaml", POLICY.encode())]), None)
READ = Facts("clerk", "s.read", {})
PAY = Facts("clerk", "s.pay", {"n": 3})


def decision(facts: Facts = READ, **changes: Any) -> Decision:  # noqa: ANN401 - members of Facts
    return decide(SNAPSHOT, replace(facts, **changes))

"""Policy files that tests write: what every one begins with, and a world to write rules for."""

import pytest

from policies.document import Policy
from policies.errors import PolicyInvalid
from policies.finding import Finding
from policies.loader import read_policies

HEAD = "apiVersion: passavant/v1\nkind: Policy\nname: test\ndefault: deny\n"
WORLD = """\
agents:
  bot: {roles: [worker]}
  aide: {roles: [worker]}
groups:
  people: {members: [kim, lee]}
tools:
  s.read: {risk: read}
  s.write: {risk: write}
approvals:
  one: {from: people, quorum: 1, expires: 30m}
limits:
  slow: {per: agent, rate: 5/min}
budgets:
  eur: {per: user, amount: 100, window: 1d, unit: eur}
"""


def read(text: str) -> Policy:
    (document,) = read_policies([("p.yaml", (HEAD + text).encode())])
    return document.policy


def refusals(text: str) -> tuple[Finding, ...]:
    with pytest.raises(PolicyInvalid) as caught:
        read(text)
    return caught.value.findings


def codes(text: str) -> set[str]:
    return {finding.code for finding in refusals(text)}

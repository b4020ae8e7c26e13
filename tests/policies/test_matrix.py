"""The matrix: what calls can come to, as the kernel would decide them."""

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.compile import compile_snapshot
from policies.decision import Facts
from policies.kernel import decide
from policies.loader import read_policies
from policies.matrix import marks, matrix
from policies.snapshot import Snapshot

NOW = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp()) * 1_000_000

POLICY = """\
apiVersion: passavant/v1
kind: Policy
name: matrix
default: deny
users: {default: unrestricted}
agents:
  clerk: {roles: [clerk], owner: team, max_risk: write}
  proxy: {roles: [clerk], owner: team, on_behalf_of: required}
  idle: {roles: [idle], owner: team}
groups: {people: {members: [ana]}}
approvals: {one: {from: people, quorum: 1, expires: 30m, not: [requester]}}
tools:
  s.open: {risk: read, emits: []}
  s.pay: {risk: write, emits: []}
  s.wipe: {risk: irreversible, emits: []}
  s.past: {risk: read, emits: []}
  s.shut: {risk: read, emits: []}
  s.kept: {risk: read, emits: []}
guardrails:
  - {id: shut, why: w, tools: [s.shut]}
  - {id: kept, why: w, tools: [s.kept], when: "args.n > 5"}
rules:
  - {id: opens, why: w, roles: [clerk], tools: [s.open, s.wipe, s.shut, s.kept], effect: allow}
  - {id: pays, why: w, roles: [clerk], tools: [s.pay], effect: allow, when: "args.n <= 1"}
  - {id: asks, roles: [clerk], tools: [s.pay], effect: ask, approval: one, when: "args.n < 4"}
  - {id: past, why: w, roles: [clerk], tools: [s.past], effect: allow, until: 2026-01-01}
"""


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return compile_snapshot(read_policies([("matrix.yaml", POLICY.encode())]), None)


def cell(snapshot: Snapshot, agent: str, tool: str, user: str | None = None) -> list[str]:
    return list(map(str, marks(snapshot, agent, tool, user=user, now=NOW)))


@pytest.mark.parametrize(
    ("agent", "tool", "user", "expected"),
    [
        pytest.param("clerk", "s.open", None, ["allow"], id="always"),
        pytest.param("clerk", "s.pay", None, ["ask?", "allow?"], id="strictest-first"),
        pytest.param("clerk", "s.wipe", None, ["deny"], id="above-its-risk"),
        pytest.param("clerk", "s.past", None, [], id="a-rule-that-has-ended"),
        pytest.param("clerk", "s.shut", None, ["deny"], id="a-guardrail-hides-the-rest"),
        pytest.param("clerk", "s.kept", None, ["deny?", "allow"], id="a-conditional-guardrail"),
        pytest.param("idle", "s.open", None, [], id="no-rule"),
        pytest.param("idle", "s.kept", None, ["deny?"], id="a-guardrail-is-for-everyone"),
        pytest.param("proxy", "s.open", None, ["deny"], id="without-a-user"),
        pytest.param("proxy", "s.open", "bo", ["allow"], id="with-a-user"),
        pytest.param("nobody", "s.open", None, ["deny"], id="unknown-agent"),
        pytest.param("clerk", "s.none", None, ["deny"], id="unknown-tool"),
    ],
)
def test_a_cell_says_what_can_come_of_a_call(
    agent: str, tool: str, user: str | None, expected: list[str], snapshot: Snapshot
) -> None:
    assert cell(snapshot, agent, tool, user) == expected


def test_every_tool_meets_every_agent(snapshot: Snapshot) -> None:
    lines = list(matrix(snapshot, user=None, now=NOW))
    assert [line.tool for line in lines] == sorted(snapshot.tools)
    assert {tuple(dict(line.cells)) for line in lines} == {("clerk", "idle", "proxy")}


@given(
    pair=st.sampled_from(
        list(
            itertools.product(
                ["clerk", "proxy", "idle"], ["open", "pay", "wipe", "past", "shut", "kept"]
            )
        )
    ),
    user=st.sampled_from([None, "bo"]),
    n=st.integers(-10, 10),
)
def test_no_decision_is_outside_its_cell(
    pair: tuple[str, str], user: str | None, n: int, snapshot: Snapshot
) -> None:
    agent, tool = pair[0], f"s.{pair[1]}"
    decided = decide(snapshot, Facts(agent, tool, {"n": n}, user=user, now=NOW)).effect
    shown = cell(snapshot, agent, tool, user)
    possible = {mark.rstrip("?") for mark in shown}
    if not shown or all(mark.endswith("?") for mark in shown):
        possible.add("deny")  # no condition holds
    assert decided in possible

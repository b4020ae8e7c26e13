"""Review: what a flow would run into under a policy is said before it runs."""

from typing import Any

import pytest

from orchestration.review import Reviewed, review
from policies.compile import compile_snapshot
from policies.loader import read_policies
from tests.orchestration.house import flow

POLICY = """\
apiVersion: passavant/v1
kind: Policy
name: flows
default: deny
users: {default: unrestricted}
agents: {job: {}, inner: {}}
groups: {people: {members: [ana]}}
approvals: {one: {from: people, quorum: 1, expires: 30m, not: [requester]}}
tools:
  desk.look: {risk: read}
  desk.pay: {risk: irreversible}
  desk.refund: {risk: irreversible}
  desk.book: {risk: irreversible, undo: {tool: desk.refund, args: {}}}
  desk.hidden: {risk: read}
  agents.inner: {risk: write}
  approvals.editors: {risk: write}
  approvals.lax: {risk: write}
rules:
  - {id: looks, agents: [job], tools: [desk.look, desk.pay, desk.book], effect: allow}
  - {id: refunds, agents: [job], tools: [desk.refund], effect: ask, approval: one}
  - {id: hands, agents: [job, inner], tools: [agents.inner], effect: allow}
  - {id: asks, agents: [job], tools: [approvals.editors], effect: ask, approval: one}
  - {id: lax, agents: [job], tools: [approvals.lax], effect: allow}
"""
EDGE = """\
delegation:
  edges:
    - {id: lends, from: job, to: inner, tools: [desk.look]}
"""


def codes(node: Any, policy: str = POLICY, name: str = "job") -> list[str]:  # noqa: ANN401 - as written
    snapshot = compile_snapshot(read_policies([("p.yaml", policy.encode())]), None)
    flows = [
        Reviewed("job.yaml", flow(node, name=name)),
        Reviewed("i.yaml", flow("desk.look", "inner")),
    ]
    return [found.code for found in review(flows[:1], snapshot, now=0)] + [
        found.code for found in review(flows, snapshot, now=0) if found.code == "flow.edge"
    ]


@pytest.mark.parametrize(
    ("node", "found"),
    [
        pytest.param("desk.look", [], id="nothing"),
        pytest.param("desk.none", ["flow.unknown-tool"], id="unknown-tool"),
        pytest.param("web", ["flow.unknown-tool"], id="unknown-agent"),
        pytest.param({"contract": {"of": "desk.look", "tools": ["desk.look"]}}, [], id="lent"),
        pytest.param(
            {"contract": {"of": "desk.look", "tools": ["desk.none", "desk.look"]}},
            ["flow.contract"],
            id="lends-what-there-is-not",
        ),
        pytest.param(
            {"contract": {"of": "desk.look", "tools": ["desk.refund"]}},
            ["flow.contract"],
            id="uses-what-it-was-not-lent",
        ),
        pytest.param(
            {"contract": {"of": {"sequential": ["desk.book"]}, "accept": "args.n > 1"}},
            ["flow.again"],
            id="done-twice",
        ),
        pytest.param({"contract": {"of": "desk.book", "accept": "args.n > 1"}}, [], id="done-once"),
        pytest.param("desk.hidden", ["flow.denied"], id="denied"),
        pytest.param("desk.pay", ["flow.final"], id="final"),
        pytest.param("desk.refund", [], id="final-and-asked"),
        pytest.param("desk.book", [], id="final-and-undone"),
        pytest.param({"approve": {"by": "editors", "question": "?"}}, [], id="asks"),
        pytest.param(
            {"approve": {"by": "lax", "question": "?"}}, ["flow.not-asked"], id="nobody-asked"
        ),
        pytest.param(
            {"approve": {"by": "none", "question": "?"}}, ["flow.unknown-tool"], id="nobody-there"
        ),
        pytest.param(
            {"parallel": {"branches": ["desk.look", "desk.book"], "until": "first"}},
            ["flow.race"],
            id="final-in-a-race",
        ),
        pytest.param("inner", ["flow.edge"], id="no-edge"),
        pytest.param(
            {"parallel": [{"sequential": ["desk.look", "desk.none"]}]},
            ["flow.unknown-tool"],
            id="deep",
        ),
    ],
)
def test_a_flow_is_told_what_it_would_run_into(node: Any, found: list[str]) -> None:  # noqa: ANN401 - as written
    assert codes(node) == found


def test_an_edge_is_enough() -> None:
    assert codes("inner", POLICY + EDGE) == []


def test_a_flow_must_be_an_agent_of_the_policy() -> None:
    assert codes("desk.look", name="other") == ["flow.agent"]

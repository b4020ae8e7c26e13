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


SAGA = POLICY.replace(
    "  desk.hidden",
    """\
  desk.note: {risk: write}
  desk.keep: {risk: write, undo: {tool: desk.hidden, args: {}}}
  desk.hidden""",
).replace("desk.pay, desk.book]", "desk.pay, desk.book, desk.note, desk.keep]")


@pytest.mark.parametrize(
    ("node", "told"),
    [
        pytest.param("desk.look", [], id="reads"),
        pytest.param("desk.book", [], id="undone"),
        pytest.param("desk.note", ["desk.note: no undo is stated"], id="no-undo"),
        pytest.param(
            "desk.keep", ["desk.keep: no rule lets job use desk.hidden"], id="denied-undo"
        ),
        pytest.param({"approve": {"by": "editors", "question": "?"}}, [], id="asks"),
        pytest.param(
            {"sequential": [{"parallel": ["desk.note", "desk.book"]}]},
            ["desk.note: no undo is stated"],
            id="deep",
        ),
        pytest.param("inner", ["desk.note: no undo is stated"], id="in-a-flow-that-it-calls"),
    ],
)
@pytest.mark.parametrize("on_failure", ["undo", "leave"])
def test_what_a_failed_run_leaves_to_people_is_said_beforehand(
    node: Any,  # noqa: ANN401 - as written
    told: list[str],
    on_failure: str,
) -> None:
    snapshot = compile_snapshot(read_policies([("p.yaml", (SAGA + EDGE).encode())]), None)
    saga = flow(node).model_copy(update={"on_failure": on_failure})
    flows = [Reviewed("job.yaml", saga), Reviewed("i.yaml", flow("desk.note", "inner"))]
    found = [each for each in review(flows, snapshot, now=0) if each.code == "flow.undo"]
    expected = told if on_failure == "undo" else []
    assert [each.severity for each in found] == ["warning"] * len(expected)
    for each, part in zip(found, expected, strict=True):
        tool, _, why = part.partition(": ")
        assert f"what {tool} did waits for a person" in each.message
        assert why in each.message

"""Differences: all that two policies say otherwise, and nothing that only reads otherwise."""

import pytest

from policies.compile import compile_snapshot
from policies.difference import Cell, Change, cells, changes
from policies.loader import read_policies
from policies.snapshot import Snapshot

POLICY = """\
apiVersion: passavant/v1
kind: Policy
name: difference
default: deny
users: {default: unrestricted}
agents:
  clerk: {roles: [clerk], owner: team}
  idle: {roles: [idle], owner: team}
groups: {people: {members: [ana]}}
approvals: {one: {from: people, quorum: 1, expires: 30m, not: [requester]}}
limits: {often: {per: agent, rate: 5/min}}
tools:
  s.open: {risk: read, emits: []}
  s.pay: {risk: write, emits: []}
guardrails:
  - {id: not-ten, why: w, tools: [s.pay], when: "args.n == 10"}
rules:
  - {id: opens, why: w, roles: [clerk], tools: [s.open], effect: allow}
  - {id: pays, why: w, roles: [clerk], tools: [s.pay], effect: allow, when: "args.n <= 1"}
"""


def compiled(*changed: tuple[str, str]) -> Snapshot:
    text = POLICY
    for old, new in changed:
        assert old in text
        text = text.replace(old, new)
    return compile_snapshot(read_policies([("p.yaml", text.encode())]), None)


def found(*changed: tuple[str, str]) -> list[tuple[str, str, str]]:
    return [(each.what, each.name, each.kind) for each in changes(compiled(), compiled(*changed))]


def moved(*changed: tuple[str, str]) -> list[Cell]:
    return list(cells(compiled(), compiled(*changed), user=None, now=0))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param("n <= 1", "n <= 2", ("rule", "pays", "changed"), id="a-condition"),
        pytest.param("n == 10", "n > 9", ("guardrail", "not-ten", "changed"), id="a-guardrail"),
        pytest.param("[s.open], effect", "[s.*], effect", ("rule", "opens", "changed"), id="tools"),
        pytest.param("5/min", "6/min", ("limit", "often", "changed"), id="a-limit"),
        pytest.param("[ana]", "[ana, bo]", ("group", "people", "changed"), id="a-group"),
        pytest.param("quorum: 1", "quorum: 2", ("approval", "one", "changed"), id="an-approval"),
        pytest.param("risk: write", "risk: read", ("tool", "s.pay", "changed"), id="a-risk"),
        pytest.param("[idle], o", "[clerk], o", ("agent", "idle", "changed"), id="an-agent"),
        pytest.param(
            "{default: unrestricted}", "{default: [s.open]}", ("user list", "default", "changed"),
            id="users",
        ),
        pytest.param(
            "rules:\n", "delegation:\n  max_hops: 1\nrules:\n", ("delegation", "hops", "changed"),
            id="hops",
        ),
    ],
)  # fmt: skip
def test_what_is_said_otherwise_is_named(
    old: str, new: str, expected: tuple[str, str, str]
) -> None:
    assert expected in found((old, new))


def test_what_comes_and_goes_is_named_with_its_place() -> None:
    rule = "  - {id: more, roles: [idle], tools: [s.open], effect: allow}\n"
    before, after = compiled(), compiled(("rules:\n", f"rules:\n{rule}"))
    (added,) = changes(before, after)
    (removed,) = changes(after, before)
    assert added == Change("rule", "more", "added", after.clauses["more"].at)
    assert removed == Change("rule", "more", "removed", after.clauses["more"].at)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("rules:\n", "rules:   # what may happen\n", id="a-comment"),
        pytest.param("guardrails:\n", "\n\n\nguardrails:\n", id="lines"),
        pytest.param("name: difference", "name: another", id="the-name-of-the-file"),
    ],
)
def test_what_only_reads_otherwise_is_no_difference(old: str, new: str) -> None:
    assert found((old, new)) == []
    assert moved((old, new)) == []


OPENS = "  - {id: opens, why: w, roles: [clerk], tools: [s.open], effect: allow}\n"
GUARD = '[s.pay], when: "args.n == 10"'
ALLOW = 'effect: allow, when: "args.n <= 1"'


@pytest.mark.parametrize(
    ("old", "new", "tool", "is_wider"),
    [
        pytest.param(', when: "args.n <= 1"', "", "s.pay", True, id="a-condition-falls"),
        pytest.param(GUARD, "[s.open]", "s.pay", True, id="a-guardrail-moves-on"),
        pytest.param(ALLOW, "effect: ask, approval: one", "s.pay", False, id="people-are-asked"),
        pytest.param(GUARD, "[s.pay]", "s.pay", False, id="nothing-passes"),
        pytest.param(OPENS, "", "s.open", False, id="a-rule-goes"),
    ],
)
def test_a_cell_says_whether_more_can_pass(old: str, new: str, tool: str, is_wider: bool) -> None:
    (cell,) = [each for each in moved((old, new)) if (each.agent, each.tool) == ("clerk", tool)]
    assert cell.is_wider == is_wider


def test_a_condition_that_lets_more_pass_shows_as_a_rule_alone() -> None:
    assert moved(("n <= 1", "n <= 1000")) == []
    assert found(("n <= 1", "n <= 1000")) == [("rule", "pays", "changed")]


def test_of_a_denial_that_goes_nothing_gets_wider() -> None:
    deny = "  - {id: never, roles: [idle], tools: [s.pay], effect: deny}\n"
    with_deny = compiled(("rules:\n", f"rules:\n{deny}"))
    assert [cell for cell in cells(with_deny, compiled(), user=None, now=0) if cell.is_wider] == []

"""Lint: what it points at, where, with which code, and what it leaves in peace."""

from datetime import date
from pathlib import Path

import pytest

from policies.finding import Finding
from policies.lint import lint
from policies.loader import load_policies, read_policies
from policies.starter import starter

DATA = Path(__file__).parent / "data"
TODAY = date(2026, 11, 20)

HEAD = "apiVersion: passavant/v1\nkind: Policy\nname: test\ndefault: deny\n"
CLEAN = (
    HEAD
    + """\
users:
  default: unrestricted
agents:
  bot: {roles: [worker], owner: team-a}
  aide: {roles: [helper], owner: team-b, max_risk: read}
groups:
  people: {members: [kim, lee]}
tools:
  s.read: {risk: read, emits: [web]}
  s.write: {risk: write, emits: []}
  s.pay: {risk: irreversible, emits: [], cost: {eur: args.amount}}
approvals:
  one: {from: people, quorum: 2, expires: 30m}
limits:
  slow: {per: agent, rate: 5/min}
budgets:
  eur: {per: user, amount: 100, window: 1d, unit: eur}
guardrails:
  - {id: never-tainted, why: x, tools: [s.pay], when: "'web' in labels"}
rules:
  - {id: reads, roles: [worker, helper], tools: [s.read], effect: allow, limits: [slow]}
  - {id: writes, roles: [worker], tools: [s.write], effect: allow}
  - {id: pays, roles: [worker], tools: [s.pay], effect: ask, approval: one, budgets: [eur]}
"""
)


def found(*texts: str, today: date = TODAY) -> tuple[Finding, ...]:
    files = [(f"p{number}.yaml", text.encode()) for number, text in enumerate(texts)]
    return lint(read_policies(files), today=today)


def codes(text: str) -> list[str]:
    return [finding.code for finding in found(text)]


def rule(members: str) -> str:
    return f"{CLEAN}  - {{id: added, {members}}}\n"


def test_a_release_of_any_call_is_pointed_at() -> None:
    release = "id: f, why: x, tool: s.read, part: a, from: [web]"
    assert codes(f"{CLEAN}releases: [{{{release}}}]\n") == ["lint.release-any-call"]
    assert not codes(f"{CLEAN}releases: [{{{release}, when: args.id == 'x'}}]\n")


def test_a_careful_policy_is_left_in_peace() -> None:
    assert found(CLEAN) == ()


MEMORY = CLEAN.replace("tools:\n", "tools:\n  memory.put: {}\n", 1)
SPACE = "spaces:\n  notes: {of: agent, roles: [helper], keep: 1d}\n"


@pytest.mark.parametrize("space", [SPACE, "spaces:\n  session: {entries: 3}\n"])
def test_a_space_that_no_rule_lets_anybody_use_is_pointed_at(space: str) -> None:
    assert codes(MEMORY + space) == ["lint.unused"]
    allowed = '  - {id: puts, agents: [aide, bot], tools: ["memory.*"], effect: allow}\n'
    memory = MEMORY.replace(", max_risk: read", "")
    assert codes(memory + allowed + space) == []


def test_the_starter_policy_is_a_careful_one() -> None:
    content = starter("/srv/r")["starter.policy.yaml"]
    assert lint(read_policies([("p", content)]), today=TODAY) == ()


def test_of_the_example_it_asks_three_things() -> None:
    documents = load_policies([DATA / "acme.policy.yaml"])
    findings = lint(documents, today=TODAY)
    assert [(finding.code, finding.at.line) for finding in findings] == [
        ("lint.unused", 33),
        ("lint.unused", 40),
        ("lint.no-why", 85),
    ]


@pytest.mark.parametrize(
    ("old", "new", "code", "place"),
    [
        pytest.param(
            "users:\n  default: unrestricted\n", "", "lint.users-unstated", "6:3", id="users"
        ),
        pytest.param(", owner: team-a", "", "lint.no-owner", "8:3", id="owner"),
        pytest.param("[kim, lee]", "[kim]", "lint.quorum", "17:31", id="quorum-of-more-than-all"),
        pytest.param(
            "expires: 30m}",
            "expires: 30m, self: allowed}",
            "lint.self-approval",
            "17:54",
            id="self",
        ),
        pytest.param(
            "expires: 30m}",
            "expires: 30m, break_glass: {from: people, within: 5m}}",
            "lint.break-glass",
            "17:61",
            id="who-is-asked-may-break-the-glass",
        ),
        pytest.param(
            "owner: team-a", "owner: team-a, until: 2026-11-19", "lint.expired", "8:48", id="over"
        ),
        pytest.param(
            "owner: team-a", "owner: team-a, until: 2026-12-01", "lint.expires", "8:48", id="soon"
        ),
        pytest.param(
            "[helper]", "[helper, idle]", "lint.unused-role", "9:17", id="role-without-rule"
        ),
        pytest.param(", limits: [slow]", "", "lint.unused", "19:3", id="unused-limit"),
        pytest.param(", budgets: [eur]", "", "lint.unused", "21:3", id="unused-budget"),
        pytest.param(
            "  people:", "  others: {members: [eve]}\n  people:", "lint.unused", "11:3", id="group"
        ),
        pytest.param(
            ", cost: {eur: args.amount}", "", "lint.no-cost", "27:87", id="budget-without-cost"
        ),
        pytest.param(
            "'web' in", "'wed' in", "lint.unknown-label", "23:55", id="label-that-nothing-emits"
        ),
    ],
)
def test_a_doubtful_register_is_pointed_at(old: str, new: str, code: str, place: str) -> None:
    assert old in CLEAN
    (finding,) = found(CLEAN.replace(old, new))
    assert (finding.code, str(finding.at)) == (code, f"p0.yaml:{place}")
    assert finding.message


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param(
            "roles: [worker], tools: [s.pay], effect: allow, why: Trust.",
            ["lint.allow-irreversible"],
            id="final-without-condition",
        ),
        pytest.param(
            "roles: [worker], tools: ['s.*'], effect: allow, when: args.ok",
            ["lint.no-why"],
            id="final-by-pattern-without-reason",
        ),
        pytest.param(
            "roles: [helper], tools: [s.write], effect: allow",
            ["lint.never-matches"],
            id="above-the-risk-of-all-it-concerns",
        ),
        pytest.param(
            "roles: [worker], tools: [s.write], effect: allow", ["lint.repeated"], id="repeated"
        ),
        pytest.param(
            "roles: [worker], tools: [s.read], effect: allow, until: 2026-11-19",
            ["lint.expired"],
            id="ended",
        ),
        pytest.param(
            "roles: [worker], tools: [s.read], effect: allow, until: 2026-11-20",
            ["lint.expires"],
            id="ends-today",
        ),
        pytest.param(
            "roles: [worker], tools: [s.read], effect: allow, until: 2026-12-20",
            ["lint.expires"],
            id="ends-in-30-days",
        ),
        pytest.param(
            "roles: [worker], tools: [s.read], effect: allow, until: 2026-12-21", [], id="31-days"
        ),
        pytest.param(
            "agents: ['*'], tools: [s.write], effect: deny", ["lint.shadowed"], id="shadowed"
        ),
        pytest.param(
            "agents: ['*'], tools: [s.write], effect: deny, when: args.x", [], id="deny-sometimes"
        ),
        pytest.param(
            "agents: ['*'], tools: [s.write], effect: deny, until: 2027-12-31",
            [],
            id="deny-a-while",
        ),
        pytest.param("roles: [helper], tools: [s.read], effect: deny", [], id="shadowed-in-part"),
    ],
)
def test_a_doubtful_rule_is_pointed_at(members: str, expected: list[str]) -> None:
    assert codes(rule(members)) == expected


@pytest.mark.parametrize(
    ("effect", "when", "expected"),
    [
        pytest.param("allow", "args.n <= 100", ["lint.one-sided"], id="upper-bound-alone"),
        pytest.param("allow", "100 >= args.n", ["lint.one-sided"], id="upper-bound-mirrored"),
        pytest.param("allow", "args.n > 0", ["lint.one-sided"], id="lower-bound-alone"),
        pytest.param("allow", "args.n > 0 && args.n <= 100", [], id="both-bounds"),
        pytest.param("allow", "0 < args.n && 100 >= args.n", [], id="both-bounds-mirrored"),
        pytest.param("allow", "args.a > 0 && args.b < 9", ["lint.one-sided"] * 2, id="of-two"),
        pytest.param("allow", "size(args.t) <= 100", [], id="a-size-is-never-negative"),
        pytest.param("deny", "args.n > 100", [], id="a-deny-needs-one-bound"),
        pytest.param(
            "allow", "args.t.endsWith('acme.example')", ["lint.loose-suffix"], id="suffix"
        ),
        pytest.param("allow", "args.t.endsWith('@acme.example')", [], id="suffix-after-at"),
        pytest.param("allow", "args.t.endsWith('.acme.example')", [], id="suffix-after-dot"),
        pytest.param("allow", "args.t.endsWith('ing')", [], id="suffix-that-is-no-domain"),
        pytest.param("allow", "args.t.startsWith('/data/')", ["lint.loose-prefix"], id="path"),
        pytest.param("allow", "args.t.startsWith('Re: ')", [], id="prefix-that-is-no-path"),
        pytest.param("allow", "under(args.t, '/data')", [], id="under"),
        pytest.param("allow", "args.t.matches('[a-z]+')", ["lint.unanchored"], id="no-anchors"),
        pytest.param("allow", "args.t.matches('^[a-z]+')", ["lint.unanchored"], id="no-end"),
        pytest.param("allow", r"args.t.matches(r'^[a-z]+\\$')", ["lint.unanchored"], id="dollar"),
        pytest.param("allow", "args.t.matches('^[a-z]+$')", [], id="anchors"),
        pytest.param("allow", "true", ["lint.constant"], id="constant"),
        pytest.param("deny", "'web' in labels", [], id="label-that-is-emitted"),
        pytest.param("deny", "'private' in labels", [], id="label-of-the-undeclared"),
        pytest.param("deny", "!('pii' in labels)", ["lint.unknown-label"], id="label-negated"),
        pytest.param("allow", "args.t ==", [], id="what-cannot-be-read-is-for-the-compiler"),
    ],
)
def test_a_condition_that_means_more_than_it_seems_is_pointed_at(
    effect: str, when: str, expected: list[str]
) -> None:
    assert (
        codes(rule(f'roles: [worker], tools: [s.read], effect: {effect}, when: "{when}"'))
        == expected
    )


def test_a_finding_in_a_condition_stands_at_the_part_it_is_about() -> None:
    text = rule(
        'roles: [worker], tools: [s.read], effect: allow, when: "args.a == 1 && args.n < 5"'
    )
    (finding,) = found(text)
    line = text.splitlines()[finding.at.line - 1]
    assert line[finding.at.column - 1 :].startswith("args.n < 5")


def test_more_rules_than_can_be_looked_at_quickly_are_pointed_at() -> None:
    what = "roles: [worker], tools: [s.read], effect: deny, when: args.x =="
    more = "".join(f"  - {{id: more-{n}, {what} {n}}}\n" for n in range(20))
    assert codes(CLEAN + more) == ["lint.crowded"]


def test_an_edge_that_lends_what_its_target_may_not_use_is_pointed_at() -> None:
    edges = "delegation: {edges: [{id: e, from: bot, to: aide, tools: [s.read, s.write]}]}\n"
    (finding,) = found(CLEAN + edges)
    assert finding.code == "lint.edge-without-right"
    assert "s.write" in finding.message


def test_findings_of_several_files_come_in_file_order() -> None:
    second = (
        HEAD + "rules: [{id: late, roles: [worker], tools: [s.read], effect: deny, when: 'true'}]\n"
    )
    findings = found(CLEAN.replace(", owner: team-a", ""), second)
    assert [finding.at.file for finding in findings] == ["p0.yaml", "p1.yaml"]


def test_everything_but_an_impossible_quorum_is_a_warning() -> None:
    findings = found(CLEAN.replace("[kim, lee]", "[kim]").replace(", owner: team-a", ""))
    assert [(finding.code, finding.severity) for finding in findings] == [
        ("lint.no-owner", "warning"),
        ("lint.quorum", "error"),
    ]

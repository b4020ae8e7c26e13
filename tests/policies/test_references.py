"""Names across a set of files: each defined once, each use resolved, the nearest one offered."""

import pytest

from policies.errors import PolicyInvalid
from policies.finding import Finding
from policies.loader import read_policies
from tests.policies import documents
from tests.policies.documents import HEAD

WORLD = HEAD + documents.WORLD


def findings_of(*texts: str) -> tuple[Finding, ...]:
    with pytest.raises(PolicyInvalid) as caught:
        read_policies((f"p{number}.yaml", text.encode()) for number, text in enumerate(texts))
    return caught.value.findings


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        pytest.param(
            "rules: [{id: r, roles: [wroker], tools: [s.read], effect: allow}]",
            "policy.unknown-role", "'worker'", id="role",
        ),
        pytest.param(
            "spaces: {notes: {of: agent, agents: [bott], keep: 1d}}",
            "policy.unknown-agent", "'bot'", id="agent-of-a-space",
        ),
        pytest.param(
            "spaces: {notes: {of: agent, roles: [wroker], keep: 1d}}",
            "policy.unknown-role", "'worker'", id="role-of-a-space",
        ),
        pytest.param(
            "front_ends: {web: {users: [ana], agents: [bott]}}",
            "policy.unknown-agent", "'bot'", id="agent-of-a-front-end",
        ),
        pytest.param(
            "front_ends: {web: {groups: [poeple], agents: [bot]}}",
            "policy.unknown-group", "'people'", id="group-of-a-front-end",
        ),
        pytest.param(
            "front_ends: {aide: {users: [ana], agents: [bot]}}",
            "policy.front-end", None, id="front-end-that-is-an-agent",
        ),
        pytest.param(
            "rules: [{id: r, agents: [bott], tools: [s.read], effect: allow}]",
            "policy.unknown-agent", "'bot'", id="agent",
        ),
        pytest.param(
            "rules: [{id: r, roles: [worker], tools: [s.raed], effect: allow}]",
            "policy.unknown-tool", "'s.read'", id="tool",
        ),
        pytest.param(
            "rules: [{id: r, roles: [worker], tools: ['t.*'], effect: allow}]",
            "policy.unknown-tool", None, id="pattern-that-covers-nothing",
        ),
        pytest.param(
            "rules: [{id: r, roles: [worker], tools: [s.read], effect: ask, approval: ones}]",
            "policy.unknown-approval", "'one'", id="approval",
        ),
        pytest.param(
            "rules: [{id: r, roles: [worker], tools: [s.read], effect: allow, limits: [slowly]}]",
            "policy.unknown-limit", "'slow'", id="limit",
        ),
        pytest.param(
            "rules: [{id: r, roles: [worker], tools: [s.read], effect: allow, budgets: [euro]}]",
            "policy.unknown-budget", "'eur'", id="budget",
        ),
        pytest.param(
            "guardrails: [{id: g, why: x, tools: [s.rite]}]",
            "policy.unknown-tool", "'s.write'", id="guardrail-tool",
        ),
        pytest.param(
            "guardrails: [{id: g, why: x, roles: [workers], tools: [s.write]}]",
            "policy.unknown-role", "'worker'", id="guardrail-role",
        ),
        pytest.param(
            "delegation: {edges: [{id: e, from: bto, to: aide, tools: [s.read]}]}",
            "policy.unknown-agent", "'bot'", id="edge-from",
        ),
        pytest.param(
            "delegation: {edges: [{id: e, from: bot, to: aid, tools: [s.read]}]}",
            "policy.unknown-agent", "'aide'", id="edge-to",
        ),
        pytest.param(
            "delegation: {edges: [{id: e, from: bot, to: aide, tools: [x.read]}]}",
            "policy.unknown-tool", "'s.read'", id="edge-tool",
        ),
        pytest.param(
            "users: {default: [s.reads]}", "policy.unknown-tool", "'s.read'", id="user-default",
        ),
        pytest.param(
            "users: {default: unrestricted, a: {members: [x], tools: [s.reads]}}",
            "policy.unknown-tool", "'s.read'", id="user-list",
        ),
        pytest.param(
            "invariants: [{id: i, never: {roles: [werker], effect: [allow]}}]",
            "policy.unknown-role", "'worker'", id="invariant-role",
        ),
        pytest.param(
            "invariants: [{id: i, never: {agents: [bots], effect: [allow]}}]",
            "policy.unknown-agent", "'bot'", id="invariant-agent",
        ),
        pytest.param(
            "invariants: [{id: i, never: {tools: [s.reed], effect: [allow]}}]",
            "policy.unknown-tool", "'s.read'", id="invariant-tool",
        ),
        pytest.param(
            "invariants: [{id: i, never: {effect: [allow]}, except: [nobody]}]",
            "policy.unknown-rule", None, id="invariant-except",
        ),
    ],
)  # fmt: skip
def test_a_name_that_nothing_defines_is_refused(text: str, code: str, hint: str | None) -> None:
    (finding,) = findings_of(WORLD + text)
    assert finding.code == code
    assert finding.hint == (hint and f"did you mean {hint}?")


def test_a_group_that_nothing_defines_is_refused() -> None:
    text = WORLD.replace("from: people", "from: poeple")
    (finding,) = findings_of(text)
    assert (finding.code, finding.hint) == ("policy.unknown-group", "did you mean 'people'?")


def test_an_undo_by_a_tool_that_nothing_defines_is_refused() -> None:
    text = WORLD.replace("{risk: write}", "{risk: write, undo: {tool: s.unwrite}}")
    (finding,) = findings_of(text)
    assert (finding.code, finding.hint) == ("policy.unknown-tool", "did you mean 's.write'?")


def test_a_use_is_reported_where_it_stands() -> None:
    rule = (
        "rules:\n  - id: r\n    roles: [worker]\n    tools: [s.read, s.gone]\n    effect: allow\n"
    )
    (finding,) = findings_of(WORLD + rule)
    assert str(finding.at) == "p0.yaml:22:21"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("agents: {bot: {roles: [other]}}", id="agent"),
        pytest.param("groups: {people: {members: [eve]}}", id="group"),
        pytest.param("tools: {s.read: {risk: read}}", id="tool"),
        pytest.param("approvals: {one: {from: people, quorum: 1, expires: 7d}}", id="approval"),
        pytest.param("limits: {slow: {per: agent, rate: 9999/s}}", id="limit"),
        pytest.param("budgets: {eur: {per: user, amount: 9, window: 1d, unit: eur}}", id="budget"),
        pytest.param("guardrails: [{id: first, why: x, tools: [s.read]}]", id="id-of-a-guardrail"),
        pytest.param(
            "rules: [{id: first, roles: [worker], tools: [s.read], effect: deny}]",
            id="id-of-a-rule",
        ),
        pytest.param(
            "invariants: [{id: first, never: {effect: [allow]}}]", id="id-of-an-invariant"
        ),
        pytest.param(
            "releases: [{id: first, why: x, tool: s.read, part: a, from: [untrusted]}]",
            id="id-of-a-release",
        ),
        pytest.param("users: {default: [s.read]}", id="users-a-second-time"),
        pytest.param("delegation: {max_hops: 8}", id="delegation-a-second-time"),
    ],
)
def test_a_name_stated_in_two_files_is_refused_and_says_where_the_first_is(text: str) -> None:
    first = WORLD + (
        "users: {default: unrestricted}\ndelegation: {max_hops: 1}\n"
        "rules: [{id: first, roles: [worker], tools: [s.read], effect: allow}]\n"
    )
    (finding,) = findings_of(first, HEAD + text)
    assert finding.code == "policy.duplicate"
    assert finding.at.file == "p1.yaml"
    assert "already stated at p0.yaml:" in finding.message


def test_the_same_file_twice_is_refused() -> None:
    assert {finding.code for finding in findings_of(WORLD, WORLD)} == {"policy.duplicate"}


@pytest.mark.parametrize(
    ("release", "code"),
    [
        pytest.param("tool: s.gone, part: a, from: [untrusted]", "policy.unknown-tool", id="tool"),
        pytest.param("tool: s.read, part: a, from: [web]", "policy.release", id="not-its-label"),
    ],
)
def test_a_release_is_of_a_label_that_its_own_tool_puts_on(release: str, code: str) -> None:
    (finding,) = findings_of(WORLD + f"releases: [{{id: f, why: x, {release}}}]\n")
    assert finding.code == code


def test_an_id_serves_once_in_all_blocks_of_a_file() -> None:
    text = WORLD + (
        "rules: [{id: same, roles: [worker], tools: [s.read], effect: allow}]\n"
        "guardrails: [{id: same, why: x, tools: [s.write]}]\n"
        "delegation: {edges: [{id: same, from: bot, to: aide, tools: [s.read]}]}\n"
    )
    assert [finding.code for finding in findings_of(text)] == ["policy.duplicate"] * 2

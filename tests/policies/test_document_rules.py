"""What rules, guardrails and releases accept, and above all what they refuse."""

import pytest

from tests.policies.documents import WORLD, codes, read


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        pytest.param("{}", "policy.missing-key", id="empty"),
        pytest.param(
            "{id: R, roles: [worker], tools: [s.read], effect: allow}", "policy.name", id="id"
        ),
        pytest.param(
            "{id: default, roles: [worker], tools: [s.read], effect: allow}",
            "policy.reserved-id",
            id="reserved-id",
        ),
        pytest.param("{id: r, tools: [s.read], effect: allow}", "policy.who", id="nobody"),
        pytest.param(
            "{id: r, roles: [worker], agents: [bot], tools: [s.read], effect: allow}",
            "policy.who",
            id="roles-and-agents",
        ),
        pytest.param(
            "{id: r, roles: [], tools: [s.read], effect: allow}", "policy.empty", id="no-roles"
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: [], effect: allow}", "policy.empty", id="no-tools"
        ),
        pytest.param(
            "{id: r, roles: [worker], effect: allow}", "policy.what", id="no-tools-no-risk"
        ),
        pytest.param(
            "{id: r, roles: [worker], risk: [], effect: allow}", "policy.empty", id="no-class"
        ),
        pytest.param(
            "{id: r, roles: [worker], risk: [harmless], effect: allow}",
            "policy.not-a-choice",
            id="unknown-class",
        ),
        pytest.param(
            "{id: r, roles: [worker], risk: ['*'], effect: allow}",
            "policy.not-a-choice",
            id="every-class",
        ),
        pytest.param(
            "{id: r, roles: [worker], risk: [read, read], effect: allow}",
            "policy.twice",
            id="class-twice",
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: ['*'], risk: [read], effect: allow}",
            "policy.wildcard",
            id="everything-of-a-class",
        ),
        pytest.param(
            "{id: r, agents: ['*'], tools: [s.read], effect: allow}",
            "policy.wildcard",
            id="allow-to-all",
        ),
        pytest.param(
            "{id: r, agents: ['*'], tools: [s.read], effect: ask, approval: one}",
            "policy.wildcard",
            id="ask-of-all",
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: ['*'], effect: allow}",
            "policy.wildcard",
            id="allow-everything",
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: ['*'], effect: ask, approval: one}",
            "policy.wildcard",
            id="ask-everything",
        ),
        pytest.param(
            "{id: r, agents: ['*', bot], tools: [s.read], effect: deny}",
            "policy.wildcard",
            id="wildcard-beside-a-name",
        ),
        pytest.param(
            "{id: r, roles: ['*'], tools: [s.read], effect: allow}", "policy.name", id="all-roles"
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: ['*.read'], effect: allow}",
            "policy.tool-name",
            id="any-server",
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: ['s.r*d'], effect: allow}",
            "policy.tool-name",
            id="inner-star",
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: ['s*'], effect: allow}",
            "policy.tool-name",
            id="servers-by-prefix",
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: [s.read], effect: Deny}",
            "policy.not-a-choice",
            id="effect-in-capitals",
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: [s.read], effect: approve}",
            "policy.not-a-choice",
            id="approve-is-no-effect",
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: [s.read], effect: ask}",
            "policy.approval",
            id="ask-of-nobody",
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: [s.read], effect: allow, approval: one}",
            "policy.approval",
            id="allow-with-approval",
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: [s.read], effect: deny, limits: [slow]}",
            "policy.contradiction",
            id="deny-with-limit",
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: [s.read], effect: allow, limits: []}",
            "policy.empty",
            id="no-limits",
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: [s.read], effect: allow, when: }",
            "policy.nothing",
            id="when-nothing",
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: [s.read], effect: allow, when: ''}",
            "policy.out-of-range",
            id="when-empty",
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: [s.read], effect: allow, when: true}",
            "policy.wrong-type",
            id="when-truth",
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: [s.read], effect: allow, until: 2027}",
            "policy.date",
            id="until-a-year",
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: [s.read], effect: allow, until: '2027-03-31'}",
            "policy.date",
            id="until-a-text",
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: [s.read], effect: allow, until: 2027-03-31T10:00:00Z}",
            "policy.date",
            id="until-a-moment",
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: [s.read], effect: allow, why: '  '}",
            "policy.spelling",
            id="why-blank",
        ),
        pytest.param(
            "{id: r, roles: [worker], tools: [s.read], effect: allow, priority: 1}",
            "policy.unknown-key",
            id="priority",
        ),
    ],
)
def test_a_rule_that_grants_unclearly_is_refused(rule: str, code: str) -> None:
    assert code in codes(f"{WORLD}rules:\n  - {rule}\n")


def test_a_deny_may_concern_everyone_and_everything() -> None:
    policy = read(f"{WORLD}rules: [{{id: r, agents: ['*'], tools: ['*'], effect: deny}}]")
    assert policy.rules[0].subjects == ("*",)


def test_an_allow_may_name_all_tools_of_one_server() -> None:
    policy = read(f"{WORLD}rules: [{{id: r, roles: [worker], tools: ['s.*'], effect: allow}}]")
    assert policy.rules[0].tools == ("s.*",)


@pytest.mark.parametrize(
    ("guardrail", "code"),
    [
        pytest.param("{id: g, tools: [s.read]}", "policy.missing-key", id="no-why"),
        pytest.param(
            "{id: g, why: x, tools: [s.read], effect: allow}", "policy.not-a-choice", id="x"
        ),
        pytest.param("{id: g, why: x, tools: [s.read], effect: ask}", "policy.approval", id="ask"),
        pytest.param(
            "{id: g, why: x, tools: [s.read], approval: one}", "policy.approval", id="deny-asks"
        ),
        pytest.param(
            "{id: g, why: x, tools: [s.read], until: 2027-03-31}", "policy.unknown-key", id="until"
        ),
        pytest.param("{id: g, why: x, tools: []}", "policy.empty", id="no-tools"),
        pytest.param(
            r'{id: g, why: "a \u202e b", tools: [s.read]}',
            "policy.hidden-character",
            id="direction",
        ),
        pytest.param(
            r'{id: g, why: "\e[2J", tools: [s.read]}', "policy.hidden-character", id="terminal"
        ),
        pytest.param("{id: g, why: x, agents: [], tools: [s.read]}", "policy.empty", id="agents"),
    ],
)
def test_a_guardrail_that_could_be_lifted_or_misread_is_refused(guardrail: str, code: str) -> None:
    assert code in codes(f"{WORLD}guardrails:\n  - {guardrail}\n")


@pytest.mark.parametrize(
    ("release", "code"),
    [
        pytest.param("{id: f, tool: s.read, part: a, from: [x]}", "policy.missing-key", id="why"),
        pytest.param("{id: f, why: x, tool: s.read, from: [x]}", "policy.missing-key", id="part"),
        pytest.param("{id: f, why: x, tool: s.read, part: a}", "policy.missing-key", id="labels"),
        pytest.param(
            "{id: f, why: x, tool: 's.*', part: a, from: [x]}", "policy.tool-name", id="any-tool"
        ),
        pytest.param(
            "{id: f, why: x, tool: s.read, part: '*', from: [x]}", "policy.spelling", id="any-part"
        ),
        pytest.param(
            "{id: f, why: x, tool: s.read, part: 'a[]', from: [x]}", "policy.spelling", id="list"
        ),
        pytest.param(
            "{id: f, why: x, tool: s.read, part: 'a[].b', from: [x]}", "policy.spelling", id="all"
        ),
        pytest.param(
            "{id: f, why: x, tool: s.read, part: '', from: [x]}", "policy.spelling", id="whole"
        ),
        pytest.param(
            "{id: f, why: x, tool: s.read, part: a, from: ['*']}", "policy.spelling", id="labels-x"
        ),
        pytest.param(
            "{id: f, why: x, tool: s.read, part: a, from: []}", "policy.empty", id="from-nothing"
        ),
        pytest.param(
            "{id: default, why: x, tool: s.read, part: a, from: [x]}",
            "policy.reserved-id",
            id="reserved",
        ),
        pytest.param(
            "{id: f, why: x, tool: s.read, part: a, from: [x], roles: [worker]}",
            "policy.unknown-key",
            id="for-whom",
        ),
    ],
)
def test_a_release_of_more_than_one_value_is_refused(release: str, code: str) -> None:
    assert code in codes(f"{WORLD}releases:\n  - {release}\n")


def test_a_release_names_one_member_of_a_result_and_labels() -> None:
    text = f"{WORLD}releases: [{{id: f, why: x, tool: s.read, part: a.b, from: [private]}}]"
    (release,) = read(text).releases
    assert (release.tool, release.part, release.from_) == ("s.read", "a.b", ("private",))


def test_a_guardrail_concerns_everyone_and_denies_unless_it_says_otherwise() -> None:
    policy = read(f"{WORLD}guardrails: [{{id: g, why: x, tools: [s.read]}}]")
    assert (policy.guardrails[0].subjects, policy.guardrails[0].effect) == (("*",), "deny")


def test_a_guardrail_may_turn_an_allow_into_ask() -> None:
    text = f"{WORLD}guardrails: [{{id: g, why: x, tools: ['*'], effect: ask, approval: one}}]"
    assert read(text).guardrails[0].approval == "one"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("delegation: {max_hops: -1}", "policy.out-of-range", id="hops-negative"),
        pytest.param("delegation: {max_hops: 9}", "policy.out-of-range", id="hops-endless"),
        pytest.param("delegation: {edges: []}", "policy.empty", id="no-edges"),
        pytest.param(
            "delegation: {edges: [{id: e, from: bot, to: bot, tools: [s.read]}]}",
            "policy.delegation",
            id="to-itself",
        ),
        pytest.param(
            "delegation: {edges: [{id: e, from: bot, to: aide, tools: ['*']}]}",
            "policy.wildcard",
            id="everything",
        ),
        pytest.param(
            "delegation: {edges: [{id: e, from: bot, to: aide, tools: []}]}",
            "policy.empty",
            id="nothing",
        ),
        pytest.param("invariants: [{id: i, never: {}}]", "policy.missing-key", id="no-effect"),
        pytest.param("invariants: [{id: i, never: {effect: []}}]", "policy.empty", id="no-effects"),
        pytest.param(
            "invariants: [{id: i, never: {effect: [deny]}}]", "policy.not-a-choice", id="never-deny"
        ),
        pytest.param(
            "invariants: [{id: i, never: {effect: [allow]}, except: []}]", "policy.empty", id="but"
        ),
    ],
)
def test_a_bound_that_binds_nothing_is_refused(text: str, code: str) -> None:
    assert code in codes(WORLD + text)

"""Test files: what they may state, and what is refused in them."""

import pytest

from policies.errors import PolicyInvalid
from policies.expectations import PolicyTest, Row
from policies.loader import read_tests

HEAD = "apiVersion: passavant/v1\nkind: PolicyTest\npolicy: p.yaml\n"
CALLS = "calls:\n  pay: {agent: bot, tool: s.pay, args: {amount: 40}}\n"


def read(text: str) -> PolicyTest:
    return read_tests("t.yaml", (HEAD + text).encode()).content


def codes(text: str) -> list[str]:
    with pytest.raises(PolicyInvalid) as caught:
        read(text)
    return [finding.code for finding in caught.value.findings]


def test_a_call_may_state_every_fact() -> None:
    call = read(
        "calls: {c: {agent: a, tool: s.t, args: {x: [1, null, {y: 0.5}]}, user: kim@example,"
        " groups: [staff], chain: [b], scopes: [s.*], labels: [web], provenance: {x: user},"
        " origin: {target: user, carried: nothing}, secrets: [token],"
        " purpose: Pay rent., purpose_tools: [s.t], session: one, totals: {eur: 5},"
        " now: 1970-01-02}}"
    ).calls["c"]
    assert call.args == {"x": [1, None, {"y": 0.5}]}
    assert call.now == 86_400_000_000
    assert (call.groups, call.chain, call.scopes) == (("staff",), ("b",), ("s.*",))
    assert (call.provenance, call.totals) == ({"x": "user"}, {"eur": 5})
    assert (call.origin, call.secrets) == ({"target": "user", "carried": "nothing"}, ("token",))


def test_arguments_follow_the_rules_of_the_wire() -> None:
    args = read("calls: {c: {agent: a, tool: s.t, args: {x: 60.0, y: 0.5}}}").calls["c"].args
    assert args == {"x": 60, "y": 0.5}
    assert isinstance(args["x"], int)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        pytest.param("{tool: s.t}", "policy.missing-key", id="no-agent"),
        pytest.param("{agent: a}", "policy.missing-key", id="no-tool"),
        pytest.param("{agent: a, tool: 's.*'}", "policy.tool-name", id="pattern-as-tool"),
        pytest.param("{agent: a, tool: s.t, args: [1]}", "policy.wrong-type", id="args-as-list"),
        pytest.param("{agent: a, tool: s.t, args: }", "policy.nothing", id="args-of-nothing"),
        pytest.param("{agent: a, tool: s.t, args: {d: 2027-03-31}}", "policy.value", id="date"),
        pytest.param(
            "{agent: a, tool: s.t, args: {x: 9007199254740992}}", "policy.value", id="inexact"
        ),
        pytest.param("{agent: a, tool: s.t, args: {x: yes}}", "policy.implicit", id="truth-word"),
        pytest.param("{agent: a, tool: s.t, labels: web}", "policy.wrong-type", id="label-text"),
        pytest.param("{agent: a, tool: s.t, label: [web]}", "policy.unknown-key", id="typo"),
        pytest.param(
            "{agent: a, tool: s.t, provenance: {x: me}}", "policy.not-a-choice", id="provenance"
        ),
        pytest.param(
            "{agent: a, tool: s.t, origin: {target: me}}", "policy.not-a-choice", id="origin"
        ),
        pytest.param("{agent: a, tool: s.t, totals: {eur: -1}}", "policy.out-of-range", id="total"),
        pytest.param("{agent: a, tool: s.t, now: 5}", "policy.date", id="now-as-number"),
        pytest.param("{agent: a, tool: s.t, now: 2027-02-30}", "policy.implicit", id="no-such-day"),
        pytest.param(
            "{agent: a, tool: s.t, now: 2027-02-01T10:00:00}", "policy.implicit", id="no-offset"
        ),
    ],
)
def test_a_call_that_is_not_understood_is_refused(call: str, code: str) -> None:
    assert codes(f"calls: {{c: {call}}}") == [code]


@pytest.mark.parametrize(
    ("case", "code"),
    [
        pytest.param("{call: pay, expect: {effect: deny}}", "policy.missing-key", id="no-name"),
        pytest.param("{name: a, expect: {effect: deny}}", "policy.missing-key", id="no-call"),
        pytest.param("{name: a, call: pay}", "policy.missing-key", id="no-expectation"),
        pytest.param("{name: a, call: pay, expect: {}}", "policy.missing-key", id="no-effect"),
        pytest.param(
            "{name: a, call: pay, expect: {effect: approve}}", "policy.not-a-choice", id="effect"
        ),
        pytest.param(
            "{name: a, call: pay, expect: {effect: deny, approval: one}}",
            "policy.approval",
            id="deny-with-approval",
        ),
        pytest.param(
            "{name: a, call: pay, expect: {effect: deny, outcome: x}}",
            "policy.unknown-key",
            id="unknown-key",
        ),
        pytest.param(
            "{name: a, call: pay, each: [], expect: {effect: deny}}",
            "policy.empty",
            id="a-test-of-nothing",
        ),
        pytest.param(
            "{name: a, call: pya, expect: {effect: deny}}", "policy.unknown-call", id="unknown-call"
        ),
        pytest.param(
            "{name: a, call: 5, expect: {effect: deny}}", "policy.wrong-type", id="number"
        ),
        pytest.param(
            "{name: a, call: pay, with: {user: null}, expect: {effect: deny}}",
            "policy.nothing",
            id="nothing-is-no-value",
        ),
    ],
)
def test_a_test_that_is_not_understood_is_refused(case: str, code: str) -> None:
    assert codes(f"{CALLS}tests:\n  - {case}\n") == [code]


def test_a_name_of_a_test_serves_once() -> None:
    case = "{name: a, call: pay, expect: {effect: deny}}"
    assert codes(f"{CALLS}tests: [{case}, {case}]") == ["policy.duplicate"]


def test_a_table_is_read_by_row_and_column() -> None:
    matrix = read("matrix:\n  table: |\n    tool | a | b\n    s.x  | ask | deny\n").matrix
    assert matrix is not None
    assert matrix.table.agents == ("a", "b")
    assert matrix.table.rows == (Row("s.x", 1, ("ask", "deny")),)


@pytest.mark.parametrize(
    "table",
    [
        pytest.param("", id="empty"),
        pytest.param("tool | a", id="no-rows"),
        pytest.param("agent | a\ns.x | allow", id="other-head"),
        pytest.param("tool\ns.x", id="no-columns"),
        pytest.param("tool | a | a\ns.x | allow | deny", id="column-twice"),
        pytest.param("tool | a | \ns.x | allow | deny", id="column-without-name"),
        pytest.param("tool | a\ns.x | allow\ns.x | deny", id="row-twice"),
        pytest.param("tool | a\ns.x | allow | deny", id="cell-too-many"),
        pytest.param("tool | a | b\ns.x | allow", id="cell-too-few"),
        pytest.param("tool | a\ns.x | Allow", id="effect-in-capitals"),
        pytest.param("tool | a\ns.x | yes", id="no-effect"),
        pytest.param("tool | a\ns.x |", id="cell-empty"),
        pytest.param("tool | a\n\ns.x | deny", id="empty-line"),
    ],
)
def test_a_table_that_is_not_whole_is_refused(table: str) -> None:
    block = "".join(f"    {line}\n" for line in table.split("\n"))
    assert codes(f"matrix:\n  table: |\n{block}") == ["policy.table"]


@pytest.mark.parametrize("table", ["[a, b]", "5", "{a: b}"])
def test_a_table_is_a_text(table: str) -> None:
    assert codes(f"matrix: {{table: {table}}}") == ["policy.table"]


@pytest.mark.parametrize("share", ["100", "101%", "1.5%", "'-1%'", "all", "true"])
def test_a_share_is_written_in_percent(share: str) -> None:
    assert codes(f"coverage: {{rules: {share}}}") == ["policy.percent"]


@pytest.mark.parametrize(
    ("text", "policies"),
    [("policy: a.yaml", ("a.yaml",)), ("policy: [a.yaml, ../b.yaml]", ("a.yaml", "../b.yaml"))],
)
def test_a_test_file_names_its_policies(text: str, policies: tuple[str, ...]) -> None:
    raw = HEAD.replace("policy: p.yaml", text).encode()
    assert read_tests("t.yaml", raw).content.policies == policies


@pytest.mark.parametrize("line", ["", "policy: []", "policy: {a: b}", "policy: 5", "policy: ''"])
def test_a_test_file_without_a_policy_is_refused(line: str) -> None:
    with pytest.raises(PolicyInvalid):
        read_tests("t.yaml", HEAD.replace("policy: p.yaml", line).encode())

"""Rules by class: they reach what the register states to be of the class, and nothing beside it."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.compile import compile_snapshot
from policies.decision import Effect, Facts
from policies.errors import PolicyInvalid
from policies.explain import explain
from policies.kernel import decide, may_see
from policies.lint import lint
from policies.loader import read_policies
from policies.matrix import marks
from policies.pinned import ToolSchema
from policies.reach import reached
from policies.register import RISKS, Risk
from policies.snapshot import Snapshot
from tests.policies.test_lint import TODAY

REGISTER: dict[str, Risk] = {
    "fs.read": "read",
    "fs.write": "write",
    "fs.wipe": "irreversible",
    "web.fetch": "read",
}
HEAD = """\
apiVersion: passavant/v1
kind: Policy
name: test
default: deny
users: {default: unrestricted}
agents: {bot: {roles: [worker], owner: team}, aide: {roles: [worker], owner: team, max_risk: read}}
groups: {people: {members: [kim]}}
approvals: {one: {from: people, quorum: 1, expires: 30m}}
"""
TOOLS = "tools:\n" + "".join(
    f"  {name}: {{risk: {risk}, emits: []}}\n" for name, risk in REGISTER.items()
)
READS = "rules: [{id: reads, roles: [worker], risk: [read], effect: allow}]\n"


def snapshot(
    body: str, tools: str = TOOLS, catalogue: dict[str, ToolSchema] | None = None
) -> Snapshot:
    documents = read_policies([("p.yaml", (HEAD + tools + body).encode())])
    return compile_snapshot(documents, catalogue)


def effects(policy: Snapshot, agent: str = "bot") -> dict[str, Effect]:
    return {tool: decide(policy, Facts(agent, tool, {})).effect for tool in REGISTER}


def remarks(text: str) -> set[str]:
    found = lint(read_policies([("p.yaml", text.encode())]), today=TODAY)
    return {finding.code for finding in found} - {"lint.unused"}


def test_a_class_reaches_the_tools_that_are_registered_with_its_risk() -> None:
    assert effects(snapshot(READS)) == {
        "fs.read": "allow",
        "fs.write": "deny",
        "fs.wipe": "deny",
        "web.fetch": "allow",
    }


@pytest.mark.parametrize("tool", ["fs.list", "fs.reader", "fs.rea", "net.read", "read", "*"])
def test_a_class_never_reaches_a_tool_that_is_not_registered(tool: str) -> None:
    policy = snapshot(READS)
    decision = decide(policy, Facts("bot", tool, {}))
    assert (decision.effect, decision.rules) == ("deny", ("tool:unknown",))
    assert not may_see(policy, "bot", None, frozenset(), (), ("*",), tool)


def test_a_tool_without_a_stated_risk_is_irreversible_to_a_class() -> None:
    policy = snapshot(READS, "tools: {fs.read: {emits: []}}\n")
    assert decide(policy, Facts("bot", "fs.read", {})).effect == "deny"


def test_names_and_class_together_are_narrower_than_either() -> None:
    policy = snapshot(
        "rules: [{id: r, roles: [worker], tools: [fs.*], risk: [read], effect: allow}]\n"
    )
    assert [tool for tool, effect in effects(policy).items() if effect == "allow"] == ["fs.read"]


def test_what_denies_may_name_every_tool_of_a_class() -> None:
    policy = snapshot(
        "guardrails: [{id: g, why: x, tools: ['*'], risk: [irreversible]}]\n"
        "rules: [{id: r, roles: [worker], risk: [read, write, irreversible], effect: allow}]\n"
    )
    assert decide(policy, Facts("bot", "fs.wipe", {})).rules == ("g",)
    assert effects(policy)["fs.write"] == "allow"


def test_a_guardrail_by_class_asks_and_never_grants() -> None:
    guardrail = "guardrails: [{id: g, why: x, risk: [write], effect: ask, approval: one}]\n"
    assert set(effects(snapshot(guardrail)).values()) == {"deny"}
    granted = "rules: [{id: r, roles: [worker], risk: [read, write], effect: allow}]\n"
    assert effects(snapshot(guardrail + granted))["fs.write"] == "ask"
    assert effects(snapshot(guardrail + granted))["fs.read"] == "allow"


def test_a_class_leaves_the_most_that_an_agent_may_risk_as_it_is() -> None:
    policy = snapshot("rules: [{id: r, roles: [worker], risk: [write], effect: allow}]\n")
    assert effects(policy, "aide")["fs.write"] == "deny"


def test_a_class_may_have_no_member_and_check_says_so() -> None:
    policy = HEAD + "tools: {fs.read: {risk: read, emits: []}}\n" + READS
    unused = policy.replace("risk: [read], effect", "risk: [write], effect")
    assert remarks(policy) == set()
    assert remarks(unused) == {"lint.never-matches"}


def test_an_irreversible_class_that_is_allowed_is_worth_a_second_look() -> None:
    text = HEAD + TOOLS + "rules: [{id: r, roles: [worker], risk: [irreversible], effect: allow}]\n"
    assert remarks(text) == {"lint.allow-irreversible", "lint.no-why"}


def test_two_rules_that_differ_in_their_class_are_no_repetition() -> None:
    text = (
        HEAD
        + TOOLS
        + (
            "rules:\n"
            "  - {id: a, roles: [worker], risk: [read], effect: allow}\n"
            "  - {id: b, roles: [worker], risk: [write], effect: allow}\n"
        )
    )
    assert remarks(text) == set()


def test_a_condition_is_checked_against_every_tool_of_the_class() -> None:
    schema = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    other = {"type": "object", "properties": {"url": {"type": "string"}}, "required": ["url"]}
    catalogue = {
        name: ToolSchema(name, "", other if name == "web.fetch" else schema) for name in REGISTER
    }
    rule = READS.replace("effect:", "when: \"args.path == 'a'\", effect:")
    with pytest.raises(PolicyInvalid) as caught:
        snapshot(rule, catalogue=catalogue)
    (finding,) = caught.value.findings
    assert finding.code == "condition.unknown-argument"
    assert "web.fetch" in finding.message


def test_matrix_and_explanation_show_a_rule_by_class_at_each_tool_it_reaches() -> None:
    policy = snapshot(READS)
    (mark,) = marks(policy, "bot", "web.fetch", user=None, now=0)
    assert (str(mark), mark.rules) == ("allow", ("reads",))
    assert not list(marks(policy, "bot", "fs.write", user=None, now=0))
    told = explain(policy, Facts("bot", "fs.write", {}))
    assert [str(near) for near in told.near_misses] == [
        "reads: the same agent with fs.read, web.fetch"
    ]


def test_a_near_miss_names_a_few_tools_of_a_large_class() -> None:
    tools = "tools:\n  s.write: {risk: write, emits: []}\n" + "".join(
        f"  s.t{number}: {{risk: read, emits: []}}\n" for number in range(50)
    )
    (near,) = explain(snapshot(READS, tools), Facts("bot", "s.write", {})).near_misses
    assert str(near).endswith("s.t7, 42 more")


@given(
    risks=st.lists(st.sampled_from(RISKS), min_size=1, max_size=8),
    classes=st.sets(st.sampled_from(RISKS), min_size=1),
    data=st.data(),
)
def test_a_class_is_short_for_the_names_of_its_members(
    risks: list[Risk], classes: set[Risk], data: st.DataObject
) -> None:
    register = {f"s.t{number}": risk for number, risk in enumerate(risks)}
    patterns = data.draw(st.sets(st.sampled_from([*register, "s.*", "s.t1*", "other.*"])))
    found = set(reached(patterns, classes, register))
    assert found <= set(register)
    for tool, risk in register.items():
        named = not patterns or any(
            tool == each or (each.endswith("*") and tool.startswith(each[:-1])) for each in patterns
        )
        assert (tool in found) == (named and risk in classes)


@pytest.mark.parametrize(("first", "second"), list(product(RISKS, RISKS)))
def test_two_classes_reach_what_either_does(first: Risk, second: Risk) -> None:
    both = reached((), {first, second}, REGISTER)
    assert set(both) == {*reached((), {first}, REGISTER), *reached((), {second}, REGISTER)}


def test_a_guardrail_that_asks_is_a_condition_on_what_cannot_be_undone() -> None:
    rule = "rules: [{id: r, why: x, roles: [worker], risk: [irreversible], effect: allow}]\n"
    guardrail = (
        "guardrails:\n"
        "  - {id: g, why: x, %s, effect: ask, approval: one, when: \"'web' in labels\"}\n"
    )
    tools = TOOLS.replace("fs.read: {risk: read, emits: []}", "fs.read: {risk: read, emits: [web]}")
    held = HEAD + tools + guardrail % "risk: [irreversible]" + rule
    elsewhere = HEAD + tools + guardrail % "risk: [write]" + rule
    assert remarks(held) == set()
    assert remarks(elsewhere) == {"lint.allow-irreversible"}

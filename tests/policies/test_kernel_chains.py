"""Decisions for chains, of what nobody should ask, and for listings: nothing ever escapes."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.compile import compile_snapshot
from policies.decision import Facts
from policies.kernel import decide, may_see
from policies.loader import read_policies
from tests.policies.deciding import DAY, NOON_OF_MARCH_31, PAY, POLICY, READ, SNAPSHOT, decision

# -- chains ------------------------------------------------------------------------------------


def test_every_link_must_pass_on_its_own() -> None:
    """What is denied to boss, clerk may not do for boss."""
    assert decision(PAY, chain=("boss",)).effect == "allow"
    own = POLICY.replace("agents: [clerk, boss]", "agents: [boss]")
    policy = compile_snapshot(read_policies([("p.yaml", own.encode())]), None)
    facts = replace(PAY, args={"n": 13})
    assert decide(policy, facts).effect == "ask"
    assert decide(policy, replace(facts, chain=("boss",))).rules == ("never-13",)


def test_the_strictest_link_wins_and_demands_add_up() -> None:
    rule = "  - {id: leads-ask, roles: [lead], tools: [s.read], effect: ask, approval: two}\n"
    text = POLICY.replace("rules:\n", "rules:\n" + rule)
    policy = compile_snapshot(read_policies([("p.yaml", text.encode())]), None)
    assert decide(policy, READ).effect == "allow"
    answer = decide(policy, replace(READ, chain=("boss",)))
    assert answer.effect == "ask"
    assert answer.rules == ("leads-ask",)
    assert answer.limits == ("often",)


@given(
    agent=st.sampled_from(["clerk", "aide", "watcher", "boss"]),
    tool=st.sampled_from(["s.read", "s.list", "s.pay", "s.note", "t.read"]),
    chain=st.lists(st.sampled_from(["clerk", "aide", "watcher", "boss"]), max_size=3).map(tuple),
    n=st.sampled_from([3, 7, 9, 13]),
    user=st.sampled_from([None, "u", "gast"]),
)
def test_along_a_chain_rights_only_shrink(
    agent: str, tool: str, chain: tuple[str, ...], n: int, user: str | None
) -> None:
    rank = {"deny": 0, "ask": 1, "allow": 2}
    facts = Facts(agent, tool, {"n": n, "text": "t"}, user=user)
    longer = rank[decide(SNAPSHOT, replace(facts, chain=chain)).effect]
    for link in (agent, *chain):
        assert longer <= rank[decide(SNAPSHOT, replace(facts, agent=link)).effect]


# -- failures ----------------------------------------------------------------------------------


class _Broken:
    def __getattr__(self, name: str) -> object:
        raise (AttributeError if name.startswith("_") else RuntimeError)("secret")


def broken(**changes: Any) -> Facts:  # noqa: ANN401 - what no gateway would build
    return replace(READ, **changes)


@pytest.mark.parametrize(
    ("snapshot", "facts"),
    [
        pytest.param(None, READ, id="no-snapshot"),
        pytest.param(_Broken(), READ, id="broken-snapshot"),
        pytest.param(SNAPSHOT, None, id="no-facts"),
        pytest.param(SNAPSHOT, broken(chain=None), id="chain-is-nothing"),
        pytest.param(SNAPSHOT, broken(scopes=5), id="scopes-are-a-number"),
        pytest.param(SNAPSHOT, broken(tool=[]), id="tool-is-a-list"),
        pytest.param(SNAPSHOT, broken(user="u", user_groups=None), id="no-groups"),
    ],
)
def test_t15_whatever_breaks_is_a_denial(snapshot: Any, facts: Any) -> None:  # noqa: ANN401
    answer = decide(snapshot, facts)
    assert answer.effect == "deny"
    assert answer.rules == ("engine-error",)
    assert "secret" not in repr(answer)


@pytest.mark.parametrize("args", [None, 5, _Broken(), {"n": _Broken()}, []])
def test_t15_arguments_that_break_a_condition_match_no_allow(args: Any) -> None:  # noqa: ANN401
    answer = decision(PAY, args=args)
    assert answer.effect == "deny"
    assert answer.errors
    assert "secret" not in repr(answer.errors)


@given(
    facts=st.builds(
        Facts,
        agent=st.sampled_from(["clerk", "aide", "x"]),
        tool=st.sampled_from(["s.read", "s.pay", "s.note", "x"]),
        args=st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(st.sampled_from(["n", "text", "to"]), inner, max_size=3),
            ),
        ),
        user=st.one_of(st.none(), st.text(max_size=5)),
        labels=st.frozensets(st.sampled_from(["web", "pii"])),
        now=st.integers(),
    )
)
def test_a_decision_is_always_made(facts: Facts) -> None:
    answer = decide(SNAPSHOT, facts)
    assert answer.effect in {"allow", "ask", "deny"}
    assert decide(SNAPSHOT, facts) == answer, "the same facts, the same answer"


# -- listings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        pytest.param({}, {"s.read", "s.list", "s.pay", "s.note", "t.read"}, id="own-rules"),
        pytest.param({"agent": "boss"}, {"s.read", "s.list", "s.pay", "s.note"}, id="fewer"),
        pytest.param({"agent": "watcher"}, {"s.read", "s.list"}, id="by-risk"),
        pytest.param({"agent": "aide"}, set(), id="nobody-is-served"),
        pytest.param({"agent": "nobody"}, set(), id="unknown"),
        pytest.param({"scopes": ("s.read",)}, {"s.read"}, id="by-scope"),
        pytest.param({"user": "gast"}, {"s.read"}, id="by-user"),
        pytest.param({"chain": ("boss",)}, {"s.read", "s.pay"}, id="by-edge"),
        pytest.param({"chain": ("watcher",)}, set(), id="no-edge"),
        pytest.param({"scopes": None}, set(), id="broken"),
    ],
)
def test_listings_show_what_may_pass(changes: dict[str, Any], seen: set[str]) -> None:
    asked = {
        "agent": "clerk",
        "user": None,
        "user_groups": frozenset[str](),
        "chain": (),
        "scopes": ("*",),
        **changes,
    }
    tools = {*SNAPSHOT.tools, "s.unlisted"}
    assert {tool for tool in tools if may_see(SNAPSHOT, tool=tool, **asked)} == seen


@pytest.mark.parametrize(
    ("agent", "refused"),
    [
        ("clerk", set()),
        ("prover", {"s.read", "s.note", "s.pay"}),
        ("writer", {"s.note", "s.pay"}),
        ("payer", {"s.pay"}),
    ],
)
def test_what_needs_proof_of_a_key_is_refused_without_it(agent: str, refused: set[str]) -> None:
    for tool in ("s.read", "s.note", "s.pay"):
        asked = Facts(agent, tool, {"n": 3, "text": "t"})
        without = decision(asked)
        assert (without.rules == ("agent:proof",)) is (tool in refused)
        assert decision(asked, proven=True).effect == "allow"
        if tool in refused:
            assert without.effect == "deny"


def test_proof_that_one_link_needs_is_needed_by_the_chain() -> None:
    assert decision(chain=("prover",)).rules == ("agent:proof",)
    assert decision(chain=("prover",), proven=True).effect == "allow"


@pytest.mark.parametrize("proven", [False, True])
def test_listings_leave_out_what_needs_proof(proven: bool) -> None:
    seen = may_see(SNAPSHOT, "writer", None, frozenset(), (), ("*",), "s.pay", proven=proven)
    assert seen is proven
    assert may_see(SNAPSHOT, "writer", None, frozenset(), (), ("*",), "s.read", proven=proven)


def test_listings_leave_out_what_is_always_refused() -> None:
    always = "guardrails:\n  - {id: never, why: x, tools: [s.pay]}\n"
    text = POLICY.replace("guardrails:\n", always)
    policy = compile_snapshot(read_policies([("p.yaml", text.encode())]), None)
    assert not may_see(policy, "clerk", None, frozenset(), (), ("*",), "s.pay")
    assert may_see(policy, "clerk", None, frozenset(), (), ("*",), "s.read")


@given(
    asked=st.fixed_dictionaries(
        {
            "agent": st.sampled_from([*SNAPSHOT.agents, "nobody"]),
            "tool": st.sampled_from([*SNAPSHOT.tools, "s.unlisted"]),
            "user": st.sampled_from([None, "gast", "kim"]),
            "user_groups": st.sampled_from([frozenset[str](), frozenset({"oidc:group/interns"})]),
            "chain": st.sampled_from([(), ("boss",), ("clerk",), ("guest",), ("boss", "clerk")]),
            "scopes": st.sampled_from([("*",), ("s.*",), ("s.read",), ()]),
            "proven": st.booleans(),
        }
    ),
    purpose_tools=st.sampled_from([None, ("s.read",), ("*",), ()]),
    now=st.sampled_from([0, NOON_OF_MARCH_31, NOON_OF_MARCH_31 + DAY]),
)
def test_what_was_looked_at_for_the_listing_changes_no_decision(
    asked: dict[str, Any], purpose_tools: tuple[str, ...] | None, now: int
) -> None:
    if may_see(SNAPSHOT, **asked):
        facts = Facts(args={"n": 3, "text": "t"}, purpose_tools=purpose_tools, now=now, **asked)
        assert decide(SNAPSHOT, facts, seen=True) == decide(SNAPSHOT, facts)


def test_members_of_groups_are_known() -> None:
    assert SNAPSHOT.members("people") == {"kim", "lee"}
    assert SNAPSHOT.members("leads") == SNAPSHOT.members("nobody") == frozenset()
    assert SNAPSHOT.is_in("people", "kim", frozenset())
    assert not SNAPSHOT.is_in("people", "eve", frozenset({"people", "oidc:group/people"}))
    assert SNAPSHOT.is_in("leads", "eve", frozenset({"leads"}))
    assert SNAPSHOT.is_in("leads", "eve", frozenset({"oidc:group/leads"}))
    assert not SNAPSHOT.is_in("nobody", "kim", frozenset({"nobody"}))


STATED = """
apiVersion: passavant/v1
kind: Policy
name: stated
default: deny
users: {default: unrestricted}
agents:
  bot: {roles: [any], owner: team}
tools:
  s.look: {risk: read, sink: external, emits: [web]}
  s.list: {risk: read, result: trusted, emits: []}
  s.send:
    risk: write
    sink: internal
    emits: {note: [notes], id: [pii]}
    result: {id: trusted, note: untrusted}
  s.person: {risk: read, result: trusted, emits: [pii]}
  s.wipe: {}
rules:
  - id: harmless
    roles: [any]
    tools: [s.*]
    effect: allow
    when: "risk == 'read' || (sink == 'internal' && provenance.to == 'user')"
"""


def test_rules_read_what_the_policy_states_of_the_tool() -> None:
    policy = compile_snapshot(read_policies([("p.yaml", STATED.encode())]), None)
    effects = {
        tool: decide(
            policy, Facts(agent="bot", tool=tool, args={}, provenance={"to": "user"})
        ).effect
        for tool in policy.tools
    }
    assert effects == {
        "s.look": "allow",
        "s.list": "allow",
        "s.send": "allow",
        "s.person": "allow",
        "s.wipe": "deny",
    }


def test_nobody_else_can_state_it() -> None:
    policy = compile_snapshot(read_policies([("p.yaml", STATED.encode())]), None)
    claimed = Facts(agent="bot", tool="s.wipe", args={}, risk="read", sink="internal")
    assert decide(policy, claimed).effect == "deny"


def test_a_snapshot_knows_which_facts_its_conditions_read() -> None:
    policy = compile_snapshot(read_policies([("p.yaml", STATED.encode())]), None)
    assert policy.engine.roots == {"risk", "sink", "provenance"}
    assert policy.engine.reads("bot", "s.look") == {"risk", "sink", "provenance"}
    assert SNAPSHOT.engine.roots.isdisjoint({"provenance", "origin", "secrets"})


def test_results_that_may_not_be_relied_upon_taint_by_their_labels() -> None:
    policy = compile_snapshot(read_policies([("p.yaml", STATED.encode())]), None)
    assert policy.tainting == {"untrusted", "web", "notes"}  # what trusted tools emit does not
    assert policy.tools["s.send"].parts == {"note": {"notes"}, "id": {"pii"}}
    assert policy.tools["s.send"].trust == {"id": "trusted", "note": "untrusted"}

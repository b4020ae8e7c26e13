"""Decisions: what refuses before any rule, what rules add up to, and that nothing ever escapes."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.compile import compile_snapshot
from policies.decision import Decision, Effect, Facts
from policies.kernel import decide, may_see
from policies.loader import read_policies

DAY = 86_400 * 1_000_000
NOON_OF_MARCH_31 = 1_806_494_400_000_000  # 2027-03-31T12:00:00Z

POLICY = """\
apiVersion: passavant/v1
kind: Policy
name: test
default: deny
agents:
  clerk: {roles: [payer, reader]}
  aide: {roles: [payer, reader], on_behalf_of: required}
  watcher: {roles: [payer, reader], max_risk: read}
  boss: {roles: [payer, reader, lead]}
  prover: {roles: [payer, reader], proof_of_possession: required}
  writer: {roles: [payer, reader], proof_of_possession: write}
  payer: {roles: [payer, reader], proof_of_possession: irreversible}
  guest: {roles: [payer, reader], until: 2027-03-31, purpose: Helps out.}
users:
  default: unrestricted
  interns: {from: "oidc:group/interns", tools: [s.read, s.list]}
  guests: {members: [gast], tools: [s.read]}
groups:
  people: {members: [kim, lee]}
  leads: {from: "oidc:group/leads"}
tools:
  s.read: {risk: read}
  s.list: {risk: read}
  s.pay: {risk: irreversible}
  s.note: {risk: write}
  t.read: {risk: read}
approvals:
  one: {from: people, quorum: 1, expires: 30m}
  two: {from: leads, quorum: 2, expires: 4h, passkey: required, reason: required}
  self: {from: people, quorum: 1, expires: 5m, self: allowed}
limits: {often: {per: agent, rate: 5/min}, seldom: {per: user, rate: 1/day}}
budgets: {eur: {per: agent, amount: 100, window: 1d, unit: eur}}
guardrails:
  - {id: tainted, why: Text from the web must not pay., tools: [s.pay], when: "'web' in labels"}
  - id: check-notes
    why: x
    tools: [s.note]
    effect: ask
    approval: two
    when: size(args.text) > 9
rules:
  - id: reads
    roles: [reader]
    tools: [s.*]
    effect: allow
    when: tool != 's.pay'
    limits: [often]
  - id: pays-small
    roles: [payer]
    tools: [s.pay]
    effect: allow
    when: args.n <= 10
    budgets: [eur]
  - id: pays-large
    roles: [payer]
    tools: [s.pay]
    effect: ask
    approval: one
    when: args.n > 5
    limits: [seldom]
  - {id: pays-more, roles: [payer], tools: [s.pay], effect: ask, approval: self, when: "args.n > 8"}
  - {id: never-13, agents: [clerk, boss], tools: [s.pay], effect: deny, when: "args.n == 13"}
  - {id: lent, agents: [clerk], tools: [t.read], effect: allow, until: 2027-03-31}
delegation:
  max_hops: 2
  edges:
    - {id: e1, from: boss, to: clerk, tools: [s.read, s.pay]}
    - {id: e2, from: clerk, to: aide, tools: [s.*]}
    - {id: e3, from: clerk, to: boss, tools: [s.read]}
    - {id: e4, from: prover, to: clerk, tools: [s.read]}
"""

SNAPSHOT = compile_snapshot(read_policies([("policy.yaml", POLICY.encode())]), None)
READ = Facts("clerk", "s.read", {})
PAY = Facts("clerk", "s.pay", {"n": 3})


def decision(facts: Facts = READ, **changes: Any) -> Decision:  # noqa: ANN401 - members of Facts
    return decide(SNAPSHOT, replace(facts, **changes))


# -- rules -------------------------------------------------------------------------------------


def test_an_allow_names_its_rule_and_what_is_counted() -> None:
    answer = decision(PAY)
    assert answer.effect == "allow"
    assert answer.rules == ("pays-small",)
    assert answer.budgets == ("eur",)
    assert not answer.limits
    assert not answer.obligations
    assert not answer.errors
    assert answer.snapshot == SNAPSHOT.digest
    assert answer.read == ("args.n", "labels", "tool")


def test_an_ask_beats_an_allow_and_collects_every_demand() -> None:
    answer = decision(PAY, args={"n": 9})
    assert answer.effect == "ask"
    assert answer.rules == ("pays-large", "pays-more")
    assert [demand.approval for demand in answer.obligations] == ["one", "self"]
    assert answer.limits == ("seldom",)
    assert answer.budgets == ("eur",), "the allow matched too, so its budget is charged"


def test_a_demand_says_how_people_decide() -> None:
    one, own = decision(PAY, args={"n": 9}).obligations
    assert (one.from_group, one.quorum, one.expires_s) == ("people", 1, 1_800)
    assert (one.exclude_requester, one.self_allowed, one.passkey) == (True, False, False)
    assert (own.exclude_requester, own.self_allowed) == (False, True)
    (two,) = decision(replace(READ, tool="s.note"), args={"text": "long enough"}).obligations
    assert (two.quorum, two.expires_s, two.passkey, two.reason_required) == (2, 14_400, True, True)


def test_a_deny_beats_an_ask_and_counts_nothing() -> None:
    answer = decision(PAY, args={"n": 13})
    assert answer.effect == "deny"
    assert answer.rules == ("never-13",)
    assert not answer.obligations
    assert not answer.limits
    assert not answer.budgets


def test_nothing_matched_is_a_deny_without_a_rule() -> None:
    answer = decision(replace(READ, tool="t.read", agent="boss"))
    assert answer.effect == "deny"
    assert answer.rules == ()
    assert "boss" in answer.reason
    assert "t.read" in answer.reason


def test_a_guardrail_denies_whatever_rules_say_and_tells_why() -> None:
    answer = decision(PAY, labels=frozenset({"web"}))
    assert answer.effect == "deny"
    assert answer.rules == ("tainted",)
    assert "Text from the web must not pay." in answer.reason


def test_a_guardrail_turns_an_allow_into_an_ask() -> None:
    note = replace(READ, tool="s.note")
    assert decision(note, args={"text": "short"}).effect == "allow"
    answer = decision(note, args={"text": "long enough"})
    assert answer.effect == "ask"
    assert answer.rules == ("check-notes",)
    assert answer.limits == ("often",), "what the allow counts is still counted"


def test_t15_an_error_in_an_allow_or_ask_is_no_match() -> None:
    answer = decision(PAY, agent="aide", user="u", args={"m": 3})
    assert answer.effect == "deny"
    assert answer.rules == ()
    assert "pays-small: args.n is absent" in answer.errors


def test_t15_an_error_in_a_guardrail_is_a_match() -> None:
    answer = decision(replace(READ, tool="s.note"), args={"text": 5})
    assert answer.effect == "ask"
    assert answer.errors == ("check-notes: args.text has no size",)


def test_t15_an_error_in_a_deny_is_a_match() -> None:
    assert decision(PAY, args={}).rules == ("never-13",)
    odd = replace(PAY, args={"n": 3, "to": "a\u200b"})
    deny = POLICY.replace("args.n == 13", "args.to != 'ana'")
    policy = compile_snapshot(read_policies([("p.yaml", deny.encode())]), None)
    assert decide(policy, odd).rules == ("never-13",)
    assert decide(policy, replace(odd, args={"n": 3})).rules == ("never-13",)
    assert decide(policy, replace(odd, args={"n": 3, "to": "ana"})).effect == "allow"


@pytest.mark.parametrize(
    ("args", "effect"),
    [
        pytest.param({"n": 10}, "ask", id="at-the-bound"),
        pytest.param({"n": "10"}, "deny", id="text"),
        pytest.param({"n": "1e1"}, "deny", id="exponent-as-text"),
        pytest.param({"n": True}, "deny", id="truth"),
        pytest.param({"n": None}, "deny", id="null"),
        pytest.param({"n": [3]}, "deny", id="list"),
        pytest.param({"N": 3}, "deny", id="other-case"),
        pytest.param({"n": float("nan")}, "deny", id="nan-that-no-reader-lets-in"),
        pytest.param({"n": float("-inf")}, "allow", id="below-everything"),
        pytest.param({}, "deny", id="absent"),
    ],
)
def test_t13_t16_an_argument_outside_the_condition_is_not_allowed(
    args: dict[str, Any], effect: Effect
) -> None:
    assert decision(PAY, args=args).effect == effect


@pytest.mark.parametrize(
    ("now", "effect"),
    [
        pytest.param(NOON_OF_MARCH_31, "allow", id="on-the-last-day"),
        pytest.param(NOON_OF_MARCH_31 + DAY // 2 - 1, "allow", id="last-microsecond"),
        pytest.param(NOON_OF_MARCH_31 + DAY // 2, "deny", id="midnight"),
        pytest.param(NOON_OF_MARCH_31 + 400 * DAY, "deny", id="long-ago"),
    ],
)
def test_a_rule_ends_with_its_last_day(now: int, effect: Effect) -> None:
    assert decision(replace(READ, tool="t.read"), now=now).effect == effect


@pytest.mark.parametrize(
    ("now", "rules"),
    [
        pytest.param(0, ("reads",), id="before"),
        pytest.param(NOON_OF_MARCH_31 + DAY // 2 - 1, ("reads",), id="last-microsecond"),
        pytest.param(NOON_OF_MARCH_31 + DAY // 2, ("agent:expired",), id="the-day-after"),
        pytest.param(NOON_OF_MARCH_31 + 400 * DAY, ("agent:expired",), id="long-ago"),
    ],
)
def test_an_agent_ends_with_its_last_day(now: int, rules: tuple[str, ...]) -> None:
    decided = decision(replace(READ, agent="guest"), now=now)
    assert decided.rules == rules
    assert (decided.effect == "deny") == (rules == ("agent:expired",))


def test_an_agent_that_has_ended_lends_nothing_to_others() -> None:
    late = NOON_OF_MARCH_31 + DAY
    assert decision(READ, chain=("guest",), now=late).rules == ("agent:expired",)


# -- what refuses before any rule --------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        pytest.param({"agent": "nobody"}, "agent:unknown", id="unknown-agent"),
        pytest.param({"agent": ""}, "agent:unknown", id="no-name"),
        pytest.param({"agent": "Clerk"}, "agent:unknown", id="other-case"),
        pytest.param({"agent": "*"}, "agent:unknown", id="star-as-agent"),
        pytest.param({"agent": "role:lead"}, "agent:unknown", id="role-as-agent"),
        pytest.param({"agent": "agent:clerk"}, "agent:unknown", id="row-name-as-agent"),
        pytest.param({"chain": ("nobody",)}, "agent:unknown", id="unknown-link"),
        pytest.param({"tool": "s.unlisted"}, "tool:unknown", id="unlisted-tool"),
        pytest.param({"tool": "s.*"}, "tool:unknown", id="pattern-as-tool"),
        pytest.param({"tool": "*"}, "tool:unknown", id="star-as-tool"),
        pytest.param({"tool": "s.re\u0430d"}, "tool:unknown", id="look-alike-tool"),
        pytest.param({"tool": "S.READ"}, "tool:unknown", id="tool-in-capitals"),
        pytest.param({"tool": ""}, "tool:unknown", id="no-tool"),
        pytest.param({"agent": "aide"}, "agent:on-behalf-of", id="nobody-is-served"),
        pytest.param({"scopes": ()}, "scope", id="empty-scope"),
        pytest.param({"scopes": ("s.list", "t.*")}, "scope", id="other-scopes"),
        pytest.param({"scopes": ("s.rea",)}, "scope", id="beginning-of-a-name"),
        pytest.param({"scopes": ("s.read.*",)}, "scope", id="scope-below"),
        pytest.param({"scopes": ("S.*",)}, "scope", id="scope-in-capitals"),
        pytest.param({"agent": "watcher", "tool": "s.pay"}, "agent:max-risk", id="risk"),
        pytest.param({"agent": "watcher", "tool": "s.note"}, "agent:max-risk", id="lower-risk"),
        pytest.param({"purpose_tools": ()}, "purpose", id="purpose-without-tools"),
        pytest.param({"purpose_tools": ("s.list",)}, "purpose", id="other-purpose"),
        pytest.param(
            {"agent": "boss", "chain": ("aide",), "user": "u"}, "delegation", id="no-edge"
        ),
        pytest.param({"chain": ("boss",), "tool": "s.list"}, "delegation", id="edge-without-tool"),
        pytest.param({"chain": ("clerk",)}, "delegation", id="to-itself"),
        pytest.param({"chain": ("boss", "clerk")}, "delegation", id="circle"),
        pytest.param({"chain": ("boss", "watcher")}, "delegation", id="second-edge-missing"),
        pytest.param(
            {"agent": "aide", "user": "u", "chain": ("clerk", "boss", "watcher")},
            "delegation",
            id="too-many-hops",
        ),
        pytest.param(
            {"tool": "s.pay", "user": "u", "user_groups": frozenset({"interns"})},
            "user:interns",
            id="listed-group",
        ),
        pytest.param(
            {"tool": "s.pay", "user": "u", "user_groups": frozenset({"oidc:group/interns"})},
            "user:interns",
            id="listed-group-in-full",
        ),
        pytest.param({"tool": "s.list", "user": "gast"}, "user:guests", id="listed-person"),
        pytest.param(
            {"tool": "s.list", "user": "gast", "user_groups": frozenset({"interns"})},
            "user:guests",
            id="two-lists-intersect",
        ),
    ],
)
def test_a_call_is_refused_before_any_rule(changes: dict[str, Any], rule: str) -> None:
    answer = decision(**{"args": {"n": 3}, **changes})
    assert answer.effect == "deny"
    assert answer.rules == (rule,)
    assert answer.snapshot == SNAPSHOT.digest


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"agent": "aide", "user": "u"}, id="someone-is-served"),
        pytest.param({"scopes": ("t.*", "s.read")}, id="exact-scope"),
        pytest.param({"scopes": ("s.*",)}, id="scope-of-the-server"),
        pytest.param({"scopes": ("s.re*",)}, id="scope-by-prefix"),
        pytest.param({"agent": "watcher"}, id="risk-low-enough"),
        pytest.param({"purpose": "read", "purpose_tools": ("s.read",)}, id="purpose-needs-it"),
        pytest.param({"chain": ("boss",)}, id="edge"),
        pytest.param({"agent": "aide", "user": "u", "chain": ("clerk", "boss")}, id="two-hops"),
        pytest.param({"user": "gast"}, id="listed-tool"),
        pytest.param({"user": "gast", "user_groups": frozenset({"interns"})}, id="in-both-lists"),
        pytest.param({"user": "u", "user_groups": frozenset({"others"})}, id="no-list"),
    ],
)
def test_what_passes_the_checks_is_decided_by_rules(changes: dict[str, Any]) -> None:
    assert decision(**changes).rules == ("reads",)


def test_without_a_users_block_nothing_is_done_in_the_name_of_a_person() -> None:
    start, rest = POLICY.split("users:\n")
    silent = start + "groups:\n" + rest.split("groups:\n", 1)[1]
    policy = compile_snapshot(read_policies([("p.yaml", silent.encode())]), None)
    assert decide(policy, READ).effect == "allow"
    assert decide(policy, replace(READ, user="u")).rules == ("user:default",)


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

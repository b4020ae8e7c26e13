"""The engine: Casbin's pitfalls are out of reach, and the index changes no answer."""

import json
import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import casbin
import pytest
from casbin.core_enforcer import CoreEnforcer
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.compile import MEMO, compile_snapshot
from policies.decision import Effect, Facts
from policies.engine import MATCHER, MODEL, MOST_ANSWERS
from policies.errors import PolicyInvalid
from policies.kernel import decide
from policies.loader import read_policies
from policies.match import Trace
from policies.snapshot import Snapshot

HEAD = """\
apiVersion: passavant/v1
kind: Policy
name: test
default: deny
users: {default: unrestricted}
agents:
  bot: {roles: [worker]}
  other: {roles: [idle]}
groups: {people: {members: [kim]}}
approvals: {one: {from: people, quorum: 1, expires: 30m}}
tools:
  fs.read: {risk: read}
  fs.read_and_delete: {risk: irreversible}
  github.delete_repo: {risk: irreversible}
"""


def snapshot(body: str, *, memo: int = 100) -> Snapshot:
    return compile_snapshot(read_policies([("p.yaml", (HEAD + body).encode())]), None, memo=memo)


def effect(policy: Snapshot, tool: str = "fs.read", agent: str = "bot", **facts: object) -> Effect:
    return decide(policy, replace(Facts(agent, tool, {}), **facts)).effect  # type: ignore[arg-type]


ALLOW = "rules: [{id: reads, roles: [worker], tools: [fs.read], effect: allow}]\n"
DENY_ALL = 'guardrails: [{id: none, why: x, agents: ["*"], tools: ["*"]}]\n'


# -- what Casbin would do ----------------------------------------------------------------------


def test_an_empty_bucket_is_denied_before_casbin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Casbin runs its matcher on empty values when there is no row: some matchers then allow."""

    def never(*_: object) -> None:
        pytest.fail("Casbin was asked about nothing")

    monkeypatch.setattr(CoreEnforcer, "enforce_ex", never)
    assert effect(snapshot(ALLOW), agent="other") == "deny"
    assert effect(snapshot("")) == "deny"


@pytest.mark.parametrize("pattern", ["github.*_read", "fs.re?d", "*.read", "fs.[a-z]*x", "^fs"])
def test_a_pattern_with_something_behind_the_star_is_refused(pattern: str) -> None:
    rule = f"rules: [{{id: r, roles: [worker], tools: ['{pattern}'], effect: allow}}]\n"
    with pytest.raises(PolicyInvalid):
        snapshot(rule)


@pytest.mark.parametrize("tool", ["fsXread", "fs.read\n", "fs.read_and_delete", "FS.READ", "fs."])
def test_a_tool_is_matched_as_a_whole_and_letter_by_letter(tool: str) -> None:
    assert effect(snapshot(ALLOW)) == "allow"
    assert effect(snapshot(ALLOW), tool) == "deny"


@pytest.mark.parametrize("spelling", ["Deny", "DENY", "denied", "approve", ""])
def test_an_unknown_effect_is_refused_at_load(spelling: str) -> None:
    with pytest.raises(PolicyInvalid):
        snapshot(f"rules: [{{id: r, roles: [worker], tools: [fs.read], effect: '{spelling}'}}]\n")


def test_a_deny_beats_every_allow_and_nothing_is_a_deny() -> None:
    assert effect(snapshot(DENY_ALL + ALLOW)) == "deny"
    assert effect(snapshot(ALLOW), "github.delete_repo") == "deny"


def test_no_role_is_too_far_away() -> None:
    """Casbin follows roles ten links deep; here they are flat, and all of them count."""
    roles = [f"r{n}" for n in range(50)]
    agents = HEAD.replace("[worker]", f"[worker, {', '.join(roles)}]")
    deny = (
        "rules:\n"
        "  - {id: near, roles: [worker], tools: [fs.read], effect: allow}\n"
        "  - {id: far, roles: [r49], tools: [fs.read], effect: deny}\n"
    )
    policy = compile_snapshot(read_policies([("p.yaml", (agents + deny).encode())]), None)
    assert effect(policy) == "deny"


def test_no_text_of_a_policy_reaches_casbin() -> None:
    """Rows hold subject, pattern, id and effect: what Casbin rewrites or evaluates is not there."""
    condition = "args.x == 'True or x) or (True' || args.x == 'r.sub, p.sub # ! && ||'"
    policy = snapshot(
        "rules:\n  - id: r\n    roles: [worker]\n    tools: [fs.read]\n    effect: allow\n"
        f'    when: "{condition}"\n'
    )
    assert list(policy.engine.rows()) == [("role:worker", "fs.read", "r", "allow")]
    assert effect(policy, args={"x": "r.sub, p.sub # ! && ||"}) == "allow"
    assert effect(policy, args={"x": "r_sub, p_sub"}) == "deny"
    assert effect(policy, agent="other", args={"x": "True or x) or (True"}) == "deny"


def test_the_switch_that_lets_everything_pass_cannot_be_turned() -> None:
    engine = snapshot(ALLOW).engine
    bucket = engine._bucket("bot", "fs.read")
    with pytest.raises(AttributeError):
        bucket.enable_enforce(False)
    assert bucket.enabled is True


def test_every_answer_is_explained() -> None:
    policy = snapshot(ALLOW)
    match = policy.engine.match("bot", "fs.read", Facts("bot", "fs.read", {}))
    assert [clause.id for clause in match.matched] == ["reads"]
    assert decide(snapshot(DENY_ALL + ALLOW), Facts("bot", "fs.read", {})).rules == ("none",)


def test_a_guardrail_that_asks_never_lets_anything_pass() -> None:
    guardrail = "guardrails: [{id: g, why: x, tools: ['*'], effect: ask, approval: one}]\n"
    assert effect(snapshot(guardrail)) == "deny"
    assert effect(snapshot(guardrail + ALLOW)) == "ask"
    assert effect(snapshot(guardrail + ALLOW), agent="other") == "deny"


def test_the_matcher_written_out_is_the_matcher_of_the_model() -> None:
    assert casbin.Enforcer.new_model(text=MODEL)["m"]["m"].value == MATCHER


def test_casbin_is_asked_once_for_the_same_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = snapshot(
        ALLOW + "guardrails: [{id: g, why: x, tools: [fs.read], when: 'args.n > 5'}]\n"
    )
    asked: list[object] = []
    stock = CoreEnforcer.enforce_ex

    def counted(bucket: CoreEnforcer, *request: object) -> object:
        asked.append(bucket)
        return stock(bucket, *request)

    monkeypatch.setattr(CoreEnforcer, "enforce_ex", counted)
    answers = [effect(policy, args={"n": n}) for n in (1, 9, 2, 10, 3)]
    assert answers == ["allow", "deny", "allow", "deny", "allow"]
    assert len(asked) == 2


def test_what_a_broken_condition_says_is_never_remembered() -> None:
    policy = snapshot(
        "rules: [{id: r, roles: [worker], tools: [fs.read], effect: allow, when: args.n > 5}]\n"
    )
    for _ in range(2):
        assert decide(policy, Facts("bot", "fs.read", {"n": 9})).errors == ()
        assert decide(policy, Facts("bot", "fs.read", {})).errors == ("r: args.n is absent",)


def test_a_rule_that_has_ended_matches_no_more_though_it_did() -> None:
    policy = snapshot(
        "rules: [{id: r, roles: [worker], tools: [fs.read], effect: allow, until: 2026-01-01}]\n"
    )
    ends = policy.clauses["r"].until
    assert ends is not None
    assert [effect(policy, now=now) for now in (ends - 1, ends, ends - 1)] == [
        "allow",
        "deny",
        "allow",
    ]


def test_what_casbin_answered_is_bounded() -> None:
    """Forty conditions can hold in more ways than anybody remembers."""
    rules = "".join(
        f"  - {{id: r{n}, roles: [worker], tools: [fs.read], effect: allow, when: args.n == {n}}}\n"
        for n in range(MOST_ANSWERS + 10)
    )
    policy = snapshot(f"rules:\n{rules}")
    for n in range(MOST_ANSWERS + 10):
        assert effect(policy, args={"n": n}) == "allow"
    assert len(policy.engine._bucket("bot", "fs.read").answers) == MOST_ANSWERS


def test_unknown_names_leave_nothing_behind() -> None:
    policy = snapshot(ALLOW)
    for number in range(1_000):
        effect(policy, agent=f"ghost{number}")
        effect(policy, tool=f"fs.ghost{number}")
    assert not policy.engine._memo


def test_the_memo_is_bounded() -> None:
    policy = snapshot(ALLOW, memo=2)
    for agent, tool in product(["bot", "other"], ["fs.read", "fs.read_and_delete"]):
        effect(policy, tool, agent)
        assert len(policy.engine._memo) <= 2
    assert effect(policy) == "allow"


class _Loud:
    """Something that must not be shown."""

    def __str__(self) -> str:
        raise AssertionError("a value of the request was shown")

    __repr__ = __str__


def test_values_of_a_request_reach_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("casbin.enforcer").disabled = False
    policy = snapshot(ALLOW)
    for agent in ("bot", "other"):
        effect(policy, agent=agent, args={"secret": _Loud()})
    assert not caplog.records


def test_one_clause_that_fails_leaves_the_others_to_decide() -> None:
    rules = (
        "rules:\n"
        "  - {id: bad, roles: [worker], tools: [fs.read], effect: allow, when: args.x > 1}\n"
        "  - {id: good, roles: [worker], tools: [fs.read], effect: allow}\n"
    )
    decision = decide(snapshot(rules), Facts("bot", "fs.read", {}))
    assert decision.effect == "allow"
    assert decision.rules == ("good",)
    assert decision.errors == ("bad: args.x is absent",)


def test_threads_do_not_see_each_other() -> None:
    policy = snapshot(
        ALLOW + "guardrails: [{id: g, why: x, tools: [fs.read], when: 'args.n > 5'}]\n", memo=1
    )
    wrong: list[object] = []

    def ask(n: int, expected: Effect) -> None:
        for _ in range(2_000):
            decision = decide(policy, Facts("bot", "fs.read", {"n": n}))
            effect(policy, agent="other")
            if decision.effect != expected or decision.errors:
                wrong.append(decision)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [
            threading.Thread(target=ask, args=case) for case in [(1, "allow"), (9, "deny")] * 2
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert not wrong


# -- the index, stock Casbin and an oracle agree -----------------------------------------------

AGENTS = {"a0": ["r0"], "a1": ["r0", "r1"], "a2": ["r2"], "a3": []}
TOOLS = [f"s{server}.t{number}" for server in (0, 1) for number in (0, 1, 10)]
PATTERNS = [*TOOLS, "s0.*", "s1.*", "s0.t1*"]
# Conditions with what they mean: true, false, or None where they have no value.
CONDITIONS: dict[str, Callable[[Facts], bool | None]] = {
    "": lambda facts: True,
    "args.n <= 100": lambda facts: _below(facts.args.get("n"), 100),
    "'web' in labels": lambda facts: "web" in facts.labels,
    "args.n > 100 || 'web' in labels": lambda facts: (
        "web" in facts.labels or _negated(_below(facts.args.get("n"), 100))
    ),
    "has(args.n) && args.n == 7": lambda facts: "n" in facts.args and facts.args["n"] == 7,
    "!has(args.m)": lambda facts: "m" not in facts.args,
    "args.missing": lambda facts: None,
}
RANK: dict[Effect, int] = {"deny": 0, "ask": 1, "allow": 2}


def _below(value: object, bound: int) -> bool | None:
    return value <= bound if isinstance(value, int) else None


def _negated(value: bool | None) -> bool | None:
    return None if value is None else not value


@st.composite
def _statement(draw: st.DrawFn, *, guardrail: bool) -> dict[str, object]:
    effects = ["deny", "ask"] if guardrail else ["allow", "allow", "ask", "deny"]
    what = draw(st.sampled_from(effects))
    statement: dict[str, object] = {"effect": what}
    if draw(st.booleans()):
        statement["roles"] = draw(
            st.lists(st.sampled_from(["r0", "r1", "r2"]), min_size=1, unique=True)
        )
    else:
        agents = st.lists(st.sampled_from([*AGENTS]), min_size=1, unique=True)
        statement["agents"] = ["*"] if guardrail and draw(st.booleans()) else draw(agents)
    patterns = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3, unique=True)
    statement["tools"] = ["*"] if guardrail and draw(st.booleans()) else draw(patterns)
    if text := draw(st.sampled_from([*CONDITIONS])):
        statement["when"] = text
    if what == "ask":
        statement["approval"] = "one"
    if guardrail:
        statement["why"] = "because"
    return statement


@st.composite
def _worlds(draw: st.DrawFn) -> list[dict[str, object]]:
    rules = draw(st.lists(_statement(guardrail=False), max_size=10))
    guardrails = draw(st.lists(_statement(guardrail=True), max_size=4))
    return [{**each, "id": f"c{number}"} for number, each in enumerate([*guardrails, *rules])]


@st.composite
def _facts(draw: st.DrawFn) -> Facts:
    return Facts(
        agent=draw(st.sampled_from([*AGENTS])),
        tool=draw(st.sampled_from(TOOLS)),
        args=draw(
            st.fixed_dictionaries(
                {}, optional={"n": st.sampled_from([7, 100, 500, "7"]), "m": st.just(1)}
            )
        ),
        labels=draw(st.sampled_from([frozenset(), frozenset({"web"})])),
    )


def _compiled(world: list[dict[str, object]], *, memo: int = MEMO) -> Snapshot:
    policy: dict[str, object] = {
        "apiVersion": "passavant/v1",
        "kind": "Policy",
        "name": "world",
        "default": "deny",
        "agents": {name: {"roles": roles} if roles else {} for name, roles in AGENTS.items()},
        "tools": {tool: {"risk": "read"} for tool in TOOLS},
        "groups": {"people": {"members": ["kim"]}},
        "approvals": {"one": {"from": "people", "quorum": 1, "expires": "30m"}},
    }
    blocks: dict[str, object] = {
        "guardrails": [each for each in world if "why" in each],
        "rules": [each for each in world if "why" not in each],
    }
    policy |= {name: block for name, block in blocks.items() if block}
    documents = read_policies([("w.yaml", json.dumps(policy).encode())])
    return compile_snapshot(documents, None, memo=memo)


def _oracle(world: list[dict[str, object]], facts: Facts) -> Effect:
    """The answer, from the words of the specification alone."""
    matched = {
        ("guardrail" if "why" in each else "rule", each["effect"])
        for each in world
        if _concerns(each, facts) and _counts(each, facts)
    }
    if {("rule", "deny"), ("guardrail", "deny")} & matched:
        return "deny"
    if not {("rule", "allow"), ("rule", "ask")} & matched:
        return "deny"
    return "ask" if {("rule", "ask"), ("guardrail", "ask")} & matched else "allow"


def _concerns(statement: dict[str, object], facts: Facts) -> bool:
    def names(key: str) -> list[str]:
        found = statement.get(key, [])
        assert isinstance(found, list)
        return found

    who = bool({"*", facts.agent} & set(names("agents"))) or bool(
        set(AGENTS[facts.agent]) & set(names("roles"))
    )
    return who and any(
        each == facts.tool or (each[-1] == "*" and facts.tool[: len(each) - 1] == each[:-1])
        for each in names("tools")
    )


def _counts(statement: dict[str, object], facts: Facts) -> bool:
    held = CONDITIONS[str(statement.get("when", ""))](facts)
    if held is None:
        return "why" in statement or statement["effect"] == "deny"
    return held


def _stock(policy: Snapshot) -> Callable[[Facts], Effect]:
    """Casbin as it comes: its own enforcer, evaluator and role manager, over all rows."""
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=MODEL))
    for name in ("fits", "when"):
        enforcer.add_function(name, policy.engine.functions()[name])
    for row in policy.engine.rows():
        enforcer.add_policy(*row)
    for agent, roles in AGENTS.items():
        for role in (*(f"role:{role}" for role in roles), "*"):
            enforcer.add_grouping_policy(f"agent:{agent}", role)

    def decided(facts: Facts) -> Effect:
        trace = Trace(facts, policy.clauses)
        allowed, _ = enforcer.enforce_ex(f"agent:{facts.agent}", facts.tool, trace)
        if not allowed:
            return "deny"
        return "ask" if any(clause.effect == "ask" for clause in trace.matched) else "allow"

    return decided


@settings(max_examples=40)
@given(world=_worlds().filter(bool), several=st.lists(_facts(), min_size=1, max_size=8))
def test_index_stock_casbin_and_oracle_agree(
    world: list[dict[str, object]], several: list[Facts]
) -> None:
    policy = _compiled(world)
    stock = _stock(policy)
    for facts in several:
        answer = effect_of(policy, facts)
        assert answer == _oracle(world, facts)
        assert answer == stock(facts)


@settings(max_examples=40)
@given(world=_worlds().filter(bool), several=st.lists(_facts(), min_size=1, max_size=8))
def test_a_remembered_answer_is_the_answer(
    world: list[dict[str, object]], several: list[Facts]
) -> None:
    """Whole decisions, rules, reasons and errors included, by one that has answered before."""
    policy, forgetful = _compiled(world), _compiled(world, memo=0)
    for facts in several * 2:
        assert decide(policy, facts) == decide(forgetful, facts)


@settings(max_examples=40)
@given(
    world=_worlds(),
    added=st.one_of(_statement(guardrail=True), _statement(guardrail=False)),
    several=st.lists(_facts(), min_size=1, max_size=8),
)
def test_adding_a_refusal_never_allows_more(
    world: list[dict[str, object]], added: dict[str, object], several: list[Facts]
) -> None:
    refusal = {**added, "id": "added"}
    if "why" not in refusal:
        refusal["effect"] = "deny"
        refusal.pop("approval", None)
    before, after = _compiled(world), _compiled([*world, refusal])
    for facts in several:
        assert RANK[effect_of(after, facts)] <= RANK[effect_of(before, facts)]


@settings(max_examples=40)
@given(world=_worlds(), facts=_facts())
def test_the_order_of_statements_changes_no_answer(
    world: list[dict[str, object]], facts: Facts
) -> None:
    assert effect_of(_compiled(world), facts) == effect_of(_compiled(world[::-1]), facts)


def effect_of(policy: Snapshot, facts: Facts) -> Effect:
    return decide(policy, facts).effect

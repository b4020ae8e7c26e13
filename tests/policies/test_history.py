"""What conditions ask about earlier calls, and how tests state it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.cases import run
from policies.compile import compile_snapshot
from policies.condition_parse import parse
from policies.decision import Facts
from policies.errors import PolicyInvalid
from policies.explain import explain
from policies.history import KEPT, Question, answers, windows
from policies.loader import read_policies, read_tests
from policies.snapshot import Snapshot

HOUR = 3600 * 1_000_000
POLICY = """\
apiVersion: passavant/v1
kind: Policy
name: test
default: deny
users: {default: unrestricted}
agents: {bot: {roles: [worker], owner: team}, aide: {roles: [worker], owner: team}}
tools: {s.read: {risk: read}, s.pay: {risk: write}, s.look: {risk: read}}
limits: {slow: {per: agent, rate: 5/min}}
guardrails:
  - {id: not-twice, why: x, tools: [s.pay], when: "count('s.pay', '1h') >= 2"}
rules:
  - id: pays
    roles: [worker]
    tools: [s.pay]
    effect: allow
    when: "before('s.read') && since('s.read') < duration('30m') && totals.slow < 4"
    limits: [slow]
  - {id: reads, roles: [worker], tools: [s.read, s.look], effect: allow}
delegation:
  edges: [{id: e, from: bot, to: aide, tools: [s.pay]}]
"""


def compiled(policy: str = POLICY) -> Snapshot:
    return compile_snapshot(read_policies([("p.yaml", policy.encode())]), None)


def test_only_tools_that_conditions_ask_about_are_remembered_and_as_long_as_they_ask() -> None:
    snapshot = compiled()
    assert snapshot.histories == {"s.pay": (HOUR,), "s.read": (KEPT,)}
    assert snapshot.recalls
    assert snapshot.engine.counted(["bot"], "s.pay") == (
        "history.s.pay@3600",
        "history.s.read",
        "totals.slow",
    )
    assert snapshot.engine.counted(["aide", "bot"], "s.look") == ()
    assert snapshot.engine.counted(["nobody"], "s.pay") == ()


def test_a_policy_that_asks_nothing_recalls_nothing() -> None:
    plain = compiled(POLICY[: POLICY.index("guardrails")] + POLICY[POLICY.index("delegation") :])
    assert not plain.recalls
    assert plain.histories == {}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("before('s.read')", "before('s.raed')", "condition.unknown-tool"),
        ("count('s.pay', '1h')", "count('s.pay', 'long')", "condition.literal"),
        ("totals.slow < 4", "totals.slwo < 4", "condition.unknown-total"),
    ],
)
def test_a_condition_that_asks_about_nothing_is_refused(old: str, new: str, code: str) -> None:
    assert old in POLICY
    with pytest.raises(PolicyInvalid) as caught:
        compiled(POLICY.replace(old, new))
    wrong = [finding for finding in caught.value.findings if finding.severity == "error"]
    assert [finding.code for finding in wrong] == [code]


@pytest.mark.parametrize(
    "question",
    [
        Question("s.pay", None),
        Question("s.pay", HOUR),
        Question("s.a/b-c.d_e", 1_000_000),
        Question("s.a/5", KEPT),
    ],
    ids=str,
)
def test_a_question_is_known_by_its_path(question: Question) -> None:
    assert Question.read(question.path) == question


def test_what_a_condition_asks_is_among_what_it_reads() -> None:
    condition = parse("before('s.a') && since('s.a') > duration('1h') || count('s.b', '60s') > 1")
    assert condition.reads == ("history.s.a", "history.s.b@60")
    assert windows(condition.reads) == {"s.a": (KEPT,), "s.b": (60_000_000,)}


@given(st.lists(st.integers(0, 2 * HOUR), max_size=20))
def test_a_test_states_calls_as_the_gateway_would_have_counted_them(ago: list[int]) -> None:
    asked = ("history.s.a", "history.s.a@3600", "history.s.b", "args.x", "totals.y")
    assert answers(asked, {"s.a": ago}) == {
        "s.a": min(ago, default=None),
        "s.a@3600": sum(each < HOUR for each in ago),
        "s.b": None,
    }


@pytest.mark.parametrize(
    ("circumstances", "effect"),
    [
        pytest.param("history: {s.read: [5m]}, totals: {slow: 0}", "allow", id="read-lately"),
        pytest.param("history: {s.read: [5m, 9h]}, totals: {slow: 3}", "allow", id="and-long-ago"),
        pytest.param("totals: {slow: 0}", "deny", id="never-read"),
        pytest.param("history: {s.read: [31m]}, totals: {slow: 0}", "deny", id="read-long-ago"),
        pytest.param("history: {s.read: [5m]}, totals: {slow: 4}", "deny", id="too-often"),
        pytest.param("history: {s.read: [5m]}", "deny", id="total-not-stated"),
        pytest.param(
            "history: {s.read: [5m], s.pay: [10m, 59m]}, totals: {slow: 0}", "deny", id="twice"
        ),
        pytest.param(
            "history: {s.read: [5m], s.pay: [10m, 61m]}, totals: {slow: 0}", "allow", id="once"
        ),
        pytest.param(
            "chain: [bot], agent: aide, history: {s.read: [5m]}, totals: {slow: 0}",
            "allow",
            id="for-another",
        ),
    ],
)
def test_a_test_file_states_what_was_called_before(circumstances: str, effect: str) -> None:
    who = "" if "agent:" in circumstances else "agent: bot, "
    text = f"""\
apiVersion: passavant/v1
kind: PolicyTest
policy: p.yaml
tests:
  - name: one
    call: {{{who}tool: s.pay, {circumstances}}}
    expect: {{effect: {effect}}}
"""
    report = run(read_tests("t.yaml", text.encode()), compiled(), now=1_795_154_745_000_000)
    assert report.passed, "\n".join(report.lines())


def test_an_explanation_shows_what_was_called_before() -> None:
    facts = Facts(
        "bot",
        "s.pay",
        {},
        totals={"slow": 1},
        history={"s.read": 90_000_000, "s.pay@3600": 2},
    )
    shown = str(explain(compiled(), facts))
    assert "last s.read = 90 s ago" in shown
    assert "s.pay in 3600 s = 2" in shown
    never = Facts("bot", "s.pay", {}, history={"s.read": None})
    assert "last s.read = never" in str(explain(compiled(), never))
    assert "s.pay in 3600 s = absent" in str(explain(compiled(), never))


def test_what_nobody_looked_up_refuses_and_grants_nothing() -> None:
    decision = explain(compiled(), Facts("bot", "s.pay", {}, totals={"slow": 0})).decision
    assert (decision.effect, decision.rules) == ("deny", ("not-twice",))
    assert decision.errors == ("not-twice: the history of s.pay@3600 is not known",)

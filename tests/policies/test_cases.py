"""Playing test files: what passes, what fails, and whether the report says why."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.cases import run
from policies.compile import compile_snapshot
from policies.loader import load_policies, load_tests, read_policies, read_tests
from policies.report import TestReport
from policies.snapshot import Snapshot
from policies.starter import starter

DATA = Path(__file__).parent / "data"
NOW = 1_795_154_745_000_000  # 2026-11-20

POLICY = """\
apiVersion: passavant/v1
kind: Policy
name: test
default: deny
users:
  default: unrestricted
  guests: {members: [guest], tools: [s.read]}
agents:
  bot: {roles: [worker]}
  aide: {roles: [helper], on_behalf_of: required}
groups:
  people: {members: [kim, lee]}
tools:
  s.read: {risk: read}
  s.pay: {risk: irreversible}
approvals:
  one: {from: people, quorum: 1, expires: 30m}
  two: {from: people, quorum: 2, expires: 30m}
limits:
  slow: {per: agent, rate: 5/min}
budgets:
  eur: {per: user, amount: 100, window: 1d, unit: eur}
guardrails:
  - {id: never-tainted, why: x, tools: [s.pay], when: "'web' in labels"}
rules:
  - {id: reads, roles: [worker, helper], tools: [s.read], effect: allow}
  - id: pays
    roles: [worker]
    tools: [s.pay]
    effect: ask
    approval: one
    when: "args.amount > 0 && args.amount <= 100"
    limits: [slow]
    budgets: [eur]
  - id: pays-late
    agents: [bot]
    tools: [s.pay]
    effect: allow
    until: 2026-12-31
    when: "user == 'kim'"
delegation:
  edges: [{id: hands-on, from: bot, to: aide, tools: [s.read]}]
"""
HEAD = """\
apiVersion: passavant/v1
kind: PolicyTest
policy: p.yaml
calls:
  pay: {agent: bot, tool: s.pay, args: {amount: 40}}
"""


@pytest.fixture(name="snapshot", scope="module")
def _snapshot() -> Snapshot:
    return compile_snapshot(read_policies([("p.yaml", POLICY.encode())]), None)


def play(snapshot: Snapshot, text: str) -> TestReport:
    return run(read_tests("t.yaml", (HEAD + text).encode()), snapshot, now=NOW)


def test_the_example_passes_with_its_matrix_and_its_coverage() -> None:
    snapshot = compile_snapshot(load_policies([DATA / "acme.policy.yaml"]), None)
    report = run(load_tests(DATA / "acme.policy.test.yaml"), snapshot, now=NOW)
    assert list(report.lines()) == [
        "0 failed, 36 passed, 0 missing; rules matched 10 of 10, truth values seen 14 of 14"
    ]
    assert report.passed


def test_the_starter_policy_passes_its_own_tests() -> None:
    files = starter("/srv/some where/repo", approvers=["kim"])
    snapshot = compile_snapshot(
        read_policies([("starter.policy.yaml", files["starter.policy.yaml"])]), None
    )
    tests = read_tests("starter.policy.test.yaml", files["starter.policy.test.yaml"])
    report = run(tests, snapshot, now=NOW)
    assert report.passed, "\n".join(report.lines())


@pytest.mark.parametrize(
    ("call", "expect"),
    [
        pytest.param(
            "pay",
            "{effect: ask, rules: [pays], approval: one, limits: [slow], budgets: [eur]}",
            id="everything-stated",
        ),
        pytest.param("pay", "{effect: ask}", id="effect-alone"),
        pytest.param(
            "{agent: bot, tool: s.read}", "{effect: allow, rules: [reads]}", id="in-place"
        ),
        pytest.param("{agent: bot, tool: s.pay}", "{effect: deny, rules: []}", id="no-arguments"),
        pytest.param("{agent: nobody, tool: s.read}", "{effect: deny}", id="unknown-agent"),
        pytest.param("{agent: bot, tool: s.gone}", "{effect: deny}", id="unknown-tool"),
        pytest.param(
            "{agent: aide, user: kim, chain: [bot], tool: s.read}", "{effect: allow}", id="chain"
        ),
        pytest.param(
            "{agent: bot, tool: s.read, scopes: [s.pay]}",
            "{effect: deny, rules: [scope]}",
            id="scopes",
        ),
        pytest.param(
            "{agent: bot, tool: s.read, scopes: []}", "{effect: deny}", id="scopes-of-nothing"
        ),
        pytest.param(
            "{agent: bot, user: guest, tool: s.pay, args: {amount: 1}}",
            "{effect: deny, rules: ['user:guests']}",
            id="user",
        ),
        pytest.param(
            "{agent: bot, tool: s.read, purpose: Pay rent., purpose_tools: [s.pay]}",
            "{effect: deny, rules: [purpose]}",
            id="purpose",
        ),
    ],
)
def test_a_call_that_comes_out_as_expected_passes(
    snapshot: Snapshot, call: str, expect: str
) -> None:
    report = play(snapshot, f"tests: [{{name: a, call: {call}, expect: {expect}}}]")
    assert report.passed, "\n".join(report.lines())


@pytest.mark.parametrize(
    ("expect", "complaint"),
    [
        pytest.param("{effect: allow}", "effect: expected allow, actual ask", id="effect"),
        pytest.param(
            "{effect: ask, rules: []}", "rules: expected none, actual pays", id="no-rules"
        ),
        pytest.param(
            "{effect: ask, rules: [pays, reads]}",
            "rules: expected pays, reads, actual pays",
            id="too-few-rules",
        ),
        pytest.param(
            "{effect: ask, approval: two}", "approval: expected two, actual one", id="approval"
        ),
        pytest.param("{effect: ask, limits: []}", "limits: expected none, actual slow", id="limit"),
        pytest.param(
            "{effect: ask, budgets: [usd]}", "budgets: expected usd, actual eur", id="budget"
        ),
    ],
)
def test_a_call_that_comes_out_otherwise_fails_and_says_how(
    snapshot: Snapshot, expect: str, complaint: str
) -> None:
    report = play(snapshot, f"tests: [{{name: a, call: pay, expect: {expect}}}]")
    (failure,) = report.failed
    assert failure.complaints == (complaint,)
    assert not report.passed


def test_a_failure_shows_expected_actual_and_the_rules_considered(snapshot: Snapshot) -> None:
    text = (
        "tests:\n  - name: pays too much\n    call: pay\n    with: {args: {amount: 101}}\n"
        "    expect: {effect: ask, rules: [pays], approval: one}\n"
    )
    lines = list(play(snapshot, text).lines())
    assert lines[:7] == [
        "t.yaml:7:5: FAIL pays too much",
        '  call        bot: s.pay {"amount": 101}',
        "  expected    ask by pays with one",
        "  actual      deny (no rule matched): No rule lets bot use s.pay in this way.",
        "  differs     effect: expected ask, actual deny",
        "  differs     rules: expected pays, actual none",
        "  differs     approval: expected one, actual none",
    ]
    considered = "\n".join(lines[7:])
    for rule in ("never-tainted", "pays", "pays-late"):
        assert f"considered  {rule} (" in considered
    assert "args.amount <= 100  [args.amount = 101]" in considered


@pytest.mark.parametrize(
    ("variation", "note"),
    [
        pytest.param("{args: {}}", "args.amount = absent", id="missing-argument"),
        pytest.param("{agent: aide, user: kim}", "near miss   pays: the same tool for", id="near"),
        pytest.param("{agent: nobody}", "nothing: refused before any rule", id="unknown-agent"),
    ],
)
def test_a_failure_without_a_matching_rule_says_why(
    snapshot: Snapshot, variation: str, note: str
) -> None:
    text = f"tests: [{{name: a, call: pay, with: {variation}, expect: {{effect: ask}}}}]"
    assert note in "\n".join(play(snapshot, text).lines())


def test_characters_that_do_not_show_are_shown_in_a_failure(snapshot: Snapshot) -> None:
    with_ = '{args: {amount: 1, to: "p\\u202eq"}}'
    text = f"tests: [{{name: a, call: pay, with: {with_}, expect: {{effect: deny}}}}]"
    assert "\\u202e" in "\n".join(play(snapshot, text).lines())


def test_variations_replace_member_by_member_and_the_inner_wins(snapshot: Snapshot) -> None:
    text = """\
tests:
  - name: a
    call: pay
    with: {args: {amount: 5}, labels: [web]}
    each: [{labels: []}, {args: {amount: 500}, labels: []}, {}, {agent: aide}, {tool: s.read}]
    expect: {effect: ask}
"""
    report = play(snapshot, text)
    assert [each.actual.effect for each in report.played] == [
        "ask",
        "deny",
        "deny",
        "deny",
        "allow",
    ]
    assert [each.name for each in report.played] == [f"a [{number}]" for number in range(1, 6)]
    assert str(report.failed[0].at) == "t.yaml:10:26"


@pytest.mark.parametrize(
    ("now", "effect"),
    [
        pytest.param("2026-12-31T23:59:59Z", "allow", id="on-the-last-day"),
        pytest.param("2027-01-01T01:00:00+02:00", "allow", id="days-are-those-of-utc"),
        pytest.param("2027-01-01", "deny", id="the-day-after"),
    ],
)
def test_the_time_of_a_call_or_of_all_calls_can_be_stated(
    snapshot: Snapshot, now: str, effect: str
) -> None:
    late = "{agent: bot, user: kim, tool: s.pay, args: {amount: 0}"
    of_call = f"tests: [{{name: a, call: {late}, now: {now}}}, expect: {{effect: {effect}}}}}]"
    of_file = f"now: {now}\ntests: [{{name: a, call: {late}}}, expect: {{effect: {effect}}}}}]"
    assert play(snapshot, of_call).passed
    assert play(snapshot, of_file).passed


def test_a_file_that_plays_nothing_has_not_passed(snapshot: Snapshot) -> None:
    assert not play(snapshot, "").passed


MATRIX = """\
matrix:
  args: {s.pay: {amount: 1}}
  table: |
    tool   | bot   | aide
    s.read | allow | allow
    s.pay  | ask   | deny
"""


def test_a_complete_matrix_passes_for_a_person_whom_no_list_names(snapshot: Snapshot) -> None:
    report = play(snapshot, MATRIX)
    assert report.passed, "\n".join(report.lines())
    assert {each.facts.user for each in report.played} == {"someone"}


def test_a_matrix_may_state_the_circumstances_of_its_cells(snapshot: Snapshot) -> None:
    report = play(
        snapshot, MATRIX.replace("  args:", "  with: {labels: [web], user: guest}\n  args:")
    )
    assert {each.actual.effect for each in report.played} == {"allow", "deny"}
    assert [each.name for each in report.failed] == ["matrix: s.pay, bot"]


def test_a_cell_that_comes_out_otherwise_fails(snapshot: Snapshot) -> None:
    report = play(snapshot, MATRIX.replace("| ask   | deny", "| ask   | allow"))
    (failure,) = report.failed
    assert failure.name == "matrix: s.pay, aide"
    assert failure.complaints == ("effect: expected allow, actual deny",)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        pytest.param("    s.pay  | ask   | deny\n", "", "tool s.pay is not listed", id="row"),
        pytest.param(
            "    s.pay  | ask   | deny\n",
            "    s.bay  | ask   | deny\n",
            "no policy lists tool s.bay, did you mean 's.pay'?",
            id="unknown-row",
        ),
        pytest.param("aide", "aid", "no policy lists agent aid, did you mean 'aide'?", id="column"),
        pytest.param("args: {s.pay", "args: {s.bay", "arguments for s.bay", id="arguments"),
    ],
)
def test_a_matrix_that_is_not_complete_fails(
    snapshot: Snapshot, old: str, new: str, complaint: str
) -> None:
    report = play(snapshot, MATRIX.replace(old, new))
    assert complaint in "\n".join(map(str, report.gaps))
    assert not report.passed


def test_a_matrix_without_a_column_of_an_agent_fails(snapshot: Snapshot) -> None:
    text = "matrix:\n  table: |\n    tool | bot\n    s.read | allow\n    s.pay | deny\n"
    report = play(snapshot, text)
    assert [gap.message for gap in report.gaps] == [
        "matrix: agent aide is not listed, every cell must be"
    ]


COVERAGE = "coverage: {rules: 100%, conditions: both}\n"


def test_coverage_that_is_missing_fails_and_is_explained(snapshot: Snapshot) -> None:
    text = "tests: [{name: a, call: pay, expect: {effect: ask}}]\n" + COVERAGE
    report = play(snapshot, text)
    assert [gap.message for gap in report.gaps] == [
        "coverage: never-tainted never matched: its condition was false 1 times, without a value 0",
        "coverage: reads never matched: no call of this file concerns its agents and tools",
        "coverage: pays-late never matched: its condition was false 1 times, without a value 0",
        "coverage: never-tainted: the condition was never true, 1 times false",
        "coverage: pays: the condition was never false, 1 times true",
        "coverage: pays-late: the condition was never true, 1 times false",
    ]
    assert (report.rules, report.sides) == ((1, 4), (3, 6))
    assert not report.passed


def test_coverage_counts_a_rule_although_another_one_denied(snapshot: Snapshot) -> None:
    text = "tests: [{name: a, call: pay, with: {labels: [web]}, expect: {effect: deny}}]\n"
    assert play(snapshot, text + COVERAGE).rules == (2, 4)


def test_a_condition_without_a_value_is_not_seen_as_false(snapshot: Snapshot) -> None:
    text = "tests: [{name: a, call: pay, with: {args: {}}, expect: {effect: deny}}]\n" + COVERAGE
    gaps = [gap.message for gap in play(snapshot, text).gaps]
    assert "coverage: pays: the condition was never false, 0 times true" in gaps


def test_a_call_refused_before_any_rule_covers_nothing(snapshot: Snapshot) -> None:
    text = "tests: [{name: a, call: pay, with: {scopes: []}, expect: {effect: deny}}]\n"
    assert play(snapshot, text).rules == (0, 4)


def test_a_rule_that_has_ended_is_explained_as_such(snapshot: Snapshot) -> None:
    text = "now: 2027-01-01\ntests: [{name: a, call: pay, expect: {effect: ask}}]\n" + COVERAGE
    gaps = [gap.message for gap in play(snapshot, text).gaps]
    assert "coverage: pays-late never matched: considered 1 times, always after its end" in gaps


def test_a_share_of_rules_that_is_reached_is_enough(snapshot: Snapshot) -> None:
    text = "tests: [{name: a, call: pay, expect: {effect: ask}}]\ncoverage: {rules: 25%}\n"
    assert play(snapshot, text).passed


@given(
    amount=st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=5)
)
def test_whatever_is_expected_exactly_one_effect_passes(amount: object) -> None:
    snapshot = compile_snapshot(read_policies([("p.yaml", POLICY.encode())]), None)
    case = read_tests(
        "t.yaml", (HEAD + "tests: [{name: a, call: pay, expect: {effect: ask}}]").encode()
    )
    (test,) = case.content.tests
    passed = []
    for effect in ("allow", "ask", "deny"):
        expect = test.expect.model_copy(update={"effect": effect})
        varied = test.with_.model_copy(update={"args": {"amount": amount}})
        changed = test.model_copy(update={"expect": expect, "with_": varied})
        content = case.content.model_copy(update={"tests": (changed,)})
        document = type(case)(content, case.source)
        passed.append(run(document, snapshot, now=NOW).passed)
    assert sum(passed) == 1

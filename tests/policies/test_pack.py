"""The guard pack: what it makes of a call, by where its values come from and what its tool does."""

from dataclasses import replace
from datetime import date
from itertools import product

import pytest

from policies.compile import compile_snapshot
from policies.decision import ORIGINS, Effect, Facts
from policies.kernel import decide
from policies.lint import lint
from policies.loader import read_policies
from policies.pack import PACKS, pack

OFFICE = b"""\
apiVersion: passavant/v1
kind: Policy
name: office
default: deny
users: {default: unrestricted}
agents:
  aide: {roles: [guarded], owner: team}
  other: {owner: team}
groups:
  guard-approvers: {members: [kim]}
tools:
  s.look:   {risk: read, emits: [secret]}
  s.fetch:  {risk: read, emits: [untrusted], target: [url], sink: external}
  s.note:   {risk: write, emits: [], target: [to]}
  s.inside: {risk: write, emits: [], target: [to], sink: internal}
  s.pay:    {risk: irreversible, emits: [], target: [to], sink: external}
  memory.put: {}
"""
DOCUMENTS = read_policies([("guard.policy.yaml", pack("guard")), ("office.policy.yaml", OFFICE)])
SNAPSHOT = compile_snapshot(DOCUMENTS, None)
CALL = Facts("aide", "s.note", {"to": "x"}, origin={"target": "user", "carried": "nothing"})


def effect(tool: str, target: str = "user", carried: str = "nothing", **facts: object) -> Effect:
    call = replace(CALL, tool=tool, origin={"target": target, "carried": carried}, **facts)  # type: ignore[arg-type]
    return decide(SNAPSHOT, call).effect


def test_the_pack_is_in_order_beside_an_operators_own_file() -> None:
    assert lint(DOCUMENTS, today=date(2026, 11, 20)) == ()
    assert PACKS == ("guard",)


@pytest.mark.parametrize("origin", ORIGINS)
def test_what_only_looks_is_free(origin: str) -> None:
    assert effect("s.look", origin, origin, labels=frozenset({"untrusted"})) == "allow"


@pytest.mark.parametrize("tool", ["s.fetch", "s.note", "s.inside", "s.pay"])
def test_what_acts_for_the_user_and_carries_nothing_else_passes(tool: str) -> None:
    for carried, labels in product(("user", "nothing"), (set(), {"untrusted", "private"})):
        assert effect(tool, "user", carried, labels=frozenset(labels)) == "allow"


@pytest.mark.parametrize("tool", ["s.fetch", "s.note", "s.inside", "s.pay"])
@pytest.mark.parametrize("origin", ["untrusted", "none"])
def test_a_target_that_is_not_the_users_asks(tool: str, origin: str) -> None:
    assert effect(tool, origin) == "ask"


@pytest.mark.parametrize("tool", ["s.fetch", "s.note", "s.inside", "s.pay"])
@pytest.mark.parametrize("carried", ["trusted", "untrusted", "none"])
def test_an_address_that_the_user_did_not_write_asks(tool: str, carried: str) -> None:
    assert effect(tool, "user", carried) == "ask"


@pytest.mark.parametrize(
    ("tool", "labels", "expected"),
    [
        pytest.param("s.note", (), "allow", id="before-any-strangers-text"),
        pytest.param("s.note", ("private",), "allow", id="private-is-no-stranger"),
        pytest.param("s.note", ("untrusted",), "ask", id="after-it"),
        pytest.param("s.pay", (), "ask", id="for-good"),
        pytest.param("s.fetch", (), "ask", id="way-out"),
    ],
)
def test_a_target_from_a_trusted_source_serves_what_can_be_taken_back(
    tool: str, labels: tuple[str, ...], expected: Effect
) -> None:
    assert effect(tool, "trusted", labels=frozenset(labels)) == expected


@pytest.mark.parametrize("origin", [{}, {"target": "user"}, {"carried": "nothing"}])
@pytest.mark.parametrize("tool", ["s.fetch", "s.note", "s.pay"])
def test_an_origin_that_is_not_known_asks(tool: str, origin: dict[str, str]) -> None:
    assert decide(SNAPSHOT, replace(CALL, tool=tool, origin=origin)).effect == "ask"


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        pytest.param("s.look", "allow", id="looking"),
        pytest.param("s.inside", "allow", id="cleared"),
        pytest.param("s.note", "deny", id="nothing-stated"),
        pytest.param("s.fetch", "deny", id="fetched-away"),
        pytest.param("s.pay", "deny", id="external"),
    ],
)
def test_secrets_leave_for_no_sink_that_is_not_cleared(tool: str, expected: Effect) -> None:
    assert effect(tool, labels=frozenset({"secret"})) == expected
    assert effect(tool, secrets=frozenset({"private-key"})) == expected


def test_what_is_remembered_keeps_its_labels_and_asks_nobody() -> None:
    secret = frozenset({"secret", "untrusted"})
    assert effect("memory.put", "none", "untrusted", labels=secret) == "allow"


def test_no_call_of_a_guarded_agent_is_denied_for_its_origin_alone() -> None:
    for tool, target, carried in product(("s.note", "s.pay", "s.fetch"), ORIGINS, ORIGINS):
        assert effect(tool, target, carried) in {"allow", "ask"}


def test_a_question_says_why_it_is_asked() -> None:
    call = replace(CALL, origin={"target": "user", "carried": "untrusted"})
    decision = decide(SNAPSHOT, call)
    assert decision.rules == ("guard-carried",)
    assert "that the user did not write" in decision.reason


def test_the_pack_gives_nothing_to_agents_without_its_role() -> None:
    assert decide(SNAPSHOT, replace(CALL, agent="other", tool="s.look")).effect == "deny"


def test_a_rule_beside_the_pack_does_not_lift_its_questions() -> None:
    more = OFFICE + b"rules: [{id: pays, why: x, agents: [aide], tools: [s.pay], effect: allow}]\n"
    snapshot = compile_snapshot(read_policies([("g", pack("guard")), ("o", more)]), None)
    call = replace(CALL, tool="s.pay", origin={"target": "none", "carried": "nothing"})
    assert decide(snapshot, call).effect == "ask"


def test_the_pack_names_no_tool_and_no_value() -> None:
    (guard, _) = DOCUMENTS
    assert guard.policy.tools == {}
    assert not any(each.tools for each in (*guard.policy.rules, *guard.policy.guardrails))
    assert not any("args" in (each.when or "") for each in guard.policy.guardrails)

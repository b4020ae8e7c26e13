"""Decisions: what rules add up to, and what refuses before any rule."""

from dataclasses import replace
from typing import Any

import pytest

from policies.compile import compile_snapshot
from policies.decision import Effect
from policies.kernel import decide
from policies.loader import read_policies
from tests.policies.deciding import DAY, NOON_OF_MARCH_31, PAY, POLICY, READ, SNAPSHOT, decision

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

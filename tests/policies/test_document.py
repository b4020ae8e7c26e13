"""What each block of a policy file accepts, and above all what it refuses."""

from datetime import date
from pathlib import Path

import pytest

from policies.document import Policy
from policies.errors import PolicyInvalid
from policies.loader import load_policies, read_policies
from policies.notation import Rate, tool_matches
from policies.register import UNDECLARED_LABELS
from tests.policies.documents import codes, read

ACME = Path(__file__).parent / "data" / "acme.policy.yaml"


def test_every_block_of_the_example_parses() -> None:
    (document,) = load_policies([ACME])
    policy = document.policy
    for block in Policy.model_fields.keys() - {"front_ends", "releases", "spaces", "triggers"}:
        assert getattr(policy, block), block
    assert policy.agents["research-bot"].max_risk == "read"
    assert policy.agents["support-bot"].on_behalf_of == "required"
    assert policy.users is not None
    assert policy.users.default == "unrestricted"
    assert policy.users.lists["interns"].tools == ("crm.get_customer", "crm.search")
    assert policy.groups["security"].from_ == "oidc:group/security"
    assert policy.tools["pay.send_mail"].sink == "external"
    assert policy.tools["pay.refund"].cost == {"eur": "args.amount"}
    assert policy.approvals["finance-2of"].expires == 4 * 3600
    assert policy.approvals["finance-2of"].passkey == "required"
    assert policy.limits["crm-reads"].rate == Rate(60, 60)
    assert policy.limits["refund-rate"].rate == Rate(5, 86400)
    assert policy.budgets["refunds-eur"].window == 86400
    assert [g.effect for g in policy.guardrails] == ["deny", "deny"]
    assert policy.rules[-1].until == date(2027, 3, 31)
    assert policy.delegation is not None
    assert policy.delegation.edges[0].to == "billing-bot"
    assert policy.invariants[0].except_ == ("mail-whom-the-user-named",)


def test_a_policy_without_any_block_is_legal_and_grants_nothing() -> None:
    policy = read("")
    assert (policy.agents, policy.rules, policy.users) == ({}, (), None)


@pytest.mark.parametrize(
    "line", ["", "default: allow", "default: ask", "default: Deny", "default:"]
)
def test_the_default_is_written_and_is_deny(line: str) -> None:
    text = f"apiVersion: passavant/v1\nkind: Policy\nname: test\n{line}\n"
    with pytest.raises(PolicyInvalid):
        read_policies([("p.yaml", text.encode())])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "apiVersion: passavant/v2\nkind: Policy\nname: a\ndefault: deny", id="version"
        ),
        pytest.param("apiVersion: passavant/v1\nkind: Role\nname: a\ndefault: deny", id="kind"),
        pytest.param("kind: Policy\nname: a\ndefault: deny", id="no-version"),
        pytest.param(
            "api_version: passavant/v1\nkind: Policy\nname: a\ndefault: deny", id="python"
        ),
        pytest.param("- a\n", id="a-list"),
        pytest.param("text", id="a-text"),
        pytest.param("null", id="nothing"),
    ],
)
def test_what_is_no_policy_of_this_version_is_refused(text: str) -> None:
    with pytest.raises(PolicyInvalid):
        read_policies([("p.yaml", text.encode())])


def test_what_is_left_out_of_an_own_tool_is_what_it_is() -> None:
    tools = read("tools: {memory.put: {}, memory.get: {emits: [seen]}, s.put: {}}").tools
    assert (tools["memory.put"].risk, tools["memory.put"].labels) == ("write", frozenset())
    assert tools["memory.get"].risk == "read"
    assert tools["memory.get"].labels == frozenset({"seen"})
    assert tools["s.put"].risk == "irreversible"


def test_the_memory_of_sessions_can_be_bounded_alone() -> None:
    spaces = read("spaces: {session: {entries: 3, keep: 1h}}").spaces
    assert (spaces["session"].entries, spaces["session"].keep) == (3, 3600)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("agents: {Bot: {}}", "policy.name", id="agent-in-capitals"),
        pytest.param("agents: {a--b: {}}", "policy.name", id="double-hyphen"),
        pytest.param("agents: {a_b: {}}", "policy.name", id="underscore"),
        pytest.param(f"agents: {{{'a' * 65}: {{}}}}", "policy.name", id="long-name"),
        pytest.param("agents: {bоt: {}}", "policy.name", id="cyrillic-letter"),
        pytest.param("agents: {bot: }", "policy.wrong-type", id="agent-of-nothing"),
        pytest.param("agents: {}", "policy.empty", id="no-agents"),
        pytest.param("agents:", "policy.nothing", id="agents-of-nothing"),
        pytest.param("agents: [bot]", "policy.wrong-type", id="agents-as-list"),
        pytest.param("agents: {bot: {roles: []}}", "policy.empty", id="no-roles"),
        pytest.param("agents: {bot: {roles: [a, a]}}", "policy.twice", id="role-twice"),
        pytest.param("agents: {bot: {roles: a}}", "policy.wrong-type", id="role-without-list"),
        pytest.param("agents: {bot: {roles: [1]}}", "policy.wrong-type", id="number-as-role"),
        pytest.param("agents: {bot: {max_risk: low}}", "policy.not-a-choice", id="risk"),
        pytest.param("front_ends: {web: {agents: [bot]}}", "policy.who", id="speaks-for-nobody"),
        pytest.param(
            "front_ends: {web: {users: [ana]}}", "policy.missing-key", id="speaks-to-nobody"
        ),
        pytest.param(
            "front_ends: {web: {users: [ana], agents: ['*']}}", "policy.name", id="any-agent"
        ),
        pytest.param(
            "front_ends: {web: {users: ['*'], agents: [bot]}}", "policy.wildcard", id="anybody"
        ),
        pytest.param("spaces: {notes: {of: agent, keep: 1d}}", "policy.who", id="space-for-whom"),
        pytest.param(
            "spaces: {notes: {roles: [a], keep: 1d}}", "policy.space", id="space-of-nobody"
        ),
        pytest.param(
            "spaces: {notes: {of: agent, roles: [a]}}", "policy.space", id="space-for-ever"
        ),
        pytest.param(
            "spaces: {notes: {of: agent, roles: [a], agents: [b], keep: 1d}}",
            "policy.who",
            id="space-for-two-kinds",
        ),
        pytest.param(
            "spaces: {notes: {of: everybody, roles: [a], keep: 1d}}",
            "policy.not-a-choice",
            id="space-of-everybody",
        ),
        pytest.param(
            "spaces: {notes: {of: agent, agents: ['*'], keep: 1d}}", "policy.name", id="space-open"
        ),
        pytest.param(
            "spaces: {notes: {of: agent, roles: [a], keep: 1d, entries: 1001}}",
            "policy.out-of-range",
            id="space-too-large",
        ),
        pytest.param("spaces: {session: {of: agent}}", "policy.space", id="session-of-an-agent"),
        pytest.param("spaces: {session: {roles: [a]}}", "policy.space", id="session-of-a-role"),
        pytest.param("spaces: {../notes: {}}", "policy.name", id="space-that-is-a-path"),
        pytest.param("tools: {memory.put: {risk: read}}", "policy.own-tool", id="own-tool-milder"),
        pytest.param(
            "tools: {memory.get: {risk: irreversible}}", "policy.own-tool", id="own-tool-graver"
        ),
        pytest.param(
            "tools: {memory.get: {result: trusted}}", "policy.own-tool", id="own-tool-trusted"
        ),
        pytest.param(
            "tools: {memory.search: {result: {'found[].key': trusted}}}",
            "policy.own-tool",
            id="own-tool-half-trusted",
        ),
        pytest.param("delegation: {max_children: 0}", "policy.out-of-range", id="no-children"),
        pytest.param(
            "agents: {bot: {proof_of_possession: read}}", "policy.not-a-choice", id="proof"
        ),
        pytest.param("agents: {bot: {on_behalf_of: true}}", "policy.not-a-choice", id="truth"),
        pytest.param("agents: {bot: {owner: 2027-03-31}}", "policy.wrong-type", id="date-as-text"),
        pytest.param("agents: {bot: {owner: 1.10}}", "policy.wrong-type", id="number-as-text"),
        pytest.param("agents: {bot: {admin: true}}", "policy.unknown-key", id="unknown-key"),
        pytest.param("users: {}", "policy.missing-key", id="users-without-default"),
        pytest.param("users: {default: all}", "policy.not-a-choice", id="users-default"),
        pytest.param("users: {default: []}", "policy.empty", id="users-default-empty"),
        pytest.param("users: {default: ['*']}", "policy.wildcard", id="users-default-wildcard"),
        pytest.param(
            "users: {default: unrestricted, a: {members: [x], tools: ['*']}}",
            "policy.wildcard",
            id="user-list-wildcard",
        ),
        pytest.param(
            "users: {default: unrestricted, a: {tools: [s.a]}}", "policy.people", id="of-nobody"
        ),
        pytest.param(
            "users: {default: unrestricted, A b: {members: [x], tools: [s.a]}}",
            "policy.name",
            id="user-list-name",
        ),
        pytest.param("groups: {g: {}}", "policy.people", id="empty-group"),
        pytest.param(
            "groups: {g: {members: [a], from: 'oidc:group/g'}}", "policy.people", id="two-sources"
        ),
        pytest.param("groups: {g: {members: []}}", "policy.empty", id="no-members"),
        pytest.param("groups: {g: {members: ['a b']}}", "policy.spelling", id="member-with-space"),
        pytest.param("groups: {g: {from: 'saml:x'}}", "policy.spelling", id="group-source"),
        pytest.param("tools: {s: {}}", "policy.tool-name", id="tool-without-server"),
        pytest.param("tools: {'s.*': {}}", "policy.tool-name", id="pattern-as-tool"),
        pytest.param("tools: {S.a: {}}", "policy.tool-name", id="server-in-capitals"),
        pytest.param("tools: {s.а: {}}", "policy.tool-name", id="look-alike-tool"),
        pytest.param("tools: {s.a: {risk: none}}", "policy.not-a-choice", id="tool-risk"),
        pytest.param("tools: {s.a: {emits: web}}", "policy.wrong-type", id="emits-as-text"),
        pytest.param("tools: {s.a: {emits: [Web]}}", "policy.spelling", id="label-in-capitals"),
        pytest.param("tools: {s.a: {emits: {'a b': [web]}}}", "policy.spelling", id="part"),
        pytest.param("tools: {s.a: {emits: {}}}", "policy.empty", id="emits-no-part"),
        pytest.param("tools: {s.a: {result: maybe}}", "policy.not-a-choice", id="result"),
        pytest.param("tools: {s.a: {result: true}}", "policy.wrong-type", id="result-truth"),
        pytest.param("tools: {s.a: {target: []}}", "policy.empty", id="no-target"),
        pytest.param("tools: {s.a: {sink: outside}}", "policy.not-a-choice", id="sink"),
        pytest.param("tools: {s.a: {undo: {}}}", "policy.missing-key", id="undo-without-tool"),
        pytest.param(
            "tools: {s.a: {undo: {tool: s.a, args: {x: env.HOME}}}}", "policy.spelling", id="undo"
        ),
        pytest.param("tools: {s.a: {cost: {eur: env.x}}}", "policy.spelling", id="cost-path"),
        pytest.param("tools: {s.a: {cost: {eur: 0}}}", "policy.out-of-range", id="cost-zero"),
        pytest.param("tools: {s.a: {cost: {eur: true}}}", "policy.wrong-type", id="cost-truth"),
        pytest.param("tools: {s.a: {cost: {}}}", "policy.empty", id="cost-nothing"),
        pytest.param("tools: {s.a: {cost: {bytes-out: 1}}}", "policy.measured", id="measured"),
    ],
)
def test_a_register_that_is_not_understood_is_refused(text: str, code: str) -> None:
    assert code in codes(text)


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        pytest.param("{from: people, expires: 30m}", "policy.missing-key", id="no-quorum"),
        pytest.param("{from: people, quorum: 0, expires: 1h}", "policy.out-of-range", id="none"),
        pytest.param("{from: people, quorum: -1, expires: 1h}", "policy.out-of-range", id="minus"),
        pytest.param("{from: people, quorum: true, expires: 1h}", "policy.wrong-type", id="truth"),
        pytest.param("{from: people, quorum: '2', expires: 1h}", "policy.wrong-type", id="text"),
        pytest.param("{from: people, quorum: 1.0, expires: 1h}", "policy.wrong-type", id="1.0"),
        pytest.param("{from: people, quorum: 1}", "policy.missing-key", id="no-end"),
        pytest.param(
            "{from: people, quorum: 1, expires: 1h, escalate: {after: 1h, to: people}}",
            "policy.contradiction",
            id="escalates-after-its-end",
        ),
        pytest.param(
            "{from: people, quorum: 1, expires: 1h, escalate: {after: 5m}}",
            "policy.missing-key",
            id="escalates-to-nobody",
        ),
        pytest.param(
            "{from: people, quorum: 1, expires: 1h, break_glass: {from: people}}",
            "policy.missing-key",
            id="glass-that-stays-broken",
        ),
        pytest.param(
            "{from: people, quorum: 1, expires: 1h, break_glass: {within: 5m}}",
            "policy.missing-key",
            id="glass-that-anybody-breaks",
        ),
        pytest.param("{from: people, quorum: 1, expires: 30}", "policy.duration", id="unitless"),
        pytest.param("{from: people, quorum: 1, expires: 0m}", "policy.duration", id="zero"),
        pytest.param("{from: people, quorum: 1, expires: 1.5h}", "policy.duration", id="fraction"),
        pytest.param("{from: people, quorum: 1, expires: 30M}", "policy.duration", id="month"),
        pytest.param("{from: people, quorum: 1, expires: 400d}", "policy.duration", id="for-ever"),
        pytest.param("{from: people, quorum: 1, expires: ' 1h'}", "policy.duration", id="blank"),
        pytest.param(
            "{from: people, quorum: 1, expires: 1h, not: []}", "policy.empty", id="not-nobody"
        ),
        pytest.param(
            "{from: people, quorum: 1, expires: 1h, not: [kim]}",
            "policy.not-a-choice",
            id="not-kim",
        ),
        pytest.param(
            "{from: people, quorum: 1, expires: 1h, self: true}", "policy.not-a-choice", id="self"
        ),
        pytest.param(
            "{from: people, quorum: 1, expires: 1h, self: allowed, not: [requester]}",
            "policy.contradiction",
            id="self-and-not",
        ),
        pytest.param(
            "{from: people, quorum: 1, expires: 1h, passkey: optional}",
            "policy.not-a-choice",
            id="passkey",
        ),
    ],
)
def test_an_approval_without_clear_terms_is_refused(terms: str, code: str) -> None:
    assert code in codes(f"approvals: {{a: {terms}}}")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("limits: {a: {per: all, rate: 1/s}}", "policy.not-a-choice", id="per"),
        pytest.param("limits: {a: {per: agent}}", "policy.limit", id="no-kind"),
        pytest.param("limits: {a: {per: agent, rate: 1/s, at_once: 1}}", "policy.limit", id="two"),
        pytest.param(
            "limits: {a: {per: agent, at_once: 2, burst: 1}}", "policy.limit", id="burst-of-places"
        ),
        pytest.param("limits: {a: {per: agent, at_once: 0}}", "policy.out-of-range", id="no-place"),
        pytest.param("limits: {a: {per: agent, rate: 60/m}}", "policy.rate", id="unit"),
        pytest.param("limits: {a: {per: agent, rate: 0/min}}", "policy.rate", id="zero-rate"),
        pytest.param("limits: {a: {per: agent, rate: 60}}", "policy.rate", id="number"),
        pytest.param("limits: {a: {per: agent, rate: 1e9/s}}", "policy.rate", id="exponent"),
        pytest.param(
            "limits: {a: {per: agent, rate: 1/s, burst: 0}}", "policy.out-of-range", id="burst"
        ),
        pytest.param(
            "budgets: {a: {per: agent, amount: -1, window: 1d, unit: eur}}",
            "policy.out-of-range",
            id="amount",
        ),
        pytest.param(
            "budgets: {a: {per: agent, amount: 9007199254740993, window: 1d, unit: eur}}",
            "policy.out-of-range",
            id="inexact",
        ),
        pytest.param(
            "budgets: {a: {per: agent, amount: 1, window: 1d, unit: EUR}}", "policy.name", id="eur"
        ),
        pytest.param(
            "budgets: {a: {per: agent, amount: 1, window: 1d, unit: eur, unknown_cost: allow}}",
            "policy.not-a-choice",
            id="unknown-cost",
        ),
    ],
)
def test_a_limit_or_budget_without_a_clear_bound_is_refused(text: str, code: str) -> None:
    assert code in codes(text)


@pytest.mark.parametrize(
    ("tool", "labels", "trust"),
    [
        pytest.param("{}", UNDECLARED_LABELS, "untrusted", id="nothing-stated"),
        pytest.param("{result: trusted}", {"private"}, "trusted", id="trusted-without-labels"),
        pytest.param("{emits: []}", set(), "untrusted", id="emits-nothing"),
        pytest.param("{emits: [pii], result: trusted}", {"pii"}, "trusted", id="both-stated"),
        pytest.param(
            "{emits: {name: [pii], note: [pii, web]}}", {"pii", "web"}, "untrusted", id="by-part"
        ),
        pytest.param(
            "{result: {id: trusted, 'rows[].name': trusted}}",
            UNDECLARED_LABELS,
            "untrusted",
            id="a-part-is-not-the-whole",
        ),
    ],
)
def test_what_is_not_stated_of_a_tool_is_assumed_at_its_worst(
    tool: str, labels: set[str], trust: str
) -> None:
    stated = read(f"tools: {{s.a: {tool}}}").tools["s.a"]
    assert (stated.labels, stated.trust, stated.risk) == (frozenset(labels), trust, "irreversible")


@pytest.mark.parametrize(
    ("pattern", "tool", "covers"),
    [
        pytest.param("s.read", "s.read", True, id="same"),
        pytest.param("s.read", "s.read_all", False, id="longer"),
        pytest.param("s.*", "s.read", True, id="server"),
        pytest.param("s.*", "st.read", False, id="other-server"),
        pytest.param("s.get_*", "s.get_user", True, id="prefix"),
        pytest.param("s.get_*", "s.forget_user", False, id="inner"),
        pytest.param("*", "s.read", True, id="all"),
    ],
)
def test_a_pattern_covers_by_prefix_alone(pattern: str, tool: str, covers: bool) -> None:
    assert tool_matches(pattern, tool) is covers

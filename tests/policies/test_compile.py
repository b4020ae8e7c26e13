"""Compiling: what a set of files and a catalogue become, and every reason why they do not."""

import time
from collections.abc import Mapping

import pytest

from policies.compile import compile_snapshot
from policies.decision import Facts
from policies.errors import PolicyInvalid
from policies.finding import Finding
from policies.kernel import decide
from policies.loader import read_policies
from policies.pinned import ToolSchema
from policies.snapshot import Snapshot

HEAD = """\
apiVersion: passavant/v1
kind: Policy
name: test
default: deny
users: {default: unrestricted}
agents: {bot: {roles: [worker]}}
groups: {people: {members: [kim]}}
approvals: {one: {from: people, quorum: 1, expires: 30m}}
budgets: {eur: {per: agent, amount: 100, window: 1d, unit: eur}}
tools:
  pay.refund: {risk: irreversible, emits: [], target: [account], cost: {eur: args.amount}}
  crm.search: {risk: read, emits: [pii], result: trusted}
  web.get: {risk: read}
"""
CATALOGUE = {
    "pay.refund": ToolSchema(
        "pay.refund",
        "a" * 64,
        {
            "type": "object",
            "properties": {
                "account": {"type": "string"},
                "amount": {"type": "number"},
                "note": {"type": "string"},
            },
            "required": ["account", "amount"],
        },
    ),
    "crm.search": ToolSchema(
        "crm.search", "b" * 64, {"type": "object", "properties": {"text": {"type": "string"}}}
    ),
    "web.get": ToolSchema("web.get", "c" * 64, None),
}


def rule(when: str, tools: str = "pay.refund") -> str:
    return (
        f"rules:\n  - id: r\n    roles: [worker]\n    tools: [{tools}]\n"
        f"    effect: allow\n    when: {when}\n"
    )


def compiled(
    body: str, catalogue: Mapping[str, ToolSchema] | None = CATALOGUE, head: str = HEAD
) -> Snapshot:
    return compile_snapshot(read_policies([("p.yaml", (head + body).encode())]), catalogue)


def findings(
    body: str, catalogue: Mapping[str, ToolSchema] | None = CATALOGUE, head: str = HEAD
) -> tuple[Finding, ...]:
    with pytest.raises(PolicyInvalid) as refused:
        compiled(body, catalogue, head)
    return refused.value.findings


@pytest.mark.parametrize(
    ("when", "code"),
    [
        pytest.param("args.amout > 1", "condition.unknown-argument", id="misspelt-argument"),
        pytest.param('args.amount == "100"', "condition.types", id="number-and-text"),
        pytest.param("args.amount >", "condition.syntax", id="half-a-condition"),
        pytest.param("amount > 1", "condition.unknown-fact", id="no-such-fact"),
        pytest.param("totals.usd < 5", "condition.unknown-total", id="no-such-total"),
        pytest.param("has(args.nope)", "condition.absent", id="asking-for-nothing"),
        pytest.param("provenance.nope == 'user'", "condition.unknown-argument", id="provenance"),
    ],
)
def test_a_condition_that_does_not_fit_is_refused(when: str, code: str) -> None:
    (finding,) = findings(rule(when))
    assert finding.code == code
    assert finding.severity == "error"
    assert finding.at.file == "p.yaml"


def test_a_finding_points_into_the_condition() -> None:
    (finding,) = findings(rule("args.amount > 1 && args.amout < 5"))
    line = (HEAD + rule("args.amount > 1 && args.amout < 5")).splitlines()[finding.at.line - 1]
    assert line[finding.at.column - 1 :].startswith("args.amout")
    assert finding.hint == "did you mean 'amount'?"
    assert "pay.refund" in finding.message


def test_all_findings_come_at_once() -> None:
    guardrail = "guardrails:\n  - {id: g, why: x, tools: [pay.refund], when: args.x == 1}\n"
    invariant = "invariants:\n  - {id: i, never: {effect: [allow], when: nope}}\n"
    codes = [finding.code for finding in findings(guardrail + rule("args.y == 1") + invariant)]
    assert codes == [
        "condition.unknown-argument",
        "condition.unknown-argument",
        "condition.unknown-fact",
    ]


def test_doubts_are_kept_as_warnings() -> None:
    snapshot = compiled(rule("\"args.note == 'x' && 'webb' in labels\""))
    assert [finding.code for finding in snapshot.warnings] == [
        "condition.optional",
        "condition.unknown-label",
    ]


def test_labels_that_a_silent_tool_emits_are_known() -> None:
    assert not compiled(rule("\"'untrusted' in labels || 'private' in labels\"")).warnings


def test_a_condition_is_checked_for_every_tool_it_concerns() -> None:
    (finding,) = findings(rule("args.amount > 1", tools='pay.refund, "crm.*"'))
    assert finding.code == "condition.unknown-argument"
    assert "crm.search" in finding.message


def test_asking_for_what_only_some_tools_have_is_fine() -> None:
    when = "has(args.amount) && args.amount > 1"
    assert "r" in compiled(rule(when, tools="pay.refund, crm.search")).clauses


def test_without_a_catalogue_arguments_may_be_anything() -> None:
    assert "r" in compiled(rule("args.amout > 1"), None).clauses
    assert findings(rule("amount > 1"), None)


def test_a_tool_that_the_catalogue_does_not_have_is_refused() -> None:
    head = HEAD.replace("crm.search:", "crm.serch:")
    (finding,) = findings("", head=head)
    assert finding.code == "policy.unknown-tool"
    assert finding.hint == "did you mean 'crm.search'?"
    assert finding.at.line == head[: head.index("crm.serch")].count("\n") + 1


def test_a_tool_of_a_server_never_seen_is_a_warning() -> None:
    snapshot = compiled("", {name: each for name, each in CATALOGUE.items() if name != "web.get"})
    assert [finding.code for finding in snapshot.warnings] == ["policy.unpinned-tool"]


OWN = """\
  memory.put: {}
  agents.invoke: {}
  agents.web: {risk: write}
  approvals.editors: {risk: write}
  model.small: {risk: read}
"""


def test_tools_of_the_gateway_itself_are_in_no_lock_and_nobody_is_told_so() -> None:
    assert not compiled("", head=HEAD.replace("tools:\n", f"tools:\n{OWN}", 1)).warnings


def test_a_running_gateway_knows_its_own_agents_and_says_which_there_are_not() -> None:
    known = {**CATALOGUE, "agents.wab": ToolSchema("agents.wab", "d" * 64, None)}
    head = HEAD.replace("tools:\n", f"tools:\n{OWN}", 1)
    (finding,) = findings("", known, head=head)
    assert (finding.code, finding.hint) == ("policy.unknown-tool", "did you mean 'agents.wab'?")


@pytest.mark.parametrize("stated", ["target: [acount]", "cost: {eur: args.amout}"])
def test_an_argument_that_the_register_misspells_is_refused(stated: str) -> None:
    head = HEAD.replace("target: [account], cost: {eur: args.amount}", stated)
    (finding,) = findings("", head=head)
    assert finding.code == "policy.unknown-argument"
    assert finding.hint is not None


def test_names_are_resolved_whoever_read_the_files() -> None:
    """Documents that were put together by hand pass the same checks."""
    one, two = (read_policies([(name, HEAD.encode())])[0] for name in ("a.yaml", "b.yaml"))
    with pytest.raises(PolicyInvalid, match="already stated"):
        compile_snapshot([one, two], None)


def test_no_file_at_all_denies_everything() -> None:
    empty = compile_snapshot([], None)
    assert decide(empty, Facts("bot", "crm.search", {})).effect == "deny"


def test_the_digest_names_the_content_and_the_catalogue() -> None:
    documents = read_policies([("a.yaml", HEAD.encode())])
    renamed = read_policies([("b.yaml", HEAD.encode())])
    changed = read_policies([("a.yaml", HEAD.encode() + b"# x\n")])
    digest = compile_snapshot(documents, None).digest
    assert digest == compile_snapshot(renamed, None).digest
    assert digest == compile_snapshot(documents, CATALOGUE).digest
    assert digest != compile_snapshot(changed, None).digest
    assert digest != compile_snapshot(documents, None, lock_digest="1").digest
    assert len(digest) == 64


def test_the_order_of_files_is_no_part_of_the_digest() -> None:
    other = b"apiVersion: passavant/v1\nkind: Policy\nname: more\ndefault: deny\n"
    files = [("a.yaml", HEAD.encode()), ("b.yaml", other)]
    one = compile_snapshot(read_policies(files), None)
    two = compile_snapshot(read_policies(files[::-1]), None)
    assert one.digest == two.digest


def test_what_is_stated_of_a_tool_is_ready_for_use() -> None:
    snapshot = compiled("")
    refund, search, web = (snapshot.tools[name] for name in ("pay.refund", "crm.search", "web.get"))
    assert (refund.risk, refund.emits, refund.target) == ("irreversible", frozenset(), ("account",))
    assert dict(refund.cost) == {"eur": "args.amount"}
    assert (search.result, sorted(search.emits)) == ("trusted", ["pii"])
    assert (web.result, sorted(web.emits)) == ("untrusted", ["private", "untrusted"])


@pytest.mark.parametrize("block", ["agents", "tools", "groups", "limits", "budgets", "clauses"])
def test_a_snapshot_cannot_be_changed(block: str) -> None:
    snapshot = compiled(rule("args.amount > 1"))
    with pytest.raises(TypeError):
        getattr(snapshot, block)["x"] = None
    with pytest.raises(AttributeError):
        setattr(snapshot, block, {})


def test_equal_conditions_are_one() -> None:
    rules = "rules:\n" + "".join(
        f"  - {{id: r{n}, roles: [worker], tools: [pay.refund], effect: allow, "
        "when: args.amount < 5}\n"
        for n in range(3)
    )
    clauses = compiled(rules).clauses
    assert clauses["r0"].condition is clauses["r2"].condition
    assert clauses["r0"].test is clauses["r2"].test


def test_a_thousand_rules_are_compiled_in_a_moment() -> None:
    rules = "rules:\n" + "".join(
        f"  - {{id: r{n}, roles: [worker], tools: [pay.refund], effect: allow, "
        f"when: args.amount < {n}}}\n"
        for n in range(1_000)
    )
    documents = read_policies([("p.yaml", (HEAD + rules).encode())])
    before = time.process_time()
    compile_snapshot(documents, CATALOGUE)
    assert time.process_time() - before < 5


def test_what_an_edge_lends_freely_no_other_makes_a_matter_of_consent() -> None:
    policy = (
        HEAD.replace("agents: {", "agents: {ada: {}, bo: {}, ") + "delegation:\n"
        "  edges:\n"
        "    - {id: a, from: ada, to: bo, tools: [crm.search]}\n"
        "    - {id: b, from: ada, to: bo, tools: [crm.search, web.get], consent: required}\n"
    )
    found = compile_snapshot(read_policies([("p.yaml", policy.encode())]), None).delegation
    assert found.by_consent == {("ada", "bo"): ("web.get",)}
    assert found.lent("ada", "bo", consented=False) == ("crm.search", "crm.search")
    assert "web.get" in found.lent("ada", "bo", consented=True)
    assert found.lent("bo", "ada", consented=True) == ()


@pytest.mark.parametrize(
    ("undo", "complaint"),
    [
        pytest.param("{who: args.account}", "'web.put' has no argument 'who'", id="undo-has-none"),
        pytest.param(
            "{text: args.nope}", "'pay.refund' has no argument 'nope'", id="call-has-none"
        ),
    ],
)
def test_what_takes_a_call_back_is_given_what_there_is(undo: str, complaint: str) -> None:
    put = ToolSchema(
        "web.put", "d" * 64, {"type": "object", "properties": {"text": {"type": "string"}}}
    )
    head = HEAD.replace(
        "target: [account],", f"target: [account], undo: {{tool: web.put, args: {undo}}},"
    )
    head += "  web.put: {risk: write}\n"
    (finding,) = findings("", {**CATALOGUE, "web.put": put}, head)
    assert finding.code == "policy.unknown-argument"
    assert complaint in finding.message

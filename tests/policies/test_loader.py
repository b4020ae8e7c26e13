"""Files in, documents out: every finding at once, each at its place, in the user's own words."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.errors import PolicyInvalid
from policies.finding import Finding
from policies.loader import load_policies, load_tests, read_policies, read_tests

DATA = Path(__file__).parent / "data"
HEAD = "apiVersion: passavant/v1\nkind: Policy\nname: test\ndefault: deny\n"


def findings_of(*texts: str) -> tuple[Finding, ...]:
    with pytest.raises(PolicyInvalid) as caught:
        read_policies((f"p{number}.yaml", text.encode()) for number, text in enumerate(texts))
    return caught.value.findings


def test_several_mistakes_are_reported_in_file_order() -> None:
    found = findings_of(
        HEAD
        + "rulse: []\nagents:\n  Clerk: {}\n  bot: {rolls: [a]}\ntools: {a.b: {risk: wriet}}\n",
        "kind: Policy\n",
    )
    assert [str(finding) for finding in found] == [
        (
            "p0.yaml:5:1: error[policy.unknown-key]: the key 'rulse' is not known here"
            " (did you mean 'rules'?)"
        ),
        (
            "p0.yaml:7:3: error[policy.name]: found 'Clerk', expected a name of at most 64"
            " lower-case letters, digits and single hyphens, as 'pay-small'"
        ),
        (
            "p0.yaml:8:9: error[policy.unknown-key]: the key 'rolls' is not known here"
            " (did you mean 'roles'?)"
        ),
        (
            "p0.yaml:9:21: error[policy.not-a-choice]: found 'wriet', expected 'read', 'write' or"
            " 'irreversible' (did you mean 'write'?)"
        ),
        "p1.yaml:1:1: error[policy.missing-key]: the key 'apiVersion' is missing",
        "p1.yaml:1:1: error[policy.missing-key]: the key 'name' is missing",
        "p1.yaml:1:1: error[policy.missing-key]: the key 'default' is missing",
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        pytest.param(
            "agents: {b: {on_behalf: required}}", "did you mean 'on_behalf_of'?", id="agent"
        ),
        pytest.param("users: {default: unrestrictd}", "did you mean 'unrestricted'?", id="choice"),
        pytest.param("tools: {a.b: {undo: {tol: a.b}}}", "did you mean 'tool'?", id="undo"),
        pytest.param("groups: {g: {member: [a]}}", "did you mean 'members'?", id="group"),
        pytest.param("delegation: {edge: []}", "did you mean 'edges'?", id="delegation"),
        pytest.param("rules: [{wen: x}]", "did you mean 'when'?", id="inside-a-list"),
        pytest.param(
            "invariants: [{id: a, never: {efect: [ask]}}]", "did you mean 'effect'?", id="in"
        ),
        pytest.param("agents: {b: {owner: 5}}", "put it in quotes", id="number-as-text"),
        pytest.param("agents: {b: {owner: true}}", "put it in quotes", id="truth-as-text"),
    ],
)
def test_the_nearest_name_is_offered(text: str, hint: str) -> None:
    assert hint in {finding.hint for finding in findings_of(HEAD + text)}


def test_no_name_is_offered_when_none_is_near() -> None:
    (finding,) = findings_of(HEAD + "zzzzzz: 1")
    assert finding.hint is None


def test_a_mistake_that_concerns_a_member_is_reported_at_that_member() -> None:
    text = HEAD + "rules:\n  - id: r\n    roles: [a]\n    tools: ['*']\n    effect: allow\n"
    (finding,) = findings_of(text)
    assert (finding.code, str(finding.at)) == ("policy.wildcard", "p0.yaml:8:12")


def test_an_alternative_that_was_not_chosen_is_not_spoken_of() -> None:
    (finding,) = findings_of(HEAD + "tools: {a.b: {emits: {part: [1]}}}")
    assert (finding.message, finding.at.column) == ("found 1, expected text", 30)


def test_no_file_at_all_is_refused() -> None:
    with pytest.raises(PolicyInvalid, match="no policy file is named"):
        load_policies([])


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_a_finding(tmp_path: Path, name: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        load_policies([tmp_path / name])
    assert caught.value.findings[0].code == "policy.unreadable"


def test_an_unreadable_file_does_not_hide_what_is_wrong_in_another(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("kind: Policy\n")
    with pytest.raises(PolicyInvalid) as caught:
        load_policies([tmp_path / "a.yaml", tmp_path / "b.yaml"])
    assert len(caught.value.findings) == 4


def test_files_of_one_set_define_names_for_each_other(tmp_path: Path) -> None:
    guardrails = tmp_path / "guardrails.yaml"
    guardrails.write_text(HEAD + "guardrails: [{id: g, why: x, tools: [a.b]}]\n")
    tools = tmp_path / "tools.yaml"
    tools.write_text(HEAD + "tools: {a.b: {risk: read}}\n")
    documents = load_policies([guardrails, tools])
    assert [document.source.file for document in documents] == [str(guardrails), str(tools)]


def test_documents_keep_the_bytes_they_were_read_from(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_bytes(HEAD.encode() + b"# a comment counts too\n")
    (document,) = load_policies([file])
    assert document.source.raw == file.read_bytes()


def test_a_test_file_is_no_policy_and_a_policy_no_test_file() -> None:
    tests = "apiVersion: passavant/v1\nkind: PolicyTest\npolicy: p.yaml\n"
    with pytest.raises(PolicyInvalid, match="expected 'Policy'"):
        read_policies([("t.yaml", tests.encode())])
    with pytest.raises(PolicyInvalid, match="expected 'PolicyTest'"):
        read_tests("p.yaml", HEAD.encode())


def test_a_missing_test_file_is_a_finding(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid, match="cannot be read"):
        load_tests(tmp_path / "t.yaml")


LINES = (DATA / "acme.policy.yaml").read_text().splitlines()
ODD = [
    "", " ", "[]", "{}", "null", "true", "yes", "-1", "1.0", "2027-03-31", "'*'", "[a, a]", "&x a",
    "*x", "!!str a", "<<", "{a: {b: c}}", "\u202e", "\x00", "x" * 3000, "[" * 50, "'", '"', ": :",
]  # fmt: skip


@given(
    edits=st.lists(
        st.tuples(
            st.integers(0, len(LINES) - 1),
            st.sampled_from(["drop", "repeat", "swap", "value", "key", "indent"]),
            st.sampled_from(ODD),
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=300)
def test_a_damaged_policy_is_refused_with_places_or_still_means_something(
    edits: list[tuple[int, str, str]],
) -> None:
    lines = list(LINES)
    for number, edit, odd in edits:
        lines[number] = _edited(lines[number], edit, odd)
    try:
        (document,) = read_policies([("p.yaml", "\n".join(lines).encode())])
    except PolicyInvalid as error:
        places = [(finding.at.file, finding.at.line) for finding in error.findings]
    else:
        places = [("p.yaml", document.source.at("default").line)]
        assert document.policy.default == "deny"
    assert places
    assert all(file == "p.yaml" and line >= 1 for file, line in places)


def _edited(line: str, edit: str, odd: str) -> str:
    key, colon, value = line.partition(": ")
    return {
        "drop": "",
        "repeat": f"{line}\n{line}",
        "swap": f"{value}{colon}{key}",
        "value": f"{key}: {odd}",
        "key": f"{odd}: {value}",
        "indent": f"  {line}",
    }[edit]

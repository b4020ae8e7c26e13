"""The JSON Schemas say what the loader does."""

import json
from datetime import date, datetime
from pathlib import Path

import jsonschema_rs
import pytest

from policies.document import Policy
from policies.errors import PolicyInvalid
from policies.loader import read_policies
from policies.schema import keys_at, schemas
from policies.source import Source

DATA = Path(__file__).parent / "data"
HEAD = "apiVersion: passavant/v1\nkind: Policy\nname: test\ndefault: deny\n"


def as_json(file: str, raw: bytes) -> object:
    """A file as an editor sees it: dates are texts."""
    value = Source.read(file, raw).value

    def text(value: object) -> str:
        assert isinstance(value, date | datetime)
        return value.isoformat()

    return json.loads(json.dumps(value, default=text))


def accepts(schema: str, raw: bytes) -> bool:
    return jsonschema_rs.Draft202012Validator(schemas()[schema]).is_valid(as_json("x", raw))


def test_the_examples_are_valid() -> None:
    assert accepts("policy.schema.json", (DATA / "acme.policy.yaml").read_bytes())
    assert accepts("policy-test.schema.json", (DATA / "acme.policy.test.yaml").read_bytes())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("surprise: 1", id="unknown-block"),
        pytest.param("agents: {Bot: {}}", id="agent-name"),
        pytest.param("agents: {bot: {roles: []}}", id="empty-list"),
        pytest.param("agents: {}", id="empty-block"),
        pytest.param("tools: {noserver: {}}", id="tool-name"),
        pytest.param("tools: {s.a: {risk: none}}", id="risk"),
        pytest.param("users: {default: nobody}", id="users-default"),
        pytest.param("users: {default: unrestricted, a: {tools: 5}}", id="user-list"),
        pytest.param("limits: {a: {per: agent, rate: 60/m}}", id="rate"),
        pytest.param("approvals: {a: {from: g, quorum: 1, expires: 30}}", id="duration"),
        pytest.param("approvals: {a: {from: g, quorum: 0, expires: 30m}}", id="quorum"),
        pytest.param("rules: [{id: r, roles: [a], tools: [s.a], effect: Deny}]", id="effect"),
        pytest.param("guardrails: [{id: g, tools: [s.a]}]", id="why"),
    ],
)
def test_what_a_schema_refuses_the_loader_refuses_too(text: str) -> None:
    raw = (HEAD + text).encode()
    assert not accepts("policy.schema.json", raw)
    with pytest.raises(PolicyInvalid):
        read_policies([("p.yaml", raw)])


def test_a_schema_says_which_dialect_it_is_in_and_what_it_is_about() -> None:
    for schema in schemas().values():
        jsonschema_rs.meta.validate(schema)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert "Passavant" in schema["title"]


@pytest.mark.parametrize(
    ("path", "some"),
    [
        pytest.param((), {"apiVersion", "rules", "users"}, id="top"),
        pytest.param(("rules", 0), {"id", "when", "until"}, id="rule"),
        pytest.param(("agents", "bot"), {"roles", "on_behalf_of"}, id="agent"),
        pytest.param(("tools", "s.a", "undo"), {"tool", "args"}, id="undo"),
        pytest.param(("users", "guests"), {"members", "from", "tools"}, id="user-list"),
        pytest.param(("invariants", 0, "never"), {"risk", "effect"}, id="never"),
        pytest.param(("nowhere", "at", "all"), set(), id="unknown"),
    ],
)
def test_keys_are_known_by_path(path: tuple[str | int, ...], some: set[str]) -> None:
    keys = keys_at(Policy, path)
    assert keys >= some
    assert bool(keys) is bool(some)

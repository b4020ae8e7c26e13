"""Checking conditions against what the gateway knows and what a tool takes."""

from collections.abc import Mapping

import pytest

from policies.condition_parse import parse
from policies.condition_types import check
from policies.remark import Remark
from policies.shape import ANYTHING, read_schema

SCHEMA: Mapping[str, object] = {
    "type": "object",
    "properties": {
        "amount": {"type": "number"},
        "count": {"type": "integer"},
        "to": {"type": "string"},
        "note": {"type": ["string", "null"]},
        "urgent": {"type": "boolean"},
        "currency": {"enum": ["EUR", "USD"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "customer": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
            "required": ["name"],
        },
        "any": {},
    },
    "required": ["amount", "to", "currency", "tags", "customer", "count", "urgent", "any"],
}


def remarks(text: str, *, typed: bool = True) -> dict[str, Remark]:
    found = check(
        parse(text),
        args=read_schema(SCHEMA) if typed else ANYTHING,
        totals=frozenset({"refunds"}),
        labels=frozenset({"web", "pii"}),
        tools=frozenset({"desk.pay", "desk.look"}),
    )
    return {remark.code: remark for remark in found}


@pytest.mark.parametrize(
    "text",
    [
        "args.amount > 0 && args.amount <= 100.5",
        "args.count == 3.0",
        "args.to.endsWith('@acme.example')",
        "domain(args.to) == 'acme.example'",
        "domain(args.to) in ['acme.example', 'b.example']",
        "has(args.note) && args.note == null",
        "has(args.note) && args.note == 'x'",
        "args.urgent",
        "!args.urgent || args.urgent == true",
        "args.currency in ['EUR']",
        "'x' in args.tags",
        "size(args.tags) < 5",
        "args.customer.name == 'x'",
        "has(args.customer.age) && args.customer.age > 17",
        "args.any == 'x' || args.any == 1",
        "args.any.deep.path == 1",
        "under(args.to, '/data')",
        "args.to.matches('^[a-z]+$')",
        "'web' in labels && size(labels) > 1",
        "'support-bot' in chain",
        "agent == 'x' && tool == 'y'",
        "user == null || user == 'ana'",
        "provenance.to == 'user'",
        "provenance.to != 'none'",
        "origin.target == 'user' && origin.carried in ['user', 'nothing']",
        "risk == 'read' && sink != 'internal' && size(secrets) == 0 && !('token' in secrets)",
        "has(session.purpose) && session.purpose.contains('refund')",
        "totals.refunds < 100",
        "before('desk.pay') || !before('desk.look')",
        "before('desk.pay') && since('desk.pay') < duration('1h')",
        "count('desk.pay', '1h30m') < 5 && count('desk.pay', '720h') >= 1",
        "now < timestamp('2027-01-01T00:00:00Z')",
        "timestamp(args.to) > now",
        "duration(args.to) <= duration('1h')",
        "true",
    ],
)
def test_what_fits_gives_no_remark(text: str) -> None:
    assert not remarks(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("args.amont > 1", "unknown-argument", id="misspelt"),
        pytest.param("args.customer.nam == 'x'", "unknown-argument", id="misspelt-member"),
        pytest.param("provenance.too == 'user'", "unknown-argument", id="misspelt-provenance"),
        pytest.param("agrs.amount > 1", "unknown-fact", id="misspelt-fact"),
        pytest.param("request.amount > 1", "unknown-fact", id="no-such-fact"),
        pytest.param("session.id == 'x'", "unknown-fact", id="hidden-fact"),
        pytest.param("totals.refund < 1", "unknown-total", id="misspelt-total"),
        pytest.param("args.amount == '100'", "types", id="number-and-text"),
        pytest.param("args.amount <= '100'", "types", id="number-below-text"),
        pytest.param("args.amount != '100'", "types", id="number-unlike-text"),
        pytest.param("args.amount == true", "types", id="number-and-truth"),
        pytest.param("args.urgent == 1", "types", id="truth-and-number"),
        pytest.param("args.amount", "types", id="number-as-condition"),
        pytest.param("args.to && true", "types", id="text-as-condition"),
        pytest.param("!args.to", "types", id="not-of-text"),
        pytest.param("args.amount in ['1', '2']", "types", id="number-in-texts"),
        pytest.param("1 in args.tags", "types", id="number-in-list-of-texts"),
        pytest.param("'x' in args.to", "types", id="in-a-text"),
        pytest.param("args.amount.startsWith('1')", "types", id="method-of-a-number"),
        pytest.param("domain(args.amount) == 'a.b'", "types", id="domain-of-a-number"),
        pytest.param("under(args.amount, '/a')", "types", id="path-of-a-number"),
        pytest.param("size(args.amount) > 1", "types", id="size-of-a-number"),
        pytest.param("args.tags < ['a']", "types", id="order-of-lists"),
        pytest.param("args.any < now", "types", id="argument-and-moment"),
        pytest.param("now == 5", "types", id="moment-and-number"),
        pytest.param("now > duration('1h')", "types", id="moment-and-span"),
        pytest.param("labels == ['web']", "types", id="labels-have-no-order"),
        pytest.param("agent.name == 'x'", "types", id="member-of-a-name"),
        pytest.param("args.to.name == 'x'", "types", id="member-of-a-text"),
        pytest.param("provenance == 'user'", "types", id="provenance-of-nothing"),
        pytest.param("totals.a.b < 1", "types", id="deep-total"),
        pytest.param("has(provenance.to)", "types", id="has-of-what-is-always-there"),
        pytest.param("(args.to == 'a') == false", "nested", id="condition-compared"),
        pytest.param("(args.to == 'a') in [true]", "nested", id="condition-looked-for"),
        pytest.param("size(has(args.to)) > 1", "nested", id="size-of-a-condition"),
        pytest.param("args.to in []", "never", id="empty-list"),
        pytest.param("provenance.to == 'users'", "never", id="no-such-provenance"),
        pytest.param("origin.target == 'nothing'", "never", id="a-target-is-never-nothing"),
        pytest.param("origin.carried == 'users'", "never", id="no-such-origin"),
        pytest.param("origin.targets == 'user'", "unknown-fact", id="misspelt-origin"),
        pytest.param("origin == 'user'", "types", id="origin-of-nothing"),
        pytest.param("has(origin.target)", "types", id="has-of-an-origin"),
        pytest.param("risk == 'reads'", "never", id="no-such-risk"),
        pytest.param("sink == 'outside'", "never", id="no-such-sink"),
        pytest.param("secrets == 'token'", "types", id="a-set-is-no-text"),
        pytest.param("args.to.matches('(')", "literal", id="broken-pattern"),
        pytest.param("args.to.matches(args.note)", "literal", id="pattern-from-outside"),
        pytest.param("under(args.to, args.note)", "literal", id="root-from-outside"),
        pytest.param("under(args.to, 'data')", "literal", id="relative-root"),
        pytest.param("under(args.to, '/data/')", "literal", id="root-not-normal"),
        pytest.param("under(args.to, '/a/../b')", "literal", id="root-with-steps-upwards"),
        pytest.param("now < timestamp('tomorrow')", "literal", id="no-moment"),
        pytest.param("duration('1d') < duration('2h')", "literal", id="no-span"),
        pytest.param("domain(args.to) == 'ACME.example'", "literal", id="domain-in-capitals"),
        pytest.param("domain(args.to) != 'acme.example.'", "literal", id="domain-with-a-dot"),
        pytest.param("domain(args.to) in ['bücher.example']", "literal", id="u-label"),
        pytest.param("domain(args.to) == '@acme.example'", "literal", id="no-domain"),
        pytest.param("before('desk.pya')", "unknown-tool", id="misspelt-tool"),
        pytest.param("before('desk.*')", "unknown-tool", id="tool-pattern"),
        pytest.param("before(args.to)", "literal", id="tool-from-outside"),
        pytest.param("since(tool) > duration('1h')", "literal", id="tool-of-the-call"),
        pytest.param("count('desk.pay', args.to) < 1", "literal", id="window-from-outside"),
        pytest.param("count('desk.pay', 3600) < 1", "literal", id="window-without-unit"),
        pytest.param("count('desk.pay', '1d') < 1", "literal", id="window-in-days"),
        pytest.param("count('desk.pay', '500ms') < 1", "literal", id="window-below-a-second"),
        pytest.param("count('desk.pay', '721h') < 1", "literal", id="window-beyond-memory"),
        pytest.param("count('desk.pay', '-1h') < 1", "literal", id="window-backwards"),
        pytest.param("count('desk.pay', '1h')", "types", id="count-as-condition"),
        pytest.param("since('desk.pay') < 5", "types", id="span-and-number"),
        pytest.param("before('desk.pay') == true", "nested", id="before-compared"),
        pytest.param("size(before('desk.pay')) > 1", "nested", id="size-of-before"),
    ],
)
def test_what_can_never_be_right_is_an_error(text: str, code: str) -> None:
    assert remarks(text)[f"condition.{code}"].severity == "error"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("args.note == 'x'", "optional", id="argument-that-may-be-absent"),
        pytest.param("args.customer.age > 1", "optional", id="member-that-may-be-absent"),
        pytest.param("'webb' in labels", "unknown-label", id="label-that-nobody-emits"),
        pytest.param("args.currency == 'EURO'", "never", id="no-such-choice"),
    ],
)
def test_what_is_doubtful_is_a_warning(text: str, code: str) -> None:
    assert remarks(text)[f"condition.{code}"].severity == "warning"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("args.amont > 1", "'amount'"),
        ("agrs.amount > 1", "'args'"),
        ("'webb' in labels", "'web'"),
        ("totals.refund < 1", "'refunds'"),
        ("provenance.to == 'users'", "'user'"),
        ("args.note == 'x'", "has(args.note)"),
        ("domain(args.to) == 'ACME.example'", "'acme.example'"),
    ],
)
def test_a_remark_says_how_to_mend_it(text: str, hint: str) -> None:
    (remark,) = remarks(text).values()
    assert remark.hint is not None
    assert hint in remark.hint


def test_a_remark_points_at_the_place() -> None:
    (remark,) = remarks("args.amount > 1 && args.amont < 5").values()
    assert remark.offset == 19


@pytest.mark.parametrize("text", ["args.whatever == 'x'", "args.a.b.c < 5", "'x' in args.list"])
def test_without_a_schema_arguments_may_be_anything(text: str) -> None:
    assert not remarks(text, typed=False)


@pytest.mark.parametrize("text", ["agrs.a == 1", "now == 5", "args.a.matches('(')", "user == 1"])
def test_what_is_wrong_for_any_schema_shows_without_one(text: str) -> None:
    assert remarks(text, typed=False)


def test_asking_for_what_a_tool_never_has_is_told_apart() -> None:
    assert set(remarks("has(args.path) && args.path == 'x'")) == {"condition.absent"}


def test_since_without_before_is_warned_of() -> None:
    found = remarks("since('desk.pay') > duration('1h') && before('desk.look')")
    assert [(code, remark.severity) for code, remark in found.items()] == [
        ("condition.optional", "warning")
    ]

"""Conditions at work: values, errors, and text that is not what it seems."""

import contextlib
import time
from dataclasses import replace

import pytest

from audit.canonical import Json
from policies.condition_eval import build
from policies.condition_parse import parse
from policies.condition_types import check
from policies.decision import Facts
from policies.errors import ConditionFailed

FACTS = Facts(
    agent="bot",
    tool="pay.refund",
    args={
        "amount": 40,
        "rate": 0.5,
        "whole": 40.0,
        "currency": "EUR",
        "to": "ana@acme.example",
        "path": "/data/reports/x",
        "urgent": True,
        "calm": False,
        "nothing": None,
        "tags": ["red", "blue", 3],
        "empty": [],
        "customer": {"name": "Ana", "ids": [1, 2]},
        "a-b": "c",
        "due": "2027-01-31T00:00:00Z",
        "ttl": "90m",
    },
    user="ana",
    chain=("support-bot",),
    labels=frozenset({"web", "pii"}),
    provenance={"to": "user"},
    origin={"target": "user"},
    secrets=frozenset({"token"}),
    risk="write",
    sink="external",
    purpose="refund 40 to ana",
    totals={"refunds": 100},
    history={"desk.pay": 600_000_000, "desk.look": None, "desk.pay@3600": 3, "desk.look@60": 0},
    now=1_800_000_000_000_000,
)


def holds(text: str, facts: Facts = FACTS, *, refuses: bool = False) -> bool:
    condition = parse(text)
    assert not [remark for remark in check(condition) if remark.severity == "error"]
    return build(condition, refuses=refuses)(facts)


def given_args(**args: Json) -> Facts:
    return replace(FACTS, args=args)


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "args.amount == 40 && args.amount == 40.0 && args.whole == 40",
        "args.amount > 39.5 && 40.5 > args.amount && args.amount >= 40 && 40 <= args.amount",
        "args.rate < 1 && args.rate != 1 && args.rate > -1",
        "args.currency == 'EUR' && 'EUR' == args.currency && args.currency != 'USD'",
        "args.currency in ['EUR', 'USD'] && !(args.currency in ['GBP'])",
        "args.amount in [1, 40.0] && args.urgent in [true] && args.nothing in [null]",
        "'red' in args.tags && 3 in args.tags && !('green' in args.tags)",
        "'name' in args.customer && !('age' in args.customer)",
        "args.urgent && !args.calm && args.urgent == true && args.urgent != args.calm",
        "args.nothing == null && args.currency != null",
        "args.tags == ['red', 'blue', 3.0] && args.tags != ['red']",
        "args.customer.name == 'Ana' && args.customer.ids == [1, 2]",
        "args['a-b'] == 'c'",
        "before('desk.pay') && !before('desk.look')",
        "since('desk.pay') == duration('10m') && since('desk.pay') < duration('11m')",
        "count('desk.pay', '1h') == 3 && count('desk.pay', '60m') > 2",
        "count('desk.look', '1m') == 0",
        "!before('desk.look') || since('desk.look') > duration('1h')",
        "size(args.currency) == 3 && args.tags.size() == 3 && size(args.customer) == 2",
        "size(args.empty) == 0 && size(labels) == 2 && size(chain) == 1 && size(args) > 10",
        "has(args.amount) && !has(args.nope) && has(args.customer.name) && !has(args.customer.x)",
        "args.to.startsWith('ana@') && args.to.endsWith('.example') && args.to.contains('acme')",
        "args.to.matches('^[a-z]+@acme') && args.to.matches('acme')",
        "domain(args.to) == 'acme.example' && domain(args.to).endsWith('.example')",
        "under(args.path, '/data/reports') && !under(args.path, '/etc')",
        "'web' in labels && !('secret' in labels) && 'support-bot' in chain",
        "agent == 'bot' && tool.startsWith('pay.') && user == 'ana'",
        "provenance.to == 'user' && provenance.amount == 'none' && provenance.to in ['user']",
        "origin.target == 'user' && origin.carried == 'none'",
        "'token' in secrets && size(secrets) == 1 && risk != 'read' && sink == 'external'",
        "has(session.purpose) && session.purpose.contains('refund')",
        "totals.refunds <= 100 && has(totals.refunds) && !has(totals.other)",
        "now > timestamp('2027-01-01T00:00:00Z') && timestamp(args.due) > now",
        "duration(args.ttl) == duration('1h30m') && duration(args.ttl) < duration('2h')",
        "'a' < 'b' && args.currency < 'F' && args.calm < args.urgent",
        "size('héé') == 3",
    ],
)
def test_what_is_so_holds(text: str) -> None:
    assert holds(text)
    assert not holds(f"!({text})")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        pytest.param("args.nope == 1 || true", True, id="or-true"),
        pytest.param("true || args.nope == 1", True, id="true-or"),
        pytest.param("args.nope == 1 && false", False, id="and-false"),
        pytest.param("false && args.nope == 1", False, id="false-and"),
        pytest.param("args.nope && args.amount > 100 && args.nope", False, id="false-between"),
        pytest.param("!(args.nope == 1 && false)", True, id="not-of-a-settled-and"),
    ],
)
def test_a_settled_matter_takes_no_notice_of_errors(text: str, answer: bool) -> None:
    assert holds(text) is answer


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("args.nope == 1", id="absent"),
        pytest.param("args.nope != 1", id="absent-and-unlike"),
        pytest.param("args.nope || false", id="or-false"),
        pytest.param("args.nope && true", id="and-true"),
        pytest.param("!args.nope", id="not"),
        pytest.param("args.customer.age > 1", id="absent-member"),
        pytest.param("args.amount.x == 1", id="member-of-a-number"),
        pytest.param("has(args.amount.x)", id="has-below-a-number"),
        pytest.param("has(args.nope.x)", id="has-below-nothing"),
        pytest.param("args.currency <= 100", id="text-below-number"),
        pytest.param("args.urgent <= 100", id="truth-below-number"),
        pytest.param("args.nothing <= 100", id="null-below-number"),
        pytest.param("args.amount < args.currency", id="two-kinds"),
        pytest.param("args.tags < args.tags", id="order-of-lists"),
        pytest.param("args.amount && true", id="number-as-condition"),
        pytest.param("args.currency || true && args.currency", id="text-as-condition"),
        pytest.param("args.amount.startsWith('4')", id="method-of-a-number"),
        pytest.param("args.amount.matches('4')", id="pattern-on-a-number"),
        pytest.param("size(args.amount) == 1", id="size-of-a-number"),
        pytest.param("domain(args.amount) == 'a.b'", id="domain-of-a-number"),
        pytest.param("under(args.amount, '/a')", id="path-of-a-number"),
        pytest.param("since('desk.look') > duration('1h')", id="since-never"),
        pytest.param("before('desk.send')", id="history-that-nobody-gathered"),
        pytest.param("!before('desk.send')", id="no-history-that-nobody-gathered"),
        pytest.param("count('desk.pay', '2h') < 10", id="window-that-nobody-counted"),
        pytest.param("'x' in args.amount", id="in-a-number"),
        pytest.param("'x' in args.currency", id="in-a-text"),
        pytest.param("timestamp(args.currency) > now", id="no-moment"),
        pytest.param("duration(args.currency) > duration('1s')", id="no-span"),
        pytest.param("totals.nope < 1", id="no-total"),
    ],
)
def test_what_has_no_value_fails(text: str) -> None:
    with pytest.raises(ConditionFailed):
        holds(text)


def test_without_user_or_purpose_there_is_nothing_to_compare() -> None:
    nobody = replace(FACTS, user=None, purpose=None)
    assert holds("user == null && user != 'ana' && !has(session.purpose)", nobody)
    for text in ("user.startsWith('a')", "session.purpose == 'x'"):
        with pytest.raises(ConditionFailed):
            holds(text, nobody)


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (True, False),
        (False, False),
        ("1", False),
        ("40", False),
        (None, False),
        ([40], False),
        ({"a": 40}, False),
        (40, True),
        (40.0, True),
        (40.5, False),
        (2**53 - 1, False),
    ],
)
def test_equality_never_converts(value: Json, answer: bool) -> None:
    assert holds("args.x == 40", given_args(x=value)) is answer
    assert holds("args.x in [40, 'x']", given_args(x=value)) is answer
    assert holds("args.x != 40", given_args(x=value)) is not answer
    assert holds("40 in args.x", given_args(x=[value])) is answer
    assert holds("args.x == [40]", given_args(x=[value])) is answer
    assert holds("args.x == args.y", given_args(x={"k": value}, y={"k": 40})) is answer


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("1e9", id="exponent-as-text"),
        pytest.param("50", id="number-as-text"),
        pytest.param(True, id="true"),
        pytest.param(None, id="null"),
        pytest.param([50], id="list"),
        pytest.param({}, id="map"),
        pytest.param(float("nan"), id="nan-that-no-reader-lets-in"),
        pytest.param("", id="empty-text"),
    ],
)
def test_t16_a_bound_is_satisfied_by_numbers_alone(value: Json) -> None:
    for text in ("args.x <= 100", "args.x > 0 && args.x <= 100", "!(args.x > 100)"):
        with pytest.raises(ConditionFailed):
            holds(text, given_args(x=value))


@pytest.mark.parametrize("value", [101, 100.5, 1e9, 2**53 - 1, float("inf"), -1, 0])
def test_t16_no_number_outside_its_bounds_passes(value: float) -> None:
    assert not holds("args.x > 0 && args.x <= 100", given_args(x=value))


# -- text from strangers -----------------------------------------------------------------------

ODD = [
    pytest.param("mal\u200blory", id="zero-width-space"),
    pytest.param("\u202emallory", id="bidi-override"),
    pytest.param("mallory\ufeff", id="byte-order-mark"),
    pytest.param("m\u0430llory", id="cyrillic"),
    pytest.param("mallory\u0000", id="nul"),
    pytest.param("mal\ufe00lory", id="variation-selector"),
]
ALIKE = [
    *(each.values[0] for each in ODD),
    "MALLORY",  # capitals
    "ｍａｌｌｏｒｙ",  # full width
    "𝐦𝐚𝐥𝐥𝐨𝐫𝐲",  # mathematical
]
OPENING = [
    "args.x == 'mallory'",
    "args.x in ['mallory', 'eve']",
    "args.x.startsWith('mallory')",
    "args.x.endsWith('mallory')",
    "args.x.contains('mallory')",
    "args.x.matches('^mallory$')",
    "'mallory' in args.list",
    "args.list == ['mallory']",
    "args.x == args.y",
    "'mallory' in args.map",
]

# The case of a pattern is its author's business.
DISGUISES = [
    (text, value) for text in OPENING for value in ALIKE if (value, "^") != ("MALLORY", text[16:17])
]


def both_places(value: str) -> Facts:
    return given_args(x=value, list=[value], map={value: 1}, y="mallory")


@pytest.mark.parametrize(("text", "value"), DISGUISES)
def test_t19_what_only_looks_like_it_never_satisfies_an_allow(text: str, value: str) -> None:
    assert holds(text, both_places("mallory"))
    try:
        matched = holds(text, both_places(value))
    except ConditionFailed:
        matched = False
    assert not matched


@pytest.mark.parametrize(("text", "value"), DISGUISES)
def test_t19_what_looks_like_it_satisfies_a_deny(text: str, value: str) -> None:
    assert holds(text, both_places(value), refuses=True)


@pytest.mark.parametrize(("text", "value"), DISGUISES)
def test_t19_what_looks_like_it_is_not_excluded_from_an_allow_by_not(text: str, value: str) -> None:
    try:
        opened = holds(f"!({text})", both_places(value))
    except ConditionFailed:
        opened = False
    assert not opened


@pytest.mark.parametrize(("text", "value"), DISGUISES)
def test_t19_what_only_looks_like_it_is_no_way_out_of_a_deny(text: str, value: str) -> None:
    """`deny unless x is mallory`: only mallory is spared."""
    assert not holds(f"!({text})", both_places("mallory"), refuses=True)
    try:
        refused = holds(f"!({text})", both_places(value), refuses=True)
    except ConditionFailed:
        refused = True
    assert refused


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("text", ["args.x != 'eve'", "args.x < 'z'", "args.x != args.y"])
def test_t19_text_that_is_not_plain_opens_nothing(text: str, value: str) -> None:
    with pytest.raises(ConditionFailed):
        holds(text, given_args(x=value, y="eve"))


def test_t19_names_that_the_gateway_gives_are_compared_as_they_are() -> None:
    assert not holds("'WEB' in labels", refuses=True)
    assert not holds("agent == 'BOT'", refuses=True)
    assert holds("user == 'ANA'", refuses=True)


def test_line_ends_are_no_offence_to_contains_and_to_nothing_else() -> None:
    letter = given_args(x="Dear Ana,\n\nthe refund is done.")
    assert holds("args.x.contains('refund')", letter)
    for text in ("args.x.startsWith('Dear')", "args.x == 'y'", "args.x.matches('refund')"):
        with pytest.raises(ConditionFailed):
            holds(text, letter)
    assert holds("size(args.x) < 100", letter)


def test_a_word_across_lines_is_found_by_a_deny() -> None:
    assert holds("args.x.contains('drop table')", given_args(x="DROP\nTABLE"), refuses=True)


@pytest.mark.parametrize(
    "path",
    [
        "/data/reports/../../etc/passwd",
        "/data/reports/%2e%2e/%2e%2e/etc/passwd",
        "/data/reports/%252e%252e/etc/passwd",
        "/data/reports-evil/x",
        "/data/reports\\..\\..\\etc\\passwd",
        "/data/reports/x\x00.txt",
        "data/reports/x",
        "/data/reports/\uff0e\uff0e/x",
        "/DATA/REPORTS/x",
    ],
)
def test_t18_a_path_outside_the_root_opens_nothing_and_closes(path: str) -> None:
    facts = given_args(path=path)
    try:
        opened = holds("under(args.path, '/data/reports')", facts)
    except ConditionFailed:
        opened = False
    assert not opened
    try:
        refused = holds("!under(args.path, '/data/reports')", facts, refuses=True)
    except ConditionFailed:
        refused = True
    assert refused


def test_t18_a_deny_finds_a_path_in_capitals() -> None:
    assert holds("under(args.path, '/etc')", given_args(path="/ETC/passwd"), refuses=True)


@pytest.mark.parametrize(
    ("address", "opens"),
    [
        ("api.example.com", True),
        ("API.EXAMPLE.COM.", True),
        ("https://api.example.com:443/x", True),
        ("api.example.com@evil.test", False),
        ("api.example.com.evil.test", False),
        ("https://api.example.com@evil.test", False),
        ("https://evil.test/?api.example.com", False),
        ("https://evil.test#@api.example.com", False),
        ("\u0430pi.example.com", False),
        ("2130706433", False),
    ],
)
def test_t20_a_host_is_the_one_that_every_parser_finds(address: str, opens: bool) -> None:
    facts = given_args(to=address)
    try:
        opened = holds("domain(args.to) == 'api.example.com'", facts)
    except ConditionFailed:
        opened = False
    assert opened is opens
    try:
        refused = holds("domain(args.to) != 'api.example.com'", facts, refuses=True)
    except ConditionFailed:
        refused = True
    assert refused is not opens


@pytest.mark.parametrize("text", ["args.customer in labels", "args.tags in chain"])
def test_what_is_no_name_is_not_among_names(text: str) -> None:
    assert not holds(text)


@pytest.mark.parametrize(
    "text", ["0.5 in args.customer", "null in args.customer", "args.tags in args.customer"]
)
def test_what_can_be_no_key_is_looked_for_in_vain(text: str) -> None:
    with pytest.raises(ConditionFailed):
        holds(text)


_EVERYTHING = (
    "args.x == 'b' || args.x != args.y || args.x.contains('b') || args.x.startsWith('b') "
    "|| args.x.matches('(a?){50}b') || 'b' in args.list || args.list == args.other "
    "|| under(args.x, '/b') || domain(args.x) == 'b.c' || size(args.x) == 1 || args.map == args.map"
)


@pytest.mark.parametrize("refuses", [True, False])
@pytest.mark.parametrize(
    ("text", "items"),
    [
        pytest.param("a" * (4 << 20), 2_000_000, id="four-million-letters"),
        pytest.param("\u00e9" * (2 << 20), 2_000_000, id="two-million-accents"),
        pytest.param("e" + "\u0301" * (2 << 20), 2_000_000, id="two-million-marks"),
        pytest.param("a" * (1 << 20), 10_000, id="just-short-enough"),
        pytest.param("\u00e9" * (1 << 16), 10_000, id="just-short-enough-beyond-ascii"),
    ],
)
def test_t22_a_huge_argument_costs_a_fraction_of_a_second(
    text: str, items: int, refuses: bool
) -> None:
    facts = given_args(
        x=text,
        y=text[:-1] + "z",
        list=["a"] * items,
        other=["a"] * items,
        map={str(number): 1 for number in range(min(items, 100_000))},
    )
    test = build(parse(_EVERYTHING), refuses=refuses)
    before = time.process_time()
    with contextlib.suppress(ConditionFailed):
        test(facts)
    assert time.process_time() - before < 1

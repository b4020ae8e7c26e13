"""Reading conditions: the language, and everything outside it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.condition import And, Call, Compare, Has, In, Not, Or, Path, Value, walk
from policies.condition_parse import MAX_DEPTH, MAX_LENGTH, parse
from policies.errors import ConditionInvalid


def test_and_binds_stronger_than_or() -> None:
    root = parse("args.a || args.b && args.c").root
    assert isinstance(root, Or)
    assert isinstance(root.parts[1], And)


def test_not_binds_stronger_than_a_comparison() -> None:
    root = parse("!args.a == args.b").root
    assert isinstance(root, Compare)
    assert isinstance(root.left, Not)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("40", 40),
        ("-40", -40),
        ("0.5", 0.5),
        ("-1.5e3", -1500.0),
        ("9007199254740991", 2**53 - 1),
        ("true", True),
        ("null", None),
        ("'it\\'s'", "it's"),
        ('"a\\\\b\\n"', "a\\b\n"),
        (r"r'a\.b'", r"a\.b"),
        ("['a', 1, -2, false]", ("a", 1, -2, False)),
        ("['a',]", ("a",)),
        ("[]", ()),
    ],
)
def test_literals_are_read_exactly(text: str, value: object) -> None:
    root = parse(text).root
    assert isinstance(root, Value)
    assert root.value == value
    assert type(root.value) is type(value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("args.amount", "args.amount"),
        ("args . customer . name", "args.customer.name"),
        ("args['account-id']", "args.account-id"),
        ("args.namespace", "args.namespace"),
        ("session.purpose", "session.purpose"),
    ],
)
def test_paths_are_read(text: str, name: str) -> None:
    root = parse(text).root
    assert isinstance(root, Path)
    assert str(root) == name


def test_a_method_and_a_function_are_one_kind_of_node() -> None:
    one, two = parse("size(args.a) > 1").root, parse("args.a.size() > 1").root
    assert isinstance(one, Compare)
    assert isinstance(two, Compare)
    assert isinstance(one.left, Call)
    assert isinstance(two.left, Call)
    assert one.left.function == two.left.function == "size"


def test_what_a_condition_reads_is_known() -> None:
    condition = parse("has(args.b) && args.a > 1 && 'x' in labels || provenance.to == 'user'")
    assert condition.reads == ("args.a", "args.b", "labels", "provenance.to")


def test_every_part_knows_its_own_text() -> None:
    condition = parse("args.a > 1 && (args.b == 'x' || !has(args.c))")
    assert [condition.written(node) for node in condition.conjuncts] == [
        "args.a > 1",
        "args.b == 'x' || !has(args.c)",
    ]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("   ", id="blanks"),
        pytest.param("args.a &", id="half-an-and"),
        pytest.param("args.a = 1", id="one-equals-sign"),
        pytest.param("args.a === 1", id="three-equals-signs"),
        pytest.param("args.a == 1 == true", id="chain"),
        pytest.param("1 < args.a < 3", id="range"),
        pytest.param("args.a + 1 > 2", id="arithmetic"),
        pytest.param("args.a - 1 > 2", id="subtraction"),
        pytest.param("args.a ? true : false", id="conditional"),
        pytest.param("args.a[0] == 1", id="index-by-number"),
        pytest.param("args[args.b] == 1", id="index-by-path"),
        pytest.param("[1, 2][0] == 1", id="index-into-a-list"),
        pytest.param("args.a.exists(x, x > 1)", id="macro"),
        pytest.param("args.a.all(x, x > 1)", id="macro-all"),
        pytest.param("args.a.map(x, x)", id="macro-map"),
        pytest.param("{'a': 1} == args", id="map-literal"),
        pytest.param("[args.a] == [1]", id="list-of-paths"),
        pytest.param("[[1]] == args.a", id="list-of-lists"),
        pytest.param("b'abc' == args.a", id="bytes"),
        pytest.param("1u == args.a", id="unsigned"),
        pytest.param("0x10 == args.a", id="hexadecimal"),
        pytest.param("007 == args.a", id="leading-zeros"),
        pytest.param(".5 == args.a", id="no-digit-before-the-point"),
        pytest.param("1. == args.a", id="no-digit-behind-the-point"),
        pytest.param("9007199254740992 == args.a", id="number-too-high"),
        pytest.param("1e400 == args.a", id="infinite"),
        pytest.param("9" * 400 + " == args.a", id="huge"),
        pytest.param("--1 == args.a", id="two-minus-signs"),
        pytest.param("-args.a == 1", id="minus-before-a-path"),
        pytest.param("'a == args.b", id="open-text"),
        pytest.param("'''a''' == args.b", id="three-quotes"),
        pytest.param("'a\nb' == args.b", id="line-end-in-a-text"),
        pytest.param("'\\x41' == args.b", id="unknown-escape"),
        pytest.param("'a\u200bb' == args.b", id="invisible-literal"),
        pytest.param("'p\u0430y' == args.b", id="imitating-literal"),
        pytest.param("'cafe\u0301' == args.b", id="literal-not-nfc"),
        pytest.param("args.\u0430 == 1", id="name-beyond-ascii"),
        pytest.param("args.a == 1 // why", id="comment"),
        pytest.param("args.a == 1; true", id="two-statements"),
        pytest.param("args.a == 1 true", id="something-behind"),
        pytest.param("args..a", id="two-dots"),
        pytest.param(".args.a", id="dot-first"),
        pytest.param("args.in", id="keyword-as-member"),
        pytest.param("import == 1", id="reserved-word"),
        pytest.param("__import__('os')", id="python"),
        pytest.param("open('/etc/passwd')", id="unknown-function"),
        pytest.param("args.a.format('x')", id="unknown-method"),
        pytest.param("args.a.startsWith()", id="too-few-arguments"),
        pytest.param("args.a.startsWith('a', 'b')", id="too-many-arguments"),
        pytest.param("args.a.startsWith('a',)", id="comma-behind-an-argument"),
        pytest.param("under(args.a)", id="too-few-for-a-function"),
        pytest.param("has(args)", id="has-without-member"),
        pytest.param("has('a')", id="has-of-a-literal"),
        pytest.param("has(args.a == 1)", id="has-of-a-comparison"),
        pytest.param("domain(args.a).b", id="member-of-a-result"),
        pytest.param("(args.a", id="open-bracket"),
        pytest.param("args.a)", id="bracket-too-many"),
        pytest.param("[1, 2 == args.a", id="open-list"),
        pytest.param("\x00", id="nul"),
    ],
)
def test_what_is_outside_the_language_is_refused(text: str) -> None:
    with pytest.raises(ConditionInvalid):
        parse(text)


@pytest.mark.parametrize(
    ("text", "offset"),
    [("args.a == 1 true", 12), ("args.a ==", 9), ("args.a == 'b' && foo(1)", 17), ("  @", 2)],
)
def test_a_refusal_tells_the_place(text: str, offset: int) -> None:
    with pytest.raises(ConditionInvalid) as refused:
        parse(text)
    assert refused.value.offset == offset


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("(" * 30_000 + "true", id="brackets"),
        pytest.param("!" * 30_000 + "true", id="not"),
        pytest.param("true" + " && true" * 30_000, id="and"),
        pytest.param("(" * (MAX_DEPTH + 1) + "true" + ")" * (MAX_DEPTH + 1), id="one-too-deep"),
        pytest.param("!" * (MAX_DEPTH + 1) + "true", id="one-not-too-many"),
        pytest.param("size(" * 300 + "args.a", id="calls"),
        pytest.param("[" * 1_900, id="lists"),
        pytest.param("'" + "\\" * 1_990, id="escapes"),
        pytest.param("a" * (MAX_LENGTH + 1), id="one-character-too-long"),
    ],
)
def test_a_text_that_is_too_deep_or_too_long_is_refused_at_once(text: str) -> None:
    before = time.process_time()
    with pytest.raises(ConditionInvalid):
        parse(text)
    assert time.process_time() - before < 1


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        condition = parse(text)
    except ConditionInvalid as error:
        place = error.offset
    else:
        place = condition.root.end
    assert 0 <= place <= len(text)


_WORDS = st.sampled_from(
    [*"()[],.!-", "&&", "||", "==", "<=", "in", "args", "a", "has", "size", "'x'", "1", "true"]
)


@given(st.lists(_WORDS, max_size=25).map(" ".join))
def test_any_sequence_of_words_is_read_or_refused(text: str) -> None:
    try:
        condition = parse(text)
    except ConditionInvalid:
        return
    for node in walk(condition.root):
        assert isinstance(node, Value | Path | Has | Not | And | Or | Compare | In | Call)
        assert 0 <= node.at < node.end <= len(text)

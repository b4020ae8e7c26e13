"""The strict part of YAML: what is read, what is refused, and where each value stands."""

from contextlib import suppress
from datetime import UTC, date, datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import PolicyInvalid
from policies.finding import Finding, Position
from policies.source import MAX_BYTES, Source


def refusal(text: str | bytes) -> Finding:
    raw = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(PolicyInvalid) as caught:
        Source.read("p.yaml", raw)
    (finding,) = caught.value.findings
    return finding


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("a: true\nb: false", {"a": True, "b": False}, id="truth"),
        pytest.param("a: null\nb:", {"a": None, "b": None}, id="nothing"),
        pytest.param("[0, -7, 9007199254740993]", [0, -7, 9007199254740993], id="integers"),
        pytest.param("[0.5, -2.25]", [0.5, -2.25], id="fractions"),
        pytest.param("2027-03-31", date(2027, 3, 31), id="date"),
        pytest.param("2027-03-31T10:00:00Z", datetime(2027, 3, 31, 10, tzinfo=UTC), id="moment"),
        pytest.param("['yes', \"on\", '012', '~']", ["yes", "on", "012", "~"], id="quoted"),
        pytest.param("|\n  yes\n", "yes\n", id="block"),
        pytest.param("[30m, 60/min, a.b, time.*]", ["30m", "60/min", "a.b", "time.*"], id="words"),
        pytest.param("[1.2.3, v1, 10.0.0.1]", None, id="versions-are-no-numbers"),
        pytest.param("---\na: b\n...\n", {"a": "b"}, id="document-marks"),
        pytest.param("a: b\r\nc: d\r\n", {"a": "b", "c": "d"}, id="crlf"),
        pytest.param("a: héé 日本", {"a": "héé 日本"}, id="letters"),
    ],
)
def test_plain_values_are_read(text: str, value: object) -> None:
    if value is None:
        assert refusal(text).code == "policy.implicit"
    else:
        assert Source.read("p.yaml", text.encode()).value == value


@pytest.mark.parametrize(
    "word",
    ["yes", "no", "on", "off", "Yes", "NO", "ON", "oFF", "True", "FALSE", "~", "Null", "NULL"],
)
@pytest.mark.parametrize("place", ["a: {}", "[{}]", "{}: a"])
def test_a_word_that_other_yaml_reads_as_a_truth_value_is_refused(word: str, place: str) -> None:
    assert refusal(place.format(word)).code == "policy.implicit"


@pytest.mark.parametrize(
    "number",
    [
        "9" * 400, "9" * 400 + ".0", "0." + "1" * 40,
        "012", "0o17", "0x1F", "0b101", "1_000", "+5", ".5", "5.", "1e3", "1.5e3", "-0x1", "1:30",
        "190:20:30", ".inf", "-.INF", ".NaN", "00", "1__0", "2027-3-1", "2027-02-30", "2027-13-01",
        "2027-03-31 10:00:00", "2027-03-31T10:00:00", "2027-03-31T25:00:00Z", "=",
    ],
)  # fmt: skip
def test_a_number_or_date_in_another_spelling_is_refused(number: str) -> None:
    assert refusal(f"a: {number}").code == "policy.implicit"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("a: &x 1", "anchor", id="anchor-on-a-value"),
        pytest.param("&x a: 1", "anchor", id="anchor-on-a-key"),
        pytest.param("a: &x {b: 1}", "anchor", id="anchor-on-a-mapping"),
        pytest.param("a: [&x []]", "anchor", id="anchor-on-a-list"),
        pytest.param("a: *x", "alias", id="alias"),
        pytest.param("*x : 1", "alias", id="alias-as-key"),
        pytest.param("<<: {a: 1}", "merge key", id="merge-key"),
        pytest.param("a: !!str 5", "tag", id="standard-tag"),
        pytest.param("a: !python/object:os.system {}", "tag", id="python-tag"),
        pytest.param("!x a: 1", "tag", id="tag-on-a-key"),
        pytest.param("a: ! 5", "tag", id="non-specific-tag"),
        pytest.param("a: !!binary aGk=", "tag", id="binary"),
        pytest.param("? [a]\n: b", "as a key", id="list-as-key"),
        pytest.param("? {a: b}\n: c", "as a key", id="mapping-as-key"),
        pytest.param("%YAML 1.1\n---\na: b", "directive", id="version"),
        pytest.param("%TAG ! tag:x,2000:\n---\na: b", "directive", id="tag-directive"),
        pytest.param("a: b\n---\nc: d", "second document", id="two-documents"),
        pytest.param("5: a", "not text", id="number-as-key"),
        pytest.param("true: a", "not text", id="truth-as-key"),
        pytest.param("null: a", "not text", id="nothing-as-key"),
        pytest.param("2027-03-31: a", "not text", id="date-as-key"),
        pytest.param("a: [", "no YAML", id="open-list"),
        pytest.param("a: b: c", "no YAML", id="two-colons"),
        pytest.param("\ta: b", "no YAML", id="tab"),
        pytest.param('a: "\\ud800"', "no YAML", id="lone-surrogate"),
        pytest.param("@a", "no YAML", id="reserved-indicator"),
        pytest.param("[" * 40 + "]" * 40, "deeper than 32", id="deep-lists"),
        pytest.param("{a: " * 40 + "b" + "}" * 40, "deeper than 32", id="deep-mappings"),
        pytest.param("[" * 200_000, "deeper than 32", id="endless-depth"),
    ],
)
def test_what_means_something_else_to_another_reader_is_refused(text: str, complaint: str) -> None:
    finding = refusal(text)
    assert complaint in finding.message
    assert finding.severity == "error"


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n"])
def test_an_empty_file_is_refused(text: str) -> None:
    assert refusal(text).code == "policy.empty"


@pytest.mark.parametrize(
    "text", ["a: 1\na: 1", "{a: 1, 'a': 2}", 'x:\n  effect: deny\n  "effect": allow\n']
)
def test_a_key_stated_twice_is_refused_where_it_is_repeated(text: str) -> None:
    finding = refusal(text)
    assert finding.code == "policy.duplicate-key"
    assert "already stated on line" in finding.message


@pytest.mark.parametrize(
    "character",
    [
        pytest.param("\u202e", id="right-to-left-override"),
        pytest.param("\u2066", id="left-to-right-isolate"),
        pytest.param("\u200b", id="zero-width-space"),
        pytest.param("\u200d", id="zero-width-joiner"),
        pytest.param("\ufeff", id="byte-order-mark"),
        pytest.param("\u00a0", id="no-break-space"),
        pytest.param("\u2028", id="line-separator"),
        pytest.param("\u0085", id="next-line"),
        pytest.param("\x00", id="nul"),
        pytest.param("\x1b", id="escape"),
        pytest.param("\r", id="carriage-return-alone"),
        pytest.param("\ue000", id="private-use"),
    ],
)
@pytest.mark.parametrize("text", ["a: b\nc: d{}e\n", "a: b\n# a {} comment\n", "a: b\nd{}: 1\n"])
def test_a_character_that_does_not_show_is_refused_with_its_place(
    character: str, text: str
) -> None:
    finding = refusal(text.format(character))
    assert finding.code == "policy.hidden-character"
    assert finding.at.line == 2


def test_a_byte_order_mark_at_the_start_is_refused() -> None:
    assert refusal(b"\xef\xbb\xbfa: b").code == "policy.hidden-character"


@pytest.mark.parametrize(
    "raw", [b"a: \xff", "a: b".encode("utf-16"), b"a: \xed\xa0\x80", b"a: \xc0\xaf"]
)
def test_what_is_no_utf8_is_refused(raw: bytes) -> None:
    assert refusal(raw).code == "policy.encoding"


def test_a_file_over_the_limit_is_refused_unread() -> None:
    assert refusal(b"#" * (MAX_BYTES + 1)).code == "policy.too-large"


TEXT = """\
rules:
  - id: first
    when: "args.x > 1"
  - {id: second, when: args.y}
table: |
  a | b
"""


@pytest.mark.parametrize(
    ("path", "offset", "line", "column"),
    [
        pytest.param((), 0, 1, 1, id="top"),
        pytest.param(("rules",), 0, 2, 3, id="list"),
        pytest.param(("rules", 0, "id"), 0, 2, 9, id="value"),
        pytest.param(("rules", 0, "when"), 0, 3, 11, id="quoted-text"),
        pytest.param(("rules", 0, "when"), 5, 3, 17, id="within-quoted-text"),
        pytest.param(("rules", 1, "when"), 5, 4, 29, id="within-plain-text"),
        pytest.param(("table",), 3, 5, 8, id="within-a-block-only-its-start-is-known"),
        pytest.param(("rules", 1, "effect"), 0, 4, 5, id="missing-key-stands-at-its-mapping"),
        pytest.param(("rules", 7, "effect"), 0, 2, 3, id="missing-item-stands-at-its-list"),
    ],
)
def test_every_value_has_its_place(
    path: tuple[str | int, ...], offset: int, line: int, column: int
) -> None:
    source = Source.read("p.yaml", TEXT.encode())
    assert source.at(*path, offset=offset) == Position("p.yaml", line, column)


def test_a_key_has_a_place_of_its_own() -> None:
    source = Source.read("p.yaml", TEXT.encode())
    assert str(source.at_key("rules", 0, "when")) == "p.yaml:3:5"


def test_columns_count_characters() -> None:
    source = Source.read("p.yaml", "{é: 日本, b: c}".encode())
    assert source.at("b").column == 12


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_what_a_yaml_writer_writes_is_read_back_or_refused_and_never_another_value(
    value: object,
) -> None:
    text = yaml.safe_dump(value, allow_unicode=False)
    try:
        read = Source.read("p.yaml", text.encode()).value
    except PolicyInvalid:
        return
    assert read == value


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused_and_nothing_else_happens(raw: bytes) -> None:
    with suppress(PolicyInvalid):
        Source.read("p.yaml", raw)

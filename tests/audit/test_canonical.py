import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audit.canonical import MAX_SAFE, MAX_VALUES, Json, normalise, read, write
from audit.errors import NotStrict

ROOM = 1 << 22

integers = st.integers(-MAX_SAFE, MAX_SAFE)
fractions = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer())
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ascii_keys = st.text(st.characters(max_codepoint=0x7F), max_size=8)


def nested(leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=20,
    )


values = nested(st.none() | st.booleans() | integers | fractions | texts, texts)
whole_values = nested(st.none() | st.booleans() | integers | texts, ascii_keys)


@given(values)
@example({"b": 1, "a": [None, True, "\u2028\x00\U0001f600"]})
def test_reading_restores_what_was_written(value: Json) -> None:
    assert read(write(value), max_bytes=ROOM) == value


@given(values)
def test_the_standard_library_reads_the_same_value(value: Json) -> None:
    assert json.loads(write(value)) == value


@given(values, st.integers(0, 3))
def test_spelling_does_not_change_the_bytes(value: Json, indent: int) -> None:
    spelled = json.dumps(value, indent=indent, sort_keys=False, ensure_ascii=bool(indent % 2))
    assert write(read(spelled.encode(), max_bytes=ROOM)) == write(value)


@given(whole_values)
def test_integers_and_ascii_keys_are_written_as_in_rfc_8785(value: Json) -> None:
    assert write(value) == _rfc8785(value).encode()


@given(st.binary(max_size=40))
def test_bytes_are_read_strictly_or_refused(raw: bytes) -> None:
    try:
        value = read(raw, max_bytes=ROOM)
    except NotStrict:
        return
    assert write(read(write(value), max_bytes=ROOM)) == write(value)


@given(values)
@example({"a": [0, -0.0, 0.5, -1, 1e3], "b": -0.0})
@example({"version": "1.0.0", "at": "10:30.5", "n": MAX_SAFE, "m": -1.5})
@example({"a": "\u2028\x00/", "\U0001f600": [[{}]]})
def test_the_quick_way_reads_what_the_strict_one_does(value: Json) -> None:
    raw = json.dumps({"a": value}, ensure_ascii=False, separators=(",", ":")).encode()
    strictly = read(raw + b" ", max_bytes=ROOM)  # texts with white space go no other way
    assert repr(read(raw, max_bytes=ROOM)) == repr(strictly)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        pytest.param(b'{"a":1,"a":1}', "malformed", id="same-key-twice"),
        pytest.param(b'{"a":{"b":1,"b":2}}', "malformed", id="same-key-twice-inside"),
        pytest.param(b'{"a":9007199254740992}', "malformed", id="beyond-largest"),
        pytest.param(b'{"a":-9007199254740992}', "malformed", id="beyond-smallest"),
        pytest.param(b'{"a":"\\ud800"}', "malformed", id="lone-surrogate"),
        pytest.param(b'{"a":1e999}', "malformed", id="not-finite"),
        pytest.param(b'{"a":1}{"a":1}', "malformed", id="trailing"),
        pytest.param(b'{"a":[[[]]]}', "too_deep", id="deep"),
    ],
)
def test_the_quick_way_takes_nothing_that_the_strict_one_refuses(raw: bytes, code: str) -> None:
    for text in (raw, raw + b" "):
        with pytest.raises(NotStrict) as refused:
            read(text, max_bytes=ROOM, max_depth=3)
        assert refused.value.code == code


@given(values)
def test_what_was_read_is_normal_already(value: Json) -> None:
    assert normalise(value) == value


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(b"60.0", 60, id="whole-float"),
        pytest.param(b"-0.0", 0, id="minus-zero"),
        pytest.param(b"-0", 0, id="minus-zero-integer"),
        pytest.param(b"6e1", 60, id="exponent"),
        pytest.param(b"1.5", 1.5, id="fraction"),
        pytest.param(b"9007199254740991", MAX_SAFE, id="largest"),
        pytest.param(b"-9007199254740991", -MAX_SAFE, id="smallest"),
        pytest.param(b' \t\r\n"a"\n', "a", id="white-space"),
        pytest.param(b'"\\ud83d\\ude00"', "\U0001f600", id="surrogate-pair"),
        pytest.param(b"[" * 64 + b"]" * 64, None, id="deepest"),
    ],
)
def test_accepted_spellings(raw: bytes, expected: object) -> None:
    value = read(raw, max_bytes=ROOM)
    assert expected is None or (value == expected and type(value) is type(expected))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        pytest.param(b"", "malformed", id="empty"),
        pytest.param(b" ", "malformed", id="blank"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', "malformed", id="byte-order-mark"),
        pytest.param(b'{"a":1}'.decode().encode("utf-16"), "malformed", id="utf-16"),
        pytest.param(b'"\xff"', "malformed", id="invalid-utf-8"),
        pytest.param(b'"\xed\xa0\x80"', "malformed", id="encoded-surrogate"),
        pytest.param(b'"\\ud800"', "malformed", id="lone-high-surrogate"),
        pytest.param(b'{"\\uDC00":1}', "malformed", id="lone-low-surrogate-in-a-key"),
        pytest.param(b'{"a":1,"a":1}', "malformed", id="duplicate-key"),
        pytest.param(b'[{"x":{"a":1,"\\u0061":2}}]', "malformed", id="duplicate-key-escaped"),
        pytest.param(b"NaN", "malformed", id="nan"),
        pytest.param(b"[Infinity]", "malformed", id="infinity"),
        pytest.param(b'{"a":-Infinity}', "malformed", id="minus-infinity"),
        pytest.param(b"1e400", "malformed", id="becomes-infinity"),
        pytest.param(b"1e300", "malformed", id="whole-and-beyond"),
        pytest.param(b"9007199254740992", "malformed", id="beyond-largest"),
        pytest.param(b"-9007199254740992.0", "malformed", id="beyond-smallest"),
        pytest.param(b"9" * 100_000, "malformed", id="very-long-integer"),
        pytest.param(b"{} {}", "malformed", id="trailing-data"),
        pytest.param(b"{}\x00", "malformed", id="trailing-nul"),
        pytest.param(b"\xc2\xa0{}", "malformed", id="other-white-space"),
        pytest.param(b'{"a":1,}', "malformed", id="trailing-comma"),
        pytest.param(b"{'a':1}", "malformed", id="single-quotes"),
        pytest.param(b"[1", "malformed", id="unclosed"),
        pytest.param(b"01", "malformed", id="leading-zero"),
        pytest.param(b"1.", "malformed", id="no-fraction"),
        pytest.param("\uff11".encode(), "malformed", id="full-width-digit"),
        pytest.param(b'"a\nb"', "malformed", id="control-character"),
        pytest.param(b"[" * 65 + b"]" * 65, "too_deep", id="lists-65-deep"),
        pytest.param(b'{"a":' * 65 + b"1" + b"}" * 65, "too_deep", id="objects-65-deep"),
        pytest.param(b"[" * 100_000, "too_deep", id="very-deep"),
        pytest.param(b'"' + b"a" * ROOM + b'"', "too_large", id="too-large"),
    ],
)
def test_refused_texts(raw: bytes, code: str) -> None:
    with pytest.raises(NotStrict) as refusal:
        read(raw, max_bytes=ROOM)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"[" + b"1," * MAX_VALUES + b"1]", id="items"),
        pytest.param(b'{"a":1' + b',"a":1' * MAX_VALUES + b"}", id="members"),
        pytest.param(b"[" + b"{}," * (MAX_VALUES // 2) + b"{}]", id="empty-objects"),
        pytest.param(b'["\\",' + b'",",' * MAX_VALUES + b"1]", id="between-texts"),
    ],
)
def test_more_values_than_anybody_needs_are_refused_before_they_are_parsed(raw: bytes) -> None:
    with pytest.raises(NotStrict) as refusal:
        read(raw, max_bytes=len(raw))
    assert refusal.value.code == "too_large"


def test_signs_in_texts_are_no_values() -> None:
    text = ',[{\\"' * MAX_VALUES
    assert read(json.dumps([text, 1]).encode(), max_bytes=len(text) * 3) == [text, 1]


def test_brackets_in_strings_do_not_count_as_depth() -> None:
    assert read(b'["' + b"[" * 500 + b'"]', max_bytes=ROOM) == ["[" * 500]


@given(values, st.integers(1, 4), st.sampled_from([(",", ":"), (", ", ": ")]))
def test_the_bound_of_nesting_is_exact_in_every_spelling(
    value: Json, most: int, signs: tuple[str, str]
) -> None:
    raw = json.dumps({"a": value}, separators=signs, ensure_ascii=False).encode()
    if 1 + _depth(value) <= most:
        assert read(raw, max_bytes=ROOM, max_depth=most) == {"a": value}
        return
    with pytest.raises(NotStrict) as refusal:
        read(raw, max_bytes=ROOM, max_depth=most)
    assert refusal.value.code == "too_deep"


def _depth(value: Json) -> int:
    if not isinstance(value, list | dict):
        return 0
    items = value.values() if isinstance(value, dict) else value
    return 1 + max(map(_depth, items), default=0)


def test_a_refusal_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(NotStrict) as refusal:
        read(b'{"password":"hunter2","password":"hunter2"}', max_bytes=ROOM)
    assert "hunter2" not in str(refusal.value)
    assert "password" not in str(refusal.value)


def _itself() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(MAX_SAFE + 1, id="beyond-largest"),
        pytest.param([-MAX_SAFE - 1], id="beyond-smallest"),
        pytest.param(60.0, id="whole-float"),
        pytest.param({"a": [{"b": 1e300}]}, id="whole-and-beyond"),
        pytest.param(math.nan, id="nan"),
        pytest.param([math.inf], id="infinity"),
        pytest.param("\ud800", id="lone-surrogate"),
        pytest.param({"a": "\udfff"}, id="lone-surrogate-inside"),
        pytest.param({1: 2}, id="key-is-no-text"),
        pytest.param({"a": datetime(2026, 1, 1, tzinfo=UTC)}, id="date"),
        pytest.param([{1, 2}], id="set"),
        pytest.param(b"a", id="bytes"),
        pytest.param(_itself(), id="contains-itself"),
    ],
)
def test_values_that_no_text_has_are_neither_written_nor_normal(value: Json) -> None:
    with pytest.raises(NotStrict):
        write(value)
    if value != 60.0:
        with pytest.raises(NotStrict):
            normalise(value)


def test_keys_are_sorted_by_code_point() -> None:
    assert write({"\uffff": 1, "\U00010000": 2, "a": 3}) == (
        b'{"a":3,"\xef\xbf\xbf":1,"\xf0\x90\x80\x80":2}'
    )


def test_normalising_makes_whole_floats_integers_and_tuples_lists() -> None:
    normal = normalise({"a": 60.0, "b": (1, 2.5), "c": -0.0})
    assert write(normal) == b'{"a":60,"b":[1,2.5],"c":0}'


def test_normalising_refuses_what_is_too_deep() -> None:
    value: Any = 1
    for _ in range(65):
        value = [value]
    with pytest.raises(NotStrict) as refusal:
        normalise(value)
    assert refusal.value.code == "too_deep"


def _rfc8785(value: Json) -> str:
    """RFC 8785 for integers and ASCII keys, straight from its sections 3.2.2 and 3.2.3."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(k)}:{_rfc8785(value[k])}" for k in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_rfc8785, value)) + "]"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    short = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
    return '"' + "".join(short.get(ord(c)) or _plain(c) for c in text) + '"'


def _plain(character: str) -> str:
    return f"\\u{ord(character):04x}" if ord(character) < 32 else character

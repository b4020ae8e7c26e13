import contextlib
import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import Json
from gateway.errors import NotUnderstood
from gateway.links import jsonrpc
from gateway.links.jsonrpc import Answer, Connection, Failure, Notice, Question

LIMIT = 1 << 20

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


def spelled(value: Json, rng: random.Random) -> str:
    """The value in one of the many ways that JSON allows."""
    return json.dumps(
        value,
        ensure_ascii=rng.random() < 0.5,
        indent=rng.choice([None, 0, 2]),
        separators=rng.choice([None, (",", ":"), (" , ", " : ")]),
    )


# -- reading and writing --------------------------------------------------------------------


@given(value=values, seed=st.integers(0, 99))
def test_every_spelling_of_a_value_is_read_as_the_standard_reader_does(
    value: Json, seed: int
) -> None:
    text = spelled(value, random.Random(seed))  # noqa: S311 - a reproducible choice of spelling
    found = jsonrpc.read(text.encode(), max_bytes=LIMIT)
    assert repr(found) == repr(json.loads(text))


@given(values)
def test_what_was_read_is_written_without_loss(value: Json) -> None:
    for write in (jsonrpc.dump, jsonrpc.dump_sorted):
        written = write(value)
        assert json.loads(written) == value
        assert jsonrpc.read(written, max_bytes=LIMIT) == value


@given(st.dictionaries(texts, values, max_size=5))
def test_sorted_members_stand_in_the_order_of_their_code_points(value: dict[str, Json]) -> None:
    assert list(json.loads(jsonrpc.dump_sorted(value))) == sorted(value)


@pytest.mark.parametrize(
    "number", ["1.0", "-0.0", "1e2", "1E400000000", "0.1", "18446744073709551616", "9" * 4000]
)
def test_a_number_is_kept_or_refused_but_never_changed(number: str) -> None:
    try:
        found = jsonrpc.read(number.encode(), max_bytes=LIMIT)
    except NotUnderstood:
        assert not math.isfinite(float(number))
    else:
        assert repr(found) == repr(json.loads(number))
        assert json.loads(jsonrpc.dump(found)) == json.loads(number)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="half"),
        pytest.param(b"{} {}", id="two"),
        pytest.param(b"{'a':1}", id="quotes"),
        pytest.param(b'{"a":1,}', id="comma"),
        pytest.param(b"// x\n1", id="comment"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte-order-mark"),
        pytest.param('{"a":1}'.encode("utf-16"), id="utf-16"),
        pytest.param(b'"\xff"', id="utf-8"),
        pytest.param(b'"\xed\xa0\x80"', id="utf-8-surrogate"),
        pytest.param(b'"\\ud800"', id="lone-surrogate"),
        pytest.param(b'{"\\udfff":1}', id="lone-surrogate-in-a-name"),
        pytest.param(b'"\\ude00\\ud83d"', id="surrogates-swapped"),
        pytest.param(b'{"a":1,"a":1}', id="key-twice"),
        pytest.param(b'[{"b":{"a":1,"\\u0061":2}}]', id="key-twice-escaped"),
        pytest.param(b"NaN", id="nan"),
        pytest.param(b"-Infinity", id="infinity"),
        pytest.param(b"1e999", id="too-great"),
        pytest.param(b"01", id="leading-zero"),
        pytest.param(b"9" * 5000, id="absurd-integer"),
        pytest.param(b'"a\x00b"', id="control-character"),
        pytest.param(b"[" * 65 + b"]" * 65, id="deep"),
        pytest.param(b'{"a":' * 65 + b"1" + b"}" * 65, id="deep-objects"),
        pytest.param(b"[" * 500_000, id="very-deep"),
        pytest.param(b'"' + b'\\"' * 100_000 + b"[{" * 100_000, id="unterminated"),
        pytest.param(b'"' + b'\\"' * 100_000 + b"\\", id="unterminated-escape"),
        pytest.param(b"1" * (LIMIT + 1), id="large"),
    ],
)
def test_what_is_no_strict_json_is_refused(raw: bytes) -> None:
    with pytest.raises(NotUnderstood):
        jsonrpc.read(raw, max_bytes=LIMIT)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"[" * 64 + b"]" * 64, id="as-deep-as-allowed"),
        pytest.param(b"[" + b"[]," * 1000 + b"1]", id="wide"),
        pytest.param(b'"' + b"[{" * 1000 + b'"', id="brackets-in-a-text"),
        pytest.param(b'"\\"' + b"[" * 1000 + b'"', id="brackets-after-an-escape"),
        pytest.param(b'"\\ud83d\\ude00"', id="a-pair-of-surrogates"),
        pytest.param(b' {"a" : 1}\r\n', id="white-space"),
    ],
)
def test_what_only_looks_suspicious_is_read(raw: bytes) -> None:
    assert jsonrpc.read(raw, max_bytes=LIMIT) == json.loads(raw)


# -- messages -------------------------------------------------------------------------------


def message(**members: Json) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **members}).encode()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(message(id=1, result={"a": 1}), Answer(1, {"a": 1}), id="answer"),
        pytest.param(
            message(id=1, error={"code": -1, "message": "x", "data": [1]}),
            Failure(1, -1, "x", [1]),
            id="failure",
        ),
        pytest.param(
            message(id=None, error={"code": -1, "message": "x"}),
            Failure(None, -1, "x", None),
            id="failure-of-nothing",
        ),
        pytest.param(message(method="m", params={}), Notice("m"), id="notice"),
        pytest.param(message(method="m", id="a"), Question("a", "m"), id="question"),
        pytest.param(message(method="m", id=0), Question(0, "m"), id="question-by-number"),
        pytest.param(message(id=1, result={}, more=1), Answer(1, {}), id="unknown-member"),
    ],
)
def test_a_message_is_told_by_its_members(raw: bytes, expected: jsonrpc.Message) -> None:
    assert jsonrpc.parse(raw, max_bytes=LIMIT) == expected


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"[]", id="batch"),
        pytest.param(b"[" + message(id=1, result={}) + b"]", id="batch-of-one"),
        pytest.param(b'{"id":1,"result":{}}', id="no-version"),
        pytest.param(b'{"jsonrpc":2.0,"id":1,"result":{}}', id="version-number"),
        pytest.param(message(), id="nothing"),
        pytest.param(message(id=1), id="no-result"),
        pytest.param(message(result={}), id="no-id"),
        pytest.param(message(id=None, result={}), id="result-of-nothing"),
        pytest.param(message(id="1", result={}), id="id-as-text"),
        pytest.param(message(id=1.0, result={}), id="id-as-float"),
        pytest.param(message(id=True, result={}), id="id-as-boolean"),
        pytest.param(message(id=[1], result={}), id="id-as-list"),
        pytest.param(message(id=1, result=None), id="null-result"),
        pytest.param(message(id=1, result=[]), id="list-result"),
        pytest.param(message(id=1, result={}, error=None), id="result-and-error"),
        pytest.param(message(id=1, Result={}), id="wrong-case"),
        pytest.param(message(id=1, error="x"), id="error-as-text"),
        pytest.param(message(id=1, error={"code": "1", "message": "x"}), id="code-as-text"),
        pytest.param(message(id=1, error={"code": True, "message": "x"}), id="code-as-boolean"),
        pytest.param(message(id=1, error={"code": 1}), id="no-message"),
        pytest.param(message(id="a", error={"code": 1, "message": "x"}), id="failure-id-as-text"),
        pytest.param(message(method=1), id="method-as-number"),
        pytest.param(message(method="m", result={}), id="method-and-result"),
        pytest.param(message(method="m", id=None), id="question-without-id"),
        pytest.param(message(method="m", id=1.5), id="question-by-fraction"),
        pytest.param(message(method="m", id="a" * 300), id="question-with-long-id"),
    ],
)
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    with pytest.raises(NotUnderstood):
        jsonrpc.parse(raw, max_bytes=LIMIT)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(raw: bytes) -> None:
    with contextlib.suppress(NotUnderstood):
        jsonrpc.parse(raw, max_bytes=LIMIT)


# -- a connection ---------------------------------------------------------------------------


def receive(connection: Connection, **members: Json) -> jsonrpc.Message | None:
    return connection.receive(message(**members), max_bytes=LIMIT)


def test_each_request_has_an_id_of_its_own_and_its_parameters_as_they_are() -> None:
    connection = Connection()
    first, raw = connection.request("tools/call", b'{"b":1, "a":"\xc3\xa9"}')
    second, _ = connection.request("tools/call", b"{}")
    assert (first, second) == (1, 2)
    assert raw == (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"b":1, "a":"\xc3\xa9"}}'
    )


def test_an_answer_is_taken_once() -> None:
    connection = Connection()
    number, _ = connection.request("m", b"{}")
    assert receive(connection, id=number, result={}) == Answer(number, {})
    with pytest.raises(NotUnderstood):
        receive(connection, id=number, result={})


@pytest.mark.parametrize("number", [0, 2, -1, 10**30])
def test_an_answer_to_no_request_is_refused(number: int) -> None:
    connection = Connection()
    connection.request("m", b"{}")
    with pytest.raises(NotUnderstood):
        receive(connection, id=number, result={})


def test_an_error_that_names_no_request_is_refused() -> None:
    connection = Connection()
    connection.request("m", b"{}")
    with pytest.raises(NotUnderstood):
        receive(connection, id=None, error={"code": -32700, "message": "parse error"})


def test_the_late_answer_to_an_abandoned_request_is_dropped_once() -> None:
    connection = Connection()
    number, _ = connection.request("m", b"{}")
    connection.abandon(number)
    connection.abandon(number)
    assert receive(connection, id=number, result={}) is None
    with pytest.raises(NotUnderstood):
        receive(connection, id=number, result={})


def test_what_was_abandoned_is_not_remembered_for_ever() -> None:
    connection = Connection()
    numbers = [connection.request("m", b"{}")[0] for _ in range(2000)]
    for number in numbers:
        connection.abandon(number)
    assert receive(connection, id=numbers[-1], result={}) is None
    with pytest.raises(NotUnderstood):
        receive(connection, id=numbers[0], result={})


@pytest.mark.parametrize("identifier", ["a", "", 7, -1, 'q"\\'])
def test_a_question_is_refused_with_its_own_id(identifier: str | int) -> None:
    for method in ("sampling/createMessage", "elicitation/create", "roots/list", ""):
        answer = json.loads(jsonrpc.reply(Question(identifier, method)))
        assert answer["id"] == identifier
        assert answer["error"]["code"] == -32601
        assert "result" not in answer
    assert json.loads(jsonrpc.reply(Question(identifier, "ping")))["result"] == {}

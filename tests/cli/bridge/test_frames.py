"""Frames: what of a line is a message, and which answers are passed on."""

import json

import pytest

from cli.bridge.frames import MAX_BYTES, Unreadable, answer, read
from gateway.errors import NotUnderstood


@pytest.mark.parametrize(
    ("line", "number", "answers"),
    [
        pytest.param(b"{", -32700, None, id="broken"),
        pytest.param(b'{"jsonrpc":"2.0","id":7,"id":8,"method":"ping"}', -32700, None, id="twice"),
        pytest.param(b'{"jsonrpc":"2.0","id":7,"method":"ping"} {}', -32700, None, id="trailing"),
        pytest.param(b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}', -32700, None, id="nan"),
        pytest.param(b"\xff\xfe", -32700, None, id="not-utf-8"),
        pytest.param(b"[" * 5000, -32700, None, id="deep"),
        pytest.param(b'"' + b"x" * MAX_BYTES + b'"', -32700, None, id="huge"),
        pytest.param(b"[]", -32600, None, id="batch"),
        pytest.param(b'{"id":7,"method":"ping"}', -32600, None, id="no-version"),
        pytest.param(b'{"jsonrpc":"2.0","id":7}', -32600, 7, id="no-method"),
        pytest.param(b'{"jsonrpc":"2.0","id":7,"method":3}', -32600, 7, id="odd-method"),
        pytest.param(b'{"jsonrpc":"2.0","id":7,"method":"x","params":[]}', -32600, 7, id="list"),
        pytest.param(b'{"jsonrpc":"2.0","id":true,"method":"ping"}', -32600, None, id="odd-id"),
        pytest.param(b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600, None, id="fraction"),
    ],
)
def test_a_line_that_is_no_message_is_refused(
    line: bytes, number: int, answers: int | None
) -> None:
    with pytest.raises(Unreadable) as refused:
        read(line)
    assert (refused.value.number, refused.value.id) == (number, answers)


def test_an_answer_of_the_client_is_passed_over() -> None:
    assert read(b'{"jsonrpc":"2.0","id":7,"result":{}}') is None
    assert read(b'{"jsonrpc":"2.0","id":7,"error":{}}') is None


def test_a_message_goes_on_as_it_came() -> None:
    line = b'{ "jsonrpc":"2.0", "id":"7", "method":"x", "params":{"n": 1.0} }'
    frame = read(line)
    assert frame is not None
    assert (frame.raw, frame.id, frame.method) == (line, "7", "x")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(b'{"jsonrpc":"2.0","id":8,"result":{}}', id="another-id"),
        pytest.param(b'{"jsonrpc":"2.0","id":"7","result":{}}', id="another-type-of-id"),
        pytest.param(b'{"jsonrpc":"2.0","id":7}', id="neither"),
        pytest.param(b'{"jsonrpc":"2.0","id":7,"result":{},"error":{}}', id="both"),
        pytest.param(b'{"id":7,"result":{}}', id="no-version"),
    ],
)
def test_what_is_no_answer_is_not_passed_on(raw: bytes) -> None:
    with pytest.raises(NotUnderstood):
        answer(raw, 7)


def test_an_answer_is_one_line_whatever_is_in_it() -> None:
    raw = json.dumps({"jsonrpc": "2.0", "id": 7, "result": {"text": "a\nb"}}, indent=2).encode()
    line = answer(raw, 7)
    assert line.count(b"\n") == 1
    assert json.loads(line)["result"] == {"text": "a\nb"}

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pytest

from audit.canonical import Json
from gateway.store.row import UNSTORED, RowRefused, from_row, to_row


@dataclass(frozen=True)
class Inner:
    name: str
    sealed: bytes = b""


@dataclass(frozen=True)
class Outer:
    number: int
    sure: bool
    state: Literal["on", "off"]
    words: tuple[str, ...]
    pairs: tuple[tuple[str, int], ...]
    labels: frozenset[str]
    perhaps: str | None
    by_name: Mapping[str, Inner]
    anything: Mapping[str, Json]
    inner: Inner
    spoken: str | None = field(default=None, metadata=UNSTORED)


OUTER = Outer(
    number=1,
    sure=True,
    state="on",
    words=("a", "b"),
    pairs=(("a", 1),),
    labels=frozenset({"web", "secret"}),
    perhaps=None,
    by_name={"x": Inner("x", b"\x00\xff")},
    anything={"deep": [{"n": 1.5}, None, True]},
    inner=Inner("y"),
)


def test_a_value_comes_back_from_its_row_as_json() -> None:
    assert from_row(Outer, json.loads(json.dumps(to_row(OUTER)))) == OUTER


def test_equal_values_have_equal_rows() -> None:
    row = to_row(OUTER)
    assert row["labels"] == ["secret", "web"]
    assert json.dumps(row) == json.dumps(to_row(from_row(Outer, row)))


def test_what_is_not_to_be_stored_is_not() -> None:
    said = Outer(**{**vars(OUTER), "spoken": "pay the rent"})
    assert "rent" not in json.dumps(to_row(said))
    assert from_row(Outer, to_row(said)) == OUTER


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("number", "1"),
        ("number", True),
        ("number", 1.0),
        ("sure", 1),
        ("state", "neither"),
        ("words", "ab"),
        ("words", [1]),
        ("pairs", [["a"]]),
        ("pairs", [["a", "b"]]),
        ("labels", {"web": 1}),
        ("perhaps", 1),
        ("by_name", []),
        ("by_name", {"x": {"name": "x"}}),
        ("inner", None),
        ("inner", {"name": "x", "sealed": 1}),
        ("spoken", "words"),
        ("unknown", 1),
    ],
)
def test_a_row_of_something_else_is_refused(member: str, value: Json) -> None:
    with pytest.raises(RowRefused):
        from_row(Outer, {**to_row(OUTER), member: value})


@pytest.mark.parametrize("member", list(to_row(OUTER)))
def test_a_row_without_a_member_is_refused(member: str) -> None:
    row = to_row(OUTER)
    del row[member]
    with pytest.raises(RowRefused):
        from_row(Outer, row)


def test_a_field_that_no_row_can_hold_is_a_defect() -> None:
    @dataclass(frozen=True)
    class Odd:
        when: complex

    with pytest.raises(TypeError):
        to_row(Odd(1j))
    with pytest.raises(TypeError):
        to_row("no dataclass")

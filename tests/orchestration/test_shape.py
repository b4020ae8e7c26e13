"""Schemas of values: whoever wrote them, they end soon, stay in their document, and are strict."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import Json
from orchestration.shape import MOST_BYTES, checked_schema, objection

TREE: dict[str, Any] = {
    "$ref": "#/$defs/tree",
    "$defs": {
        "tree": {
            "type": "object",
            "properties": {"inner": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
        }
    },
}


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": "nothing"}, id="no-type"),
        pytest.param({"minLength": "x"}, id="no-number"),
        pytest.param({"pattern": "("}, id="broken-pattern"),
        pytest.param({"pattern": "(a)\\1"}, id="pattern-that-looks-back"),
        pytest.param({"$ref": "#"}, id="itself"),
        pytest.param({"$ref": "#/$defs/none"}, id="nowhere"),
        pytest.param({"$ref": "other.json#/$defs/x"}, id="another-document"),
        pytest.param({"items": {"$ref": "https://evil.example/x"}}, id="another-place"),
        pytest.param({"$dynamicRef": 1}, id="no-reference"),
        pytest.param({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, id="endless"),
        pytest.param({"description": "x" * MOST_BYTES}, id="long"),
        pytest.param(deep(80), id="deep"),
    ],
)
def test_what_nothing_is_checked_by_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="schema"):
        checked_schema(schema)


@pytest.mark.parametrize(
    ("schema", "value", "complaint"),
    [
        pytest.param({"type": "integer"}, 1, None, id="a-number"),
        pytest.param({"type": "integer"}, True, "/value: expected integer", id="a-truth"),
        pytest.param({"type": "string", "maxLength": 2}, "abc", "/value", id="long"),
        pytest.param({"enum": ["a"]}, "b", "/value", id="none-of-these"),
        pytest.param({"properties": {"a": {}}}, {"b": 1}, "unknown field b", id="not-named"),
        pytest.param({"properties": {}, "additionalProperties": True}, {"b": 1}, None, id="open"),
        pytest.param(TREE, {"inner": [{"inner": []}]}, None, id="a-tree"),
        pytest.param(TREE, {"inner": [{"outer": []}]}, "unknown field outer", id="no-tree"),
    ],
)
def test_a_value_is_held_against_its_schema(
    schema: dict[str, Any], value: Json, complaint: str | None
) -> None:
    found = objection(checked_schema(schema), value)
    assert (found is None) == (complaint is None)
    assert complaint is None or complaint in str(found)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(value=values)
def test_a_value_fits_exactly_what_it_is(value: Json) -> None:
    assert objection({"const": value}, value) is None
    assert objection({"not": {"const": value}}, value) is not None


COSTLY: dict[str, Any] = {
    "many-choices": {"anyOf": [*[{"const": n} for n in range(2, 900)], {"const": 1}]},
    "much-listed": {"enum": [*range(2, 3000), 1]},
    "references-that-grow": {"$ref": "#/$defs/s9"},
}
GROWING: dict[str, Any] = {
    f"s{n}": {"allOf": [{"$ref": f"#/$defs/s{n - 1}"}] * 2} if n else {"type": "integer"}
    for n in range(10)
}


@pytest.mark.parametrize("name", COSTLY)
def test_a_small_schema_makes_no_check_of_minutes(name: str) -> None:
    schema: dict[str, Any] = {"$defs": GROWING, "type": "array", "items": COSTLY[name]}
    assert objection(schema, [1] * 100) is None
    found = objection(schema, [1] * 100_000)
    assert found == "too large to be checked by a schema like this"


def test_a_long_text_is_not_looked_for_a_thousand_patterns() -> None:
    schema: dict[str, Any] = {"allOf": [{"pattern": f"{n}.*$"} for n in range(500)]}
    found = objection(schema, "a" * 3_000_000)
    assert found == "too large to be checked by a schema like this"


def test_a_large_value_is_looked_at_by_an_ordinary_schema() -> None:
    row: dict[str, Any] = {
        "type": "object",
        "properties": {f"m{n}": {"type": "integer"} for n in range(10)},
    }
    assert objection({"type": "array", "items": row}, [{"m1": 1, "m9": 2}] * 40_000) is None

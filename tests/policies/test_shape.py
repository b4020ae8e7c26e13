"""What a JSON Schema admits always fits the shape read from it."""

import time
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.shape import ANYTHING, JSON_KINDS, Kind, Shape, read_schema


@pytest.mark.parametrize(
    "schema",
    [None, True, {}, {"type": "thing"}, {"$ref": "#/nowhere"}, {"$ref": "http://x/y"}, {"$ref": 1}],
)
def test_what_is_not_understood_may_be_anything(schema: object) -> None:
    assert read_schema(schema).kinds == JSON_KINDS


def test_a_reference_in_a_circle_ends() -> None:
    schema: dict[str, object] = {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"properties": {"a": {"$ref": "#/$defs/a"}}}},
    }
    shape = read_schema(schema)
    for _ in range(5):
        shape = shape.members["a"]
    assert read_schema({"$ref": "#"}).kinds == JSON_KINDS


def test_a_schema_that_doubles_at_each_step_is_read_at_once() -> None:
    doubling: dict[str, object] = {"anyOf": [{"$ref": "#/$defs/a"}] * 8, "$defs": {}}
    doubling["$defs"] = {"a": doubling}
    before = time.process_time()
    assert read_schema(doubling).kinds == JSON_KINDS
    assert time.process_time() - before < 1


def test_references_are_followed() -> None:
    shape = read_schema(
        {
            "type": "object",
            "properties": {"to": {"$ref": "#/$defs/a~1b"}},
            "$defs": {"a/b": {"type": "string"}},
        }
    )
    assert shape.members["to"].kinds == {Kind.TEXT}


@pytest.mark.parametrize(
    ("schema", "is_open"),
    [
        pytest.param({"properties": {"a": {}}}, False, id="named-members"),
        pytest.param({"properties": {}}, False, id="no-members"),
        pytest.param({"type": "object"}, True, id="nothing-said"),
        pytest.param({"properties": {}, "additionalProperties": True}, True, id="others-too"),
        pytest.param({"properties": {}, "additionalProperties": {}}, True, id="any-others"),
        pytest.param({"properties": {}, "additionalProperties": False}, False, id="no-others"),
        pytest.param({"properties": {}, "patternProperties": {"^x": {}}}, True, id="by-pattern"),
        pytest.param({"additionalProperties": False}, False, id="none-at-all"),
    ],
)
def test_members_that_are_not_named_are_refused_unless_the_schema_says_so(
    schema: dict[str, object], is_open: bool
) -> None:
    assert read_schema(schema).is_open is is_open


_LEAVES = st.sampled_from(
    [
        {},
        {"type": "string"},
        {"type": "integer"},
        {"type": ["number", "null"]},
        {"type": "boolean"},
        {"enum": ["a", "b"]},
        {"enum": ["a", 1]},
        {"const": "a"},
    ]
)


def _bigger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["a", "b"])
    return st.one_of(
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(lambda some: {"anyOf": some}, st.lists(inner, min_size=1, max_size=2)),
        st.builds(lambda some: {"oneOf": some}, st.lists(inner, min_size=1, max_size=2)),
        st.builds(lambda some: {"allOf": some}, st.lists(inner, min_size=1, max_size=2)),
        st.builds(
            lambda properties, required: {
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": False,
            },
            st.dictionaries(names, inner, max_size=2),
            st.lists(names, unique=True),
        ),
    )


_SCHEMAS = st.recursive(_LEAVES, _bigger, max_leaves=6)
_VALUES = st.recursive(
    st.sampled_from([None, True, 1, 1.5, "a", "c"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["a", "b"]), inner)
    ),
    max_leaves=5,
)


@given(schema=_SCHEMAS, value=_VALUES)
def test_what_a_schema_admits_fits_its_shape(schema: dict[str, object], value: object) -> None:
    if jsonschema_rs.validator_for(schema).is_valid(value):
        assert _fits(value, read_schema(schema))


def _fits(value: object, shape: Shape) -> bool:
    kinds = {
        str: Kind.TEXT,
        bool: Kind.TRUTH,
        list: Kind.LIST,
        dict: Kind.MAP,
        type(None): Kind.NULL,
    }
    if kinds.get(type(value), Kind.NUMBER) not in shape.kinds:
        return False
    if shape.choices is not None and value not in shape.choices:
        return False
    if isinstance(value, list):
        return all(_fits(item, shape.item or ANYTHING) for item in value)
    if isinstance(value, dict):
        return (
            shape.required <= value.keys()
            and (shape.is_open or value.keys() <= shape.members.keys())
            and all(_fits(item, shape.members.get(name, ANYTHING)) for name, item in value.items())
        )
    return True

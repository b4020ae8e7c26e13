"""Threats 16, 17, 21, 22 and 57: what passes for arguments, and what a schema may make us do."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import Json
from gateway.catalogue.arguments import ArgumentCheck
from gateway.errors import ArgumentsInvalid, SchemaRefused

PAY: dict[str, Json] = {
    "type": "object",
    "properties": {
        "to": {"type": "string", "maxLength": 20},
        "amount": {"type": "integer", "minimum": 1},
        "urgent": {"type": "boolean", "default": False},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "kind": {"enum": ["a", "b"]},
    },
    "required": ["to", "amount"],
}
GOOD: dict[str, Json] = {"to": "ana", "amount": 3}


def check(schema: Json, args: Json) -> None:
    assert isinstance(args, dict)
    ArgumentCheck.compile("s.t", schema).check(args)


def complaint(schema: Json, args: Json) -> ArgumentsInvalid:
    with pytest.raises(ArgumentsInvalid) as caught:
        check(schema, args)
    return caught.value


# -- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more", [{}, {"urgent": True}, {"note": None}, {"note": "x"}, {"kind": "a"}, {"amount": 2**53}]
)
def test_arguments_that_fit_are_accepted_and_left_alone(more: dict[str, Json]) -> None:
    args = {**GOOD, **more}
    before = dict(args)
    check(PAY, args)
    assert args == before


@pytest.mark.parametrize(
    ("more", "path", "message"),
    [
        pytest.param({"amount": "3"}, "/amount", "expected integer", id="text"),
        pytest.param({"amount": True}, "/amount", "expected integer", id="boolean"),
        pytest.param({"amount": 1.5}, "/amount", "expected integer", id="fraction"),
        pytest.param({"amount": 40.0}, "/amount", "expected integer", id="whole-float"),
        pytest.param({"amount": None}, "/amount", "expected integer", id="null"),
        pytest.param({"amount": [3]}, "/amount", "expected integer", id="list"),
        pytest.param({"amount": 0}, "/amount", "minimum", id="below"),
        pytest.param({"to": "x" * 21}, "/to", "maxLength", id="long"),
        pytest.param({"urgent": "true"}, "/urgent", "expected boolean", id="boolean-as-text"),
        pytest.param({"urgent": 1}, "/urgent", "expected boolean", id="boolean-as-number"),
        pytest.param({"kind": "c"}, "/kind", "enum", id="enum"),
        pytest.param({"kind": "A"}, "/kind", "enum", id="case"),
        pytest.param({"note": 1}, "/note", "anyOf", id="any-of"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(
    more: dict[str, Json], path: str, message: str
) -> None:
    error = complaint(PAY, {**GOOD, **more})
    assert (error.code, error.path) == ("args.invalid", path)
    assert message in str(error)


def test_a_missing_argument_is_named() -> None:
    error = complaint(PAY, {"to": "ana"})
    assert (error.code, str(error)) == ("args.invalid", "arguments: field amount is missing")


@pytest.mark.parametrize(
    "name", ["bcc", "To", "amount ", "\u0430mount", "_policy", "__proto__", ""]
)
def test_an_unknown_argument_is_refused(name: str) -> None:
    error = complaint(PAY, {**GOOD, name: 1})
    assert (error.code, error.path) == ("args.unknown_field", "")


@given(name=st.text(max_size=300), value=st.text(max_size=300))
def test_a_message_is_short_printable_and_without_the_value(name: str, value: str) -> None:
    value = f"hunter2 {value}"
    error = complaint(PAY, {"amount": value, "to": {"nested": value}, f"x{name}": value})
    assert str(error).isascii()
    assert str(error).isprintable()
    assert len(str(error)) < 200
    assert "hunter2" not in str(error) + error.path


def test_a_wrong_value_is_told_from_an_unknown_field_beside_it() -> None:
    assert complaint(PAY, {**GOOD, "amount": "3", "bcc": "x"}).code == "args.invalid"


# -- nested objects -------------------------------------------------------------------------

ADDRESS: dict[str, Json] = {"type": "object", "properties": {"street": {"type": "string"}}}

NESTED = [
    pytest.param(ADDRESS, {}, id="inline"),
    pytest.param({"$ref": "#/$defs/A"}, {"A": ADDRESS}, id="reference"),
    pytest.param({"$ref": "#a"}, {"A": {**ADDRESS, "$anchor": "a"}}, id="anchor"),
    pytest.param(
        {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}, {"A": ADDRESS}, id="or-null"
    ),
    pytest.param(
        {"allOf": [ADDRESS, {"properties": {"town": {"type": "string"}}}]}, {}, id="all-of"
    ),
    pytest.param(
        {"oneOf": [{**ADDRESS, "required": ["street"]}, {"type": "string"}]}, {}, id="one-of"
    ),
    pytest.param({"$ref": "#/$defs/B"}, {"A": ADDRESS, "B": {"$ref": "#/$defs/A"}}, id="chain"),
]


@pytest.mark.parametrize(("address", "shelf"), NESTED)
@pytest.mark.parametrize("where", ["member", "list", "tuple", "map"])
def test_an_unknown_field_of_a_nested_object_is_refused(
    address: Json, shelf: Json, where: str
) -> None:
    holder: dict[str, Json] = {
        "member": address,
        "list": {"type": "array", "items": address},
        "tuple": {"type": "array", "prefixItems": [address]},
        "map": {"type": "object", "additionalProperties": address},
    }
    schema: Json = {"type": "object", "properties": {"x": holder[where]}, "$defs": shelf}

    def put(value: Json) -> Json:
        return {"member": value, "list": [value], "tuple": [value], "map": {"k": value}}[where]

    check(schema, {"x": put({"street": "a"})})
    error = complaint(schema, {"x": put({"street": "a", "bcc": "b"})})
    assert error.path.startswith("/x")


def test_the_branches_of_all_of_complete_each_other() -> None:
    both: Json = {"allOf": [ADDRESS, {"properties": {"town": {"type": "string"}}}]}
    check({"type": "object", "properties": {"x": both}}, {"x": {"street": "a", "town": "b"}})


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"type": "object"}, id="no-members-listed"),
        pytest.param({"type": "object", "additionalProperties": True}, id="said-open"),
        pytest.param({"type": "object", "additionalProperties": {"type": "integer"}}, id="map"),
        pytest.param({**ADDRESS, "additionalProperties": True}, id="listed-and-open"),
        pytest.param({}, id="anything"),
        pytest.param({"anyOf": [ADDRESS, {"type": "object"}]}, id="open-alternative"),
    ],
)
def test_what_a_schema_leaves_open_stays_open_and_is_listed(value: Json) -> None:
    schema: Json = {"type": "object", "properties": {"x": value}}
    compiled = ArgumentCheck.compile("s.t", schema)
    compiled.check({"x": {"more": 1}})
    assert compiled.open_at == ("#/properties/x",)


def test_nothing_is_listed_as_open_where_all_is_closed() -> None:
    schema: Json = {
        "type": "object",
        "properties": {"a": ADDRESS, "b": {"type": "array", "items": {"type": "string"}}},
    }
    assert ArgumentCheck.compile("s.t", schema).open_at == ()


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        pytest.param({"type": "object"}, {}, {"a": 1}, id="no-members"),
        pytest.param(
            {"type": "object", "patternProperties": {"^x-": {"type": "string"}}},
            {"x-a": "1"},
            {"y": "1"},
            id="pattern",
        ),
        pytest.param(
            {"type": "object", "oneOf": [{"properties": {"a": {}}, "required": ["a"]}]},
            {"a": 1},
            {"a": 1, "b": 2},
            id="one-of",
        ),
        pytest.param(
            {
                "type": "object",
                "properties": {"a": {}},
                "if": {"properties": {"a": {"const": 1}}},
                "then": {"properties": {"b": {}}},
            },
            {"a": 1, "b": 2},
            {"a": 2, "b": 2},
            id="then",
        ),
        pytest.param(
            {"type": "object", "$id": "https://x.example/s", "properties": {"a": {}}},
            {"a": 1},
            {"b": 1},
            id="own-id",
        ),
        pytest.param(
            {
                "type": "object",
                "$id": "https://x.example/s",
                "properties": {"a": {"$ref": "https://x.example/s#/$defs/A"}},
                "$defs": {"A": ADDRESS},
            },
            {"a": {"street": "x"}},
            {"a": {"street": "x", "more": 1}},
            id="reference-by-own-id",
        ),
        pytest.param(
            {
                "type": "object",
                "$id": "https://json-schema.org/draft/2020-12/schema",
                "properties": {"a": {"type": "integer"}},
            },
            {"a": 1},
            {"title": "what the named document would allow"},
            id="id-of-another-document",
        ),
        pytest.param(
            {
                "$schema": "https://json-schema.org/draft/2019-09/schema",
                "type": "object",
                "properties": {"a": {"anyOf": [ADDRESS, {"type": "null"}]}},
            },
            {"a": {"street": "x"}},
            {"a": {"street": "x", "more": 1}},
            id="2019-09-nested",
        ),
        pytest.param(
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "type": "object",
                "properties": {"a": ADDRESS},
            },
            {"a": {"street": "x"}},
            {"b": 1},
            id="draft-07",
        ),
        pytest.param(
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "type": "object",
                "properties": {"a": ADDRESS},
            },
            {"a": {"street": "x"}},
            {"a": {"street": "x", "more": 1}},
            id="draft-07-nested",
        ),
        pytest.param(
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "type": "object",
                "properties": {"a": {"$ref": "#/definitions/address"}},
                "definitions": {"address": ADDRESS},
            },
            {"a": {"street": "x"}},
            {"a": {"street": "x", "more": 1}},
            id="draft-07-referred",
        ),
        pytest.param(
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "type": "object",
                "properties": {"street": {"type": "string"}, "next": {"$ref": "#"}},
            },
            {"next": {"next": {"street": "x"}}},
            {"next": {"next": {"more": 1}}},
            id="draft-07-recursive",
        ),
        pytest.param(
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "type": "object",
                "properties": {"n": {"type": "integer"}},
            },
            {"n": 1},
            {"n": 1.0},
            id="draft-07-integer",
        ),
    ],
)
def test_the_arguments_as_a_whole_are_closed(schema: Json, good: Json, bad: Json) -> None:
    check(schema, good)
    complaint(schema, bad)


def test_a_part_that_is_put_together_with_another_is_not_closed_by_itself() -> None:
    schema: dict[str, Json] = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "a": {"$ref": "#/definitions/address"},
            "b": {
                "allOf": [
                    {"$ref": "#/definitions/address"},
                    {"properties": {"more": {"type": "integer"}}},
                ]
            },
        },
        "definitions": {"address": ADDRESS},
    }
    check(schema, {"b": {"street": "x", "more": 1}})
    assert ArgumentCheck.compile("s.t", schema).open_at == ("#/properties/a", "#/properties/b")


def test_a_schema_that_says_so_takes_any_further_argument() -> None:
    check({"type": "object", "additionalProperties": True}, {"a": 1})


# -- schemas that are refused ---------------------------------------------------------------


def ref(name: str) -> dict[str, Json]:
    return {"$ref": f"#/$defs/{name}"}


BOMB: dict[str, Json] = {f"d{n}": {"allOf": [ref(f"d{n + 1}")] * 2} for n in range(40)}
BOMB["d40"] = True
CHAIN: dict[str, Json] = {f"d{n}": ref(f"d{n + 1}") for n in range(3000)}
CHAIN["d3000"] = True
DEEP: Any = {}
for _ in range(80):
    DEEP = {"items": DEEP}


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"$ref": "#"}, id="itself"),
        pytest.param({"allOf": [{"$ref": "#"}]}, id="itself-in-all-of"),
        pytest.param({"$dynamicRef": "#a", "$dynamicAnchor": "a"}, id="itself-dynamically"),
        pytest.param(
            {"properties": {"a": ref("b")}, "$defs": {"b": {"anyOf": [ref("c")]}, "c": ref("b")}},
            id="two-in-a-circle",
        ),
        pytest.param({"$ref": "https://evil.example/s"}, id="remote"),
        pytest.param({"$ref": "file:///etc/passwd"}, id="file"),
        pytest.param({"$ref": "other#/$defs/x"}, id="relative"),
        pytest.param({"$ref": "#/$defs/none"}, id="dangling"),
        pytest.param({"$ref": "#none"}, id="no-anchor"),
        pytest.param({"$ref": 1}, id="reference-of-number"),
        pytest.param({"$ref": "#/x-other", "x-other": {"type": "object"}}, id="no-schema-there"),
        pytest.param({"properties": {"a": {"$id": "https://x.example/"}}}, id="id-below"),
        pytest.param({"$schema": "https://evil.example/schema"}, id="dialect"),
        pytest.param({"$schema": 1}, id="dialect-of-number"),
        pytest.param({"properties": {"a": {"type": "objekt"}}}, id="unknown-type"),
        pytest.param({"properties": {"a": 1}}, id="property-of-number"),
        pytest.param({"required": "a"}, id="required-of-text"),
        pytest.param({"properties": {"a": {"pattern": "(?=a)b"}}}, id="look-around"),
        pytest.param({"properties": {"a": {"pattern": "(a)\\1"}}}, id="back-reference"),
        pytest.param({"properties": {"a": {"pattern": "a{1000}{1000}"}}}, id="pattern-bomb"),
        pytest.param({"properties": {"a": {"pattern": "("}}}, id="broken-pattern"),
        pytest.param({"$defs": BOMB, "allOf": [ref("d0")]}, id="doubling"),
        pytest.param({"$defs": CHAIN, "allOf": [ref("d0")]}, id="long-chain"),
        pytest.param({"properties": {"a": DEEP}}, id="deep"),
        pytest.param({"description": "x" * 300_000}, id="large"),
        pytest.param({"properties": {str(n): {} for n in range(5000)}}, id="many-parts"),
        pytest.param({"type": "string"}, id="no-object"),
        pytest.param({"type": ["object", "null"]}, id="object-or-null"),
        pytest.param({"type": None}, id="no-type"),
        pytest.param({"$anchor": "a", "properties": {"b": {"$anchor": "a"}}}, id="anchor-twice"),
    ],
)
def test_a_schema_that_cannot_be_checked_by_is_refused_at_once(schema: dict[str, Json]) -> None:
    began = time.process_time()
    with pytest.raises(SchemaRefused, match=r"^s\.t: its input schema "):
        ArgumentCheck.compile("s.t", {"type": "object", **schema})
    assert time.process_time() - began < 1


@pytest.mark.parametrize("document", [None, True, [], "object", 1])
def test_what_is_no_object_is_no_schema(document: Json) -> None:
    with pytest.raises(SchemaRefused):
        ArgumentCheck.compile("s.t", document)


def test_a_schema_may_refer_to_itself_one_level_down() -> None:
    schema: Json = {
        "type": "object",
        "properties": {"tree": ref("node")},
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"value": {"type": "integer"}, "next": ref("node")},
            }
        },
    }
    args: dict[str, Json] = {"value": 1}
    for _ in range(60):
        args = {"value": 1, "next": args}
    check(schema, {"tree": args})
    assert complaint(schema, {"tree": {"next": {"next": {"more": 1}}}}).path == "/tree/next/next"


def test_a_schema_that_doubles_with_each_level_limits_how_deep_arguments_are() -> None:
    twice: Json = {"allOf": [ref("node"), ref("node")]}
    schema: Json = {
        "type": "object",
        "properties": {"x": twice},
        "$defs": {"node": {"properties": {"x": twice}}},
    }
    args: dict[str, Json] = {}
    for _ in range(60):
        args = {"x": args}
    began = time.process_time()
    assert "nested deeper" in str(complaint(schema, args))
    assert time.process_time() - began < 1
    check(schema, {"x": {"x": {"x": {}}}})


def test_a_slow_pattern_is_none() -> None:
    schema: Json = {"type": "object", "properties": {"a": {"pattern": "^(a+)+$"}}}
    began = time.process_time()
    complaint(schema, {"a": "a" * 100_000 + "!"})
    assert time.process_time() - began < 1


GROWS: dict[str, Json] = {
    "d0": {"type": "integer"},
    **{f"d{n}": {"allOf": [ref(f"d{n - 1}"), ref(f"d{n - 1}")]} for n in range(1, 12)},
}
MANY: dict[str, Json] = {
    "type": "object",
    "properties": {"a": {"items": ref("d11")}},
    "$defs": GROWS,
}


@pytest.mark.parametrize(
    ("values", "path"),
    [
        pytest.param(["x"] * 900, "/a/0", id="wrong-in-a-million-ways"),
        pytest.param([1] * 100_000, "", id="right-and-large"),
    ],
)
def test_a_small_schema_makes_no_check_of_minutes(values: Json, path: str) -> None:
    began = time.process_time()
    assert complaint(MANY, {"a": values}).path == path
    assert time.process_time() - began < 2
    check(MANY, {"a": [1] * 100})


def test_the_servers_own_schema_is_left_as_it_is() -> None:
    schema: dict[str, Json] = {"type": "object", "properties": {"a": dict(ADDRESS)}}
    before = repr(schema)
    ArgumentCheck.compile("s.t", schema)
    assert repr(schema) == before

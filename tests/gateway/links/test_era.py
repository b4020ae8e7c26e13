import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import Json
from gateway.errors import NotUnderstood
from gateway.links import era
from gateway.links.era import Era, MirroredParameter

# Also in `mcp.shared.inbound.decode_header_value`, which is the other end of this.


def decoded(value: bytes) -> str:
    text = value.decode("ascii")
    if text.startswith("=?base64?") and text.endswith("?="):
        return base64.b64decode(text[9:-2], validate=True).decode()
    return text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_survives_as_a_header_value(text: str) -> None:
    value = era.header_value(text)
    assert decoded(value) == text
    assert value == value.strip()
    assert all(0x20 <= byte < 0x7F for byte in value)


@pytest.mark.parametrize("text", ["a\r\nX-Evil: 1", " a", "a ", "", "=?base64?YQ==?=", "\u00e9"])
def test_a_text_that_would_not_survive_is_encoded(text: str) -> None:
    assert era.header_value(text).startswith(b"=?base64?")


@pytest.mark.parametrize("text", ["echo", "a b", "x.y-z_1", "=?other?="])
def test_a_plain_text_is_sent_as_it_is(text: str) -> None:
    assert era.header_value(text) == text.encode()


def test_only_the_modern_era_has_metadata_in_its_parameters() -> None:
    modern = json.loads(Era(era.MODERN).params(cursor="x"))
    assert modern["cursor"] == "x"
    assert set(modern["_meta"]) == {
        "io.modelcontextprotocol/protocolVersion",
        "io.modelcontextprotocol/clientCapabilities",
        "io.modelcontextprotocol/clientInfo",
    }
    assert json.loads(Era("2025-11-25").params(cursor="x")) == {"cursor": "x"}


@pytest.mark.parametrize("version", era.VERSIONS)
def test_the_parameters_of_a_call_hold_the_argument_bytes(version: str) -> None:
    head, tail = Era(version).call_params('t"ool')
    params = json.loads(head + b'{"a":1}' + tail)
    assert (params["name"], params["arguments"]) == ('t"ool', {"a": 1})


@pytest.mark.parametrize(
    ("version", "allowed"),
    [
        pytest.param("2026-07-28", era.VERSIONS, id="modern-has-no-handshake"),
        pytest.param("2024-10-07", era.VERSIONS, id="unknown"),
        pytest.param("2024-11-05", ("2025-11-25",), id="downgrade"),
        pytest.param(None, era.VERSIONS, id="none"),
        pytest.param(["2025-11-25"], era.VERSIONS, id="list"),
    ],
)
def test_a_version_that_is_not_allowed_is_refused(version: Json, allowed: tuple[str, ...]) -> None:
    with pytest.raises(NotUnderstood):
        era.read_initialize({"protocolVersion": version}, allowed)


@pytest.mark.parametrize(
    ("result", "modern"),
    [
        ({"supportedVersions": ["2026-07-28"]}, True),
        ({"supportedVersions": ["2025-11-25", "2026-07-28"]}, True),
        ({"supportedVersions": ["2025-11-25"]}, False),
        ({"supportedVersions": "2026-07-28"}, False),
        ({}, False),
    ],
)
def test_only_a_server_that_says_so_is_modern(result: dict[str, Json], modern: bool) -> None:
    assert era.read_discover(result) is modern


def test_marked_parameters_are_found_where_they_may_stand() -> None:
    schema: Json = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "x-mcp-header": "A"},
            "b": {
                "type": "object",
                "properties": {"c": {"type": "integer", "x-mcp-header": "B-C"}},
            },
        },
    }
    found = era.mirrored_parameters(schema)
    assert found == (MirroredParameter(("a",), "A"), MirroredParameter(("b", "c"), "B-C"))
    arguments: dict[str, Json] = {"a": "x", "b": {"c": 7}}
    expected = b"Mcp-Param-A: x\r\nMcp-Param-B-C: 7\r\n"
    assert era.mirrored_headers(found, arguments) == expected
    assert era.mirrored_headers(found, {"a": None, "b": 3}) == b""


@pytest.mark.parametrize("schema", [None, True, {}, {"properties": 1}, {"properties": {"a": 1}}])
def test_a_schema_without_marks_has_none(schema: Json) -> None:
    assert era.mirrored_parameters(schema) == ()

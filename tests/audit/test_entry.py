import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import MAX_SAFE, Json, read, write
from audit.entry import MAX_ENTRY_BYTES, Entry, Receipt, Record, encode
from audit.errors import EntryRefused, MalformedPin
from audit.merkle import hash_leaf

ID = "0195d3a0-1234-7abc-8def-001122334455"
BOOT = "0123456789abcdef"

keys = st.text(st.characters(max_codepoint=0x7F), max_size=8)
plain = st.none() | st.booleans() | st.integers(-MAX_SAFE, MAX_SAFE)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
fields = st.dictionaries(
    keys.filter(lambda key: key not in {"v", "id", "ts", "boot", "seq", "kind"}),
    st.recursive(
        plain | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=10,
    ),
    max_size=5,
)


def bytes_of(values: dict[str, Any]) -> bytes:
    return encode(Record(ID, "test", values), ts=7, boot=BOOT, seq=0)[0]


@given(fields)
def test_what_is_told_of_an_entry_is_what_its_bytes_say(values: dict[str, Json]) -> None:
    raw, members = encode(Record(ID, "test", values), ts=7, boot=BOOT, seq=0)
    read_back = Entry(0, hash_leaf(raw), raw).body
    assert json.dumps(members, sort_keys=True) == json.dumps(read_back, sort_keys=True)


@given(fields)
def test_an_entry_is_its_own_canonical_form(values: dict[str, Json]) -> None:
    raw = bytes_of(values)
    body = read(raw, max_bytes=MAX_ENTRY_BYTES)
    assert write(body) == raw
    stamped = {"v": 1, "id": ID, "ts": 7, "boot": BOOT, "seq": 0, "kind": "test"}
    assert body == values | stamped
    assert Entry(0, hash_leaf(raw), raw).body == body


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"a": 1.5}, id="float"),
        pytest.param({"a": [{"b": 60.0}]}, id="whole-float-inside"),
        pytest.param({"a": float("nan")}, id="nan"),
        pytest.param({"a": MAX_SAFE + 1}, id="beyond-largest"),
        pytest.param({"a": -(2**70)}, id="beyond-smallest"),
        pytest.param({"größe": 1}, id="key-not-ascii"),
        pytest.param({"a": [{"\u2028": 1}]}, id="key-not-ascii-inside"),
        pytest.param({"a": {1: 2}}, id="key-is-no-text"),
        pytest.param({"a": "\ud800"}, id="lone-surrogate"),
        pytest.param({"a": datetime(2026, 1, 1, tzinfo=UTC)}, id="date"),
        pytest.param({"a": (1, 2)}, id="tuple"),
        pytest.param({"a": b"x"}, id="bytes"),
        pytest.param({"ts": 1}, id="sets-the-time"),
        pytest.param({"seq": 1}, id="sets-the-sequence"),
        pytest.param({"kind": "other"}, id="sets-the-kind"),
        pytest.param({"a": "x" * MAX_ENTRY_BYTES}, id="too-large"),
    ],
)
def test_what_has_no_place_in_an_entry_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(EntryRefused):
        bytes_of(values)


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(EntryRefused):
        bytes_of({"a": loop})


def test_a_receipt_is_written_as_a_pin() -> None:
    receipt = Receipt("gw.example/audit", 41, b"\xab" * 32)
    assert str(receipt) == f"gw.example/audit;41;{'ab' * 32}"
    assert Receipt.parse(str(receipt)) == receipt


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(f"log;1;{'AB' * 32}", id="upper-case"),
        pytest.param(f"log;01;{'ab' * 32}", id="leading-zero"),
        pytest.param(f"log;1;{'ab' * 31}", id="short-leaf"),
        pytest.param(f"log;1;{'ab' * 32}\n", id="newline"),
        pytest.param(f";1;{'ab' * 32}", id="no-origin"),
        pytest.param(f"log;\uff11;{'ab' * 32}", id="full-width-digit"),
    ],
)
def test_an_unreadable_receipt_is_refused(text: str) -> None:
    with pytest.raises(MalformedPin):
        Receipt.parse(text)

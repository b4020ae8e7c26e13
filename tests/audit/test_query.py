import pytest

from audit.errors import QueryInvalid
from audit.query import Query, Term

NAMES = ("kind", "agent", "tool", "rule")
DAY = 1_763_596_800_000_000  # 2025-11-20T00:00Z
NOW = DAY + 10 * 3600 * 10**6


def parse(text: str) -> Query:
    return Query.parse(text, names=NAMES, now=NOW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", Query(), id="empty"),
        pytest.param("  \t ", Query(), id="blank"),
        pytest.param(
            "kind:decision", Query((Term("kind", "decision", is_prefix=False),)), id="one"
        ),
        pytest.param(
            "tool:ledger.*", Query((Term("tool", "ledger.", is_prefix=True),)), id="prefix"
        ),
        pytest.param(
            'tool:"ledger.*"',
            Query((Term("tool", "ledger.*", is_prefix=False),)),
            id="literal-star",
        ),
        pytest.param(
            'agent:"the clerk" refund',
            Query((Term("agent", "the clerk", is_prefix=False),), ("refund",)),
            id="quoted-value",
        ),
        pytest.param('"kind:decision"', Query(words=("kind:decision",)), id="quoted-colon"),
        pytest.param("policy.denied", Query(words=("policy.denied",)), id="word-with-a-dot"),
        pytest.param("after:2025-11-20", Query(after=DAY), id="day"),
        pytest.param("before:2025-11-20T00:00Z", Query(before=DAY), id="moment"),
        pytest.param("after:2025-11-20T02:00+02:00", Query(after=DAY), id="offset"),
        pytest.param("after:10h", Query(after=DAY), id="age"),
        pytest.param("after:600m before:0s", Query(after=DAY, before=NOW), id="two-ages"),
    ],
)
def test_a_query_is_read(text: str, expected: Query) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("agnet:clerk", "did you mean agent:", id="misspelled"),
        pytest.param("colour:red", "there are after, agent", id="unknown"),
        pytest.param("AGENT:clerk", "no qualifier AGENT", id="upper-case"),
        pytest.param("http://x", "quote it", id="url"),
        pytest.param('agent:"clerk', "quotation mark", id="not-closed"),
        pytest.param('cle"rk', "quotation mark", id="inside-a-word"),
        pytest.param('"a"b', "quotation mark", id="goes-on"),
        pytest.param("agent:*", "letter or a digit", id="only-a-star"),
        pytest.param('agent:""', "letter or a digit", id="empty-value"),
        pytest.param("***", "letter or a digit", id="no-letter"),
        pytest.param("after:soon", "expected a day", id="no-time"),
        pytest.param("after:2025-13-01", "expected a day", id="no-such-month"),
        pytest.param("before:9999999h", "expected a day", id="age-too-long"),
        pytest.param("x" * 1001, "1000 characters", id="too-long"),
        pytest.param("x " * 33, "32 terms", id="too-many"),
    ],
)
def test_what_cannot_be_understood_is_said(text: str, complaint: str) -> None:
    with pytest.raises(QueryInvalid, match=complaint):
        parse(text)


COLUMNS = {
    "kind": lambda body: body["kind"],
    "agent": lambda body: body.get("agent"),
    "rule": lambda body: body.get("rules"),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("kind:decision", True, id="equal"),
        pytest.param("kind:decisio", False, id="not-only-beginning"),
        pytest.param("kind:DECISION", False, id="case-counts"),
        pytest.param("kind:dec*", True, id="prefix"),
        pytest.param("kind:decision agent:bob", False, id="all-names-must-hold"),
        pytest.param("agent:bob agent:clerk", True, id="one-of-several"),
        pytest.param("rule:small", True, id="one-of-the-values"),
        pytest.param("rule:large", False, id="none-of-the-values"),
        pytest.param("", True, id="nothing-asked"),
    ],
)
def test_qualifiers_are_compared_with_the_entry(text: str, expected: bool) -> None:
    body = {"kind": "decision", "agent": "clerk", "rules": ["small", "daytime"]}
    assert parse(text).matches(body, COLUMNS) is expected


def test_a_missing_value_equals_nothing() -> None:
    assert not parse("agent:clerk").matches({"kind": "start"}, COLUMNS)

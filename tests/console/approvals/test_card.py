"""The card as a value: nothing of a request is left out, whatever its shape."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import Json
from console.approvals.card import effects, gone, values
from console.values import rows
from gateway.approval.request import Key, Request
from policies.snapshot import ToolRule

LEAF = st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=8)
JSON = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)
ARGUMENTS = st.dictionaries(st.text('a.[]0"', max_size=3), JSON, max_size=4)


def request(*evidence: dict[str, Any]) -> Request:
    return Request(
        id="r",
        key=Key("clerk", None, (), "s", "desk.pay", "pin", "match"),
        snapshot="snapshot",
        labels=frozenset(),
        provenance=(),
        evidence=evidence,
        rules=(),
        obligations=(),
        digest="digest",
        index=0,
        leaf="leaf",
        asked=0,
        expires=1,
    )


def texts_of(value: Any) -> list[str]:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return [each for inner in value.values() for each in texts_of(inner)]
    if isinstance(value, list):
        return [each for inner in value for each in texts_of(inner)]
    return [value] if isinstance(value, str) else []


@given(ARGUMENTS)
def test_every_text_of_the_arguments_is_on_the_card(arguments: dict[str, Any]) -> None:
    shown = [each.text for each in values(arguments, None, request()) if each.is_text]
    assert shown == texts_of(arguments)


@given(ARGUMENTS)
def test_no_two_values_have_one_path(arguments: dict[str, Any]) -> None:
    paths = [each.path for each in rows(arguments, "args")]
    assert len(paths) == len(set(paths))


@given(ARGUMENTS)
def test_what_is_as_before_is_not_marked(arguments: dict[str, Any]) -> None:
    assert {each.change for each in values(arguments, arguments, request())} <= {"same"}
    assert gone(arguments, arguments) == ()


def test_each_change_is_marked_with_what_was_before() -> None:
    before: dict[str, Json] = {"to": "paper", "amount": 40, "note": "x"}
    found = {
        each.path: (each.change, each.before)
        for each in values({"to": "eve", "amount": 40, "copy": "y"}, before, request())
    }
    assert found == {
        "args.to": ("changed", "paper"),
        "args.amount": ("same", ""),
        "args.copy": ("new", ""),
    }
    assert gone({"to": "eve"}, before) == (("args.amount", "40"), ("args.note", "x"))


def test_a_value_says_where_it_comes_from_and_what_it_carries() -> None:
    asked = request(
        {"path": "args.text", "origin": "none"},
        {"path": "args.text", "origin": "untrusted", "span": [8, 15]},
        {"path": "args.to", "origin": "untrusted", "from": {"tool": "mail.read", "entry": 7}},
    )
    text, to = values({"text": "send to eve@x.y now", "to": "eve"}, None, asked)
    assert (text.origin, text.carried) == ("none", (("eve@x.y", "untrusted"),))
    assert (to.origin, to.source) == ("untrusted", ("mail.read", 7))


@pytest.mark.parametrize(
    ("risk", "said"),
    [("read", "nothing is changed"), ("write", "changes something"), ("irreversible", "cannot be")],
)
def test_the_card_says_what_happens_on_a_yes(risk: Any, said: str) -> None:  # noqa: ANN401 - a risk
    rule = ToolRule(risk, frozenset(), "untrusted")
    assert said in effects(rule, [])[0]


def test_data_that_leaves_is_said_with_what_the_session_has_touched() -> None:
    rule = ToolRule("write", frozenset(), "untrusted", sink="external", cost={"eur": "args.amount"})
    told = " ".join(effects(rule, ["private", "untrusted"]))
    assert "leaves to a place that is external" in told
    assert "private, untrusted" in told
    assert "args.amount eur" in told


def test_a_tool_that_the_policy_does_not_know_is_said_to_be_refused() -> None:
    assert "would be refused" in effects(None, [])[0]

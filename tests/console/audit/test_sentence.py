"""Sentences: every kind of entry is told, and its values search for themselves."""

import re
from pathlib import Path
from typing import Any

import pytest

from audit.query import Query
from console.audit.sentence import Part, named, sentence
from gateway.operator.columns import COLUMNS

KINDS = re.findall(
    r"`([a-z]+(?:\.[a-z]+)?)`",
    "\n".join(
        line.split("|")[1]
        for line in (Path(__file__).parents[3] / "docs" / "entries.md").read_text().splitlines()
        if line.startswith("| `")
    ),
)
SPECIAL = {"decision", "outcome", "approval.asked", "approval.decided"}


def text(body: dict[str, Any]) -> str:
    return "".join(part.text for part in sentence(body))


def test_a_decision_says_who_for_whom_what_and_why() -> None:
    body = {
        "kind": "decision",
        "actor": {"agent": "clerk", "sub": "ana", "chain": []},
        "decision": {"effect": "deny", "rules": ["no-external-mail"]},
        "tool": {"name": "mail.send"},
        "approval": None,
    }
    assert text(body) == "clerk, for ana: deny mail.send - rule no-external-mail"


def test_a_denial_by_default_says_that_no_rule_matched() -> None:
    body = {
        "kind": "decision",
        "actor": {"agent": "clerk", "sub": None},
        "decision": {"effect": "deny", "rules": []},
        "tool": {"name": "mail.send"},
        "approval": None,
    }
    assert text(body).endswith("- no rule matched")


@pytest.mark.parametrize("kind", sorted({*KINDS} - SPECIAL))
def test_every_other_kind_is_told_by_whatever_it_holds(kind: str) -> None:
    assert text({"kind": kind}).strip() == kind
    full = {"kind": kind, "agent": "a", "user": "u", "by": "b", "tool": "s.t", "code": "c"}
    assert "by b" in text(full)


@pytest.mark.parametrize("value", ["clerk", "a b", "x:y", "\u202e", "caf\u00e9", "1"])
def test_a_value_searches_for_itself(value: str) -> None:
    part = named("agent", value)
    if any(char.isalnum() for char in value):
        query = Query.parse(part.query, names=COLUMNS, now=0)
        assert [term.value for term in query.terms] == [value]


@pytest.mark.parametrize("value", ['a"b', "", None, 3, {"name": "x"}])
def test_what_cannot_be_searched_for_is_no_link(value: object) -> None:
    assert named("agent", value).query == ""


def test_what_is_told_is_never_markup() -> None:
    (part, *_) = sentence({"kind": "<b>"})
    assert part == Part("<b>", 'kind:"<b>"', "link")

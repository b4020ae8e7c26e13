"""Amending: what is added is there, and nothing else has changed."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from policies.amend import with_condition, with_rule, written
from policies.errors import NotAmendable

RULE = (("id", "new"), ("agents", "[a]"), ("effect", "allow"), ("when", "\"args.x == '}: #'\""))

BLOCK = """\
# first
rules:
  # of old
  - id: one
    when: args.n > 1   # why
  - {id: two}
other: 1
"""
FLAT = "rules:\n- id: one\n  when: 'a'\n- id: two\n"
FLOW = "{rules: [{id: one, when: 'it''s'}, {id: two}], other: 1}\n"
EMPTY = "rules: []\nother: 1\n"
NONE = "other: 1"
SPANS = "rules:\n  - id: one\n    when: >-\n      a &&\n      b\n    effect: x\n  - {id: two}\n"

every_form = pytest.mark.parametrize(
    "text",
    [
        pytest.param(BLOCK, id="block"),
        pytest.param(FLAT, id="not-indented"),
        pytest.param(FLOW, id="flow"),
        pytest.param(EMPTY, id="empty"),
        pytest.param(NONE, id="none"),
        pytest.param(SPANS, id="folded"),
    ],
)


@every_form
def test_a_rule_is_added_and_nothing_else(text: str) -> None:
    before, after = yaml.safe_load(text), yaml.safe_load(with_rule(text, RULE))
    (rule,) = yaml.safe_load(written(RULE))
    assert after == {**before, "rules": [rule, *before.get("rules", [])]}
    kept = [line for line in text.splitlines() if not line.startswith(("rules", "{"))]
    assert all(line.strip() in with_rule(text, RULE) for line in kept)


@pytest.mark.parametrize("rule", ["one", "two"])
@pytest.mark.parametrize("text", [BLOCK, FLAT, FLOW, SPANS], ids=["block", "flat", "flow", "spans"])
def test_a_condition_is_set_and_nothing_else(text: str, rule: str) -> None:
    condition = "args.a == 'it\\'s \"x\"' && !(b)"
    before, after = yaml.safe_load(text), yaml.safe_load(with_condition(text, rule, condition))
    for each in before["rules"]:
        if each["id"] == rule:
            each["when"] = condition
    assert after == before


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cf"]), max_size=40))
def test_whatever_a_condition_holds_it_stays_one_value(condition: str) -> None:
    after = yaml.safe_load(with_condition(BLOCK.replace("\x7f", ""), "one", condition))
    assert after["rules"][0]["when"] == condition


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        pytest.param(BLOCK, "three", id="no-such-rule"),
        pytest.param("x: [", "one", id="no-yaml"),
        pytest.param("rules: {one: 1}", "one", id="no-list"),
        pytest.param("", "one", id="nothing"),
        pytest.param("rules: [one]", "one", id="a-word"),
    ],
)
def test_what_is_not_there_is_not_changed(text: str, rule: str) -> None:
    with pytest.raises(NotAmendable, match=r"no rule|no YAML"):
        with_condition(text, rule, "x")


@pytest.mark.parametrize("text", ["x: [", "rules: {one: 1}"], ids=["no-yaml", "no-list"])
def test_nothing_is_added_to_what_is_no_policy(text: str) -> None:
    with pytest.raises(NotAmendable, match=r"no list|no YAML"):
        with_rule(text, RULE)

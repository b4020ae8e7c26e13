"""Amending: the text of a policy file with a rule added or a condition replaced.

Everything else stays byte for byte, comments too. Whoever uses it compiles what comes out: it is a
draft like any other.
"""

import json
from collections.abc import Sequence

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from policies.errors import NotAmendable

Lines = Sequence[tuple[str, str]]
"""A rule, key by key, each value as YAML."""


def with_rule(text: str, lines: Lines) -> str:
    """The text with one more rule, before the others. Raises NotAmendable."""
    rules = _member(_top(text), "rules")
    if rules is None:
        end = "" if text.endswith("\n") or not text else "\n"
        return f"{text}{end}rules:\n  {_block(lines, 2)}\n"
    if not isinstance(rules, SequenceNode):
        raise NotAmendable("the rules are no list")
    at, column = rules.start_mark.index, rules.start_mark.column
    if rules.flow_style:
        comma = ", " if rules.value else ""
        return f"{text[: at + 1]}{_flow(lines)}{comma}{text[at + 1 :]}"
    return f"{text[:at]}{_block(lines, column)}\n{' ' * column}{text[at:]}"


def with_condition(text: str, rule: str, condition: str) -> str:
    """The text in which that rule has this condition. Raises NotAmendable."""
    rules = _member(_top(text), "rules")
    items = rules.value if isinstance(rules, SequenceNode) else []
    found = next((each for each in items if _named(each) == rule), None)
    if not isinstance(found, MappingNode):
        raise NotAmendable(f"there is no rule {rule}")
    value, quoted = _member(found, "when"), json.dumps(condition, ensure_ascii=False)
    if value is not None:
        start, end = value.start_mark.index, value.end_mark.index
        line_end = "\n" if text[end - 1] == "\n" else ""  # of a text that spans lines
        return f"{text[:start]}{quoted}{line_end}{text[end:]}"
    at, column = found.start_mark.index, found.start_mark.column
    if found.flow_style:
        return f"{text[: at + 1]}when: {quoted}, {text[at + 1 :]}"
    return f"{text[:at]}when: {quoted}\n{' ' * column}{text[at:]}"


def written(lines: Lines) -> str:
    """A rule as it stands in a file, without what is around it."""
    return _block(lines, 0)


def _top(text: str) -> Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise NotAmendable("the text is no YAML") from error


def _member(node: Node | None, name: str) -> Node | None:
    pairs = node.value if isinstance(node, MappingNode) else []
    return next((value for key, value in pairs if key.value == name), None)


def _named(item: Node) -> str | None:
    found = _member(item, "id")
    return found.value if isinstance(found, ScalarNode) else None


def _block(lines: Lines, column: int) -> str:
    between = "\n" + " " * (column + 2)
    return "- " + between.join(f"{key}: {value}" for key, value in lines)


def _flow(lines: Lines) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in lines) + "}"

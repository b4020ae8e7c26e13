"""Freed: the values of one result that rules of the policy release from labels.

A rule names one member of the JSON that a tool answers with. What is released is the value that
stands there: a number, or a short text that is what it seems to be. Not released is what the call
itself had put in, which is the agent's; what carries the label for another reason, as something
that a labelled session wrote; and anything of an error.
"""

from collections.abc import Iterable, Iterator, Mapping

from audit import canonical
from audit.canonical import Json
from audit.errors import NotStrict
from audit.value import value_type
from gateway.values.normal_form import LONGEST_VALUE
from gateway.values.releases import is_releasable
from gateway.values.result_values import Scalar, scalars
from policies.decision import Facts
from policies.release import ReleaseRule

MOST = 4096
"""Values of one tree of sessions that may be released; rules release no further ones."""


@value_type
class Freed:
    """One value that a rule releases.

    rule    id of the release
    labels  that the value is free of
    """

    rule: str
    why: str
    value: Scalar
    labels: frozenset[str]


def freed(
    rules: Iterable[ReleaseRule],
    facts: Facts,
    result: Mapping[str, Json],
    carried: frozenset[str],
) -> Iterator[Freed]:
    """What of a CallToolResult is released.

    facts    of the call, with what the policy states of the tool
    carried  labels that the answer has beside those that its tool puts on
    """
    if result.get("isError") is True:
        return
    said = _said(result)
    for rule in rules:
        labels = rule.labels - carried
        value = _member(said, rule.part)
        if labels and value is not None and not _is_echo(value, facts.args) and rule.holds(facts):
            yield Freed(rule.id, rule.why, value, labels)


def _said(result: Mapping[str, Json]) -> Json:
    """The JSON of a result: structured content, or else its only text."""
    structured, content = result.get("structuredContent"), result.get("content")
    if structured is not None or not isinstance(content, list) or len(content) != 1:
        return structured
    text = content[0].get("text") if isinstance(content[0], dict) else None
    if not isinstance(text, str):
        return None
    try:
        return canonical.read(text.encode("utf-8", "surrogatepass"), max_bytes=len(text) * 4)
    except NotStrict:
        return None


def _member(said: Json, part: tuple[str, ...]) -> Scalar | None:
    """The value at a path of members; None where there is none that could be released."""
    for name in part:
        said = said.get(name) if isinstance(said, dict) else None
    if isinstance(said, bool) or not isinstance(said, str | int | float):
        return None
    if isinstance(said, str) and (len(said) > LONGEST_VALUE or not is_releasable(said)):
        return None
    return said


def _is_echo(value: Scalar, args: Mapping[str, Json]) -> bool:
    """Did the call itself say it, by itself or within a text?"""
    for each in scalars(dict(args)):
        if isinstance(each, str) and str(value).casefold() in each.casefold():
            return True
        if each == value:
            return True
    return False

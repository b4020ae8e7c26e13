"""Facts as conditions see them: which there are, and what kind of value each may have."""

from collections.abc import Mapping

from policies.decision import NOTHING_CARRIED, ORIGINS
from policies.register import RISKS, SINKS
from policies.shape import Kind, Shape, of_kind

_TEXT = of_kind(Kind.TEXT)
_NAMES = Shape(frozenset({Kind.LIST}), item=_TEXT)
_NAME_SET = Shape(frozenset({Kind.SET}), item=_TEXT)


def _one_of(*names: str) -> Shape:
    return Shape(frozenset({Kind.TEXT}), choices=frozenset(names))


FACTS: Mapping[str, Shape] = {
    "agent": _TEXT,
    "tool": _TEXT,
    "user": of_kind(Kind.TEXT, Kind.NULL),
    "chain": _NAMES,
    "labels": _NAME_SET,
    "secrets": _NAME_SET,
    "risk": _one_of(*RISKS),
    "sink": _one_of(*SINKS),
    "now": of_kind(Kind.MOMENT),
}
"""Facts that are one value."""

GROUPS: Mapping[str, Shape] = {
    "provenance": _one_of(*ORIGINS),
    "origin": _one_of(*ORIGINS),
    "totals": of_kind(Kind.NUMBER),
    "session": _TEXT,
}
"""Facts of which only members have a value, and what each member is."""

MEMBERS: Mapping[str, Mapping[str, Shape]] = {
    "session": {"purpose": _TEXT},
    "origin": {"target": _one_of(*ORIGINS), "carried": _one_of(*ORIGINS, NOTHING_CARRIED)},
}
"""The members of those groups of which all are known."""

SINGULAR: Mapping[str, str] = {
    "provenance": "argument",
    "totals": "total",
    "session": "fact",
    "origin": "fact",
}
"""What a member of each group is called in a remark."""

"""Differences: what one policy says otherwise than another, by name and by cell of the matrix.

A change of words alone (a comment, the order of files, a reason) is none in the matrix; a condition
that lets more pass shows as a changed rule, and only a replay (`policies.replay`) or a proof tells
what it lets pass.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from policies.clause import Clause
from policies.condition import Condition
from policies.finding import Position
from policies.matrix import Mark, marks
from policies.snapshot import Snapshot

Kind = Literal["added", "removed", "changed"]

MOST_CELLS = 20_000
"""Cells of the matrix that are compared; each takes some microseconds in either policy."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that stands in one of both alone, or otherwise in each.

    what  "rule", "guardrail", "agent", "tool", ...
    at    where it stands now, or stood; None: not known of this block
    """

    what: str
    name: str
    kind: Kind
    at: Position | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One tool for one agent, whose calls can come to something else.

    is_wider  some call may pass more easily than before
    """

    tool: str
    agent: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    is_wider: bool


def changes(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """Everything with a name that differs: rules and guardrails first, then the register."""
    yield from _clauses(before.clauses, after.clauses)
    for what, block in _BLOCKS.items():
        for name, kind in _compared(block(before), block(after)):
            yield Change(what, name, kind)


def cells(before: Snapshot, after: Snapshot, *, user: str | None, now: int) -> Iterator[Cell]:
    """The cells of the matrix that differ, of at most MOST_CELLS that are looked at, by tool.

    user, now  as for `policies.matrix`
    """
    left = MOST_CELLS
    for tool in sorted({*before.tools, *after.tools}):
        for agent in sorted({*before.agents, *after.agents}):
            if not left:
                return
            left -= 1
            old, new = (
                tuple(marks(each, agent, tool, user=user, now=now)) for each in (before, after)
            )
            found = Cell(tool, agent, _texts(old), _texts(new), _width(new) > _width(old))
            if found.before != found.after:
                yield found


def _clauses(before: Mapping[str, Clause], after: Mapping[str, Clause]) -> Iterator[Change]:
    old, new = ({name: _meaning(each) for name, each in all_.items()} for all_ in (before, after))
    for name, kind in _compared(old, new):
        clause = after.get(name) or before[name]
        yield Change("guardrail" if clause.is_guardrail else "rule", name, kind, clause.at)


def _meaning(clause: Clause) -> object:
    """What a clause says, wherever it stands."""
    return replace(clause, at=_NOWHERE, condition=None, test=None), _text(clause.condition)


def _text(condition: Condition | None) -> str | None:
    return None if condition is None else condition.text


_NOWHERE = Position("", 1, 1)


def _compared(
    before: Mapping[str, object], after: Mapping[str, object]
) -> Iterator[tuple[str, Kind]]:
    for name in sorted({*before, *after}):
        if name not in before:
            yield name, "added"
        elif name not in after:
            yield name, "removed"
        elif before[name] != after[name]:
            yield name, "changed"


def _edges(snapshot: Snapshot) -> Mapping[str, object]:
    delegation = snapshot.delegation
    return {
        "hops": delegation.max_hops,
        "children": delegation.max_children,
        **{
            f"{origin} to {to}": (tools, delegation.by_consent.get((origin, to)))
            for (origin, to), tools in delegation.edges.items()
        },
    }


def _releases(snapshot: Snapshot) -> Mapping[str, object]:
    return {
        rule.id: (tool, rule.part, rule.labels, _text(rule.condition))
        for tool, rules in snapshot.releases.items()
        for rule in rules
    }


_BLOCKS: Mapping[str, Callable[[Snapshot], Mapping[str, object]]] = {
    "agent": lambda snapshot: snapshot.agents,
    "user list": lambda s: {"default": s.users.default, **{u.name: u for u in s.users.lists}},
    "group": lambda snapshot: snapshot.groups,
    "tool": lambda snapshot: snapshot.tools,
    "approval": lambda snapshot: snapshot.approvals,
    "limit": lambda snapshot: snapshot.limits,
    "budget": lambda snapshot: snapshot.budgets,
    "space": lambda snapshot: snapshot.spaces,
    "front end": lambda snapshot: snapshot.front_ends,
    "trigger": lambda snapshot: snapshot.triggers,
    "release": _releases,
    "delegation": _edges,
}


def _texts(found: tuple[Mark, ...]) -> tuple[str, ...]:
    return tuple(map(str, found))


def _width(found: tuple[Mark, ...]) -> tuple[int, int]:
    """How much can pass: by the mildest mark, then by how little stands before it."""
    if not found or found[-1].effect == "deny":
        return 0, 0
    mildest = found[-1]
    return _MILD[mildest.effect] - mildest.conditional, -len(found)


_MILD: Mapping[str, int] = {"ask": 2, "allow": 4}

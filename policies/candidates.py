"""Candidates: the rows of a policy that concern one agent and one tool, found without a search.

A row is what Casbin decides on: whom a clause names, by which pattern of tools, with what effect.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from sys import intern
from types import MappingProxyType
from typing import TypeAlias

from policies.clause import Clause
from policies.notation import ANY, tool_matches

Row: TypeAlias = Sequence[str]
"""One line of Casbin's policy: subject, tool pattern, clause, effect."""

Candidate: TypeAlias = tuple[Row, Clause]
"""A row and the clause it stands for."""

# Casbin takes `abstain` for neither.
_EFFECTS: Mapping[tuple[bool, str], str] = MappingProxyType(
    {
        (False, "allow"): "allow",
        (False, "ask"): "allow",
        (False, "deny"): "deny",
        (True, "ask"): "abstain",
        (True, "deny"): "deny",
    }
)


def subjects_of(agent: str, roles: Iterable[str]) -> tuple[str, ...]:
    """How rows name an agent: itself first, then its roles, then everyone."""
    return (intern(f"agent:{agent}"), *(intern(f"role:{role}") for role in roles), ANY)


def rows_of(clause: Clause) -> Iterator[Row]:
    """The rows that a clause stands for: one for each subject and pattern."""
    effect = _EFFECTS[clause.is_guardrail, clause.effect]
    for subject in map(intern, clause.subjects):
        for pattern in map(intern, clause.tools):
            yield (subject, pattern, clause.id, effect)


class Index:
    """The rows of each known tool by subject; what holds for many tools is shared by them."""

    def __init__(self, clauses: Iterable[Clause], tools: Iterable[str]) -> None:
        known = tuple(tools)
        rows: dict[str, dict[str, list[Candidate]]] = {}
        for clause in clauses:
            for row in rows_of(clause):
                for key in _keys(row[1], known):
                    rows.setdefault(key, {}).setdefault(row[0], []).append((row, clause))
        keys = {tool: (tool, _server(tool), ANY) for tool in known}
        self._by_tool = {
            tool: tuple(rows[key] for key in keys[tool] if key in rows) for tool in known
        }

    def candidates(self, subjects: Sequence[str], tool: str) -> tuple[list[Row], dict[str, Clause]]:
        """What concerns these subjects and this tool: one row for each clause, refusals first."""
        rows: list[Row] = []
        clauses: dict[str, Clause] = {}
        for by_subject in self._by_tool[tool]:
            for subject in subjects:
                for row, clause in by_subject.get(subject, ()):
                    if clause.id not in clauses:
                        clauses[clause.id] = clause
                        rows.insert(0 if row[3] == "deny" else len(rows), row)
        return rows, clauses


def _keys(pattern: str, tools: Sequence[str]) -> Iterable[str]:
    """Where a row with this pattern is kept: patterns by prefix under each tool they cover."""
    if not pattern.endswith(ANY) or pattern == ANY or pattern == _server(pattern):
        return (pattern,)
    return (tool for tool in tools if tool_matches(pattern, tool))


def _server(tool: str) -> str:
    return tool[: tool.index(".") + 1] + ANY

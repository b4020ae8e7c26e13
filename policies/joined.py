"""A set of policy files seen as one: what lint asks of it.

Names are unique across the set and resolved (`policies.references`), so the blocks simply add up;
every statement keeps the place it was written at.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from policies.decision import Effect
from policies.document import Guardrail, PolicyDocument, Release, Rule
from policies.finding import Position
from policies.notation import ANY
from policies.reach import reached
from policies.register import RISKS, UNDECLARED_LABELS, Agent, Group, Risk, Space, Tool
from policies.source import Path, Source
from policies.terms import Approval, Budget, Limit
from policies.trigger import Trigger

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Placed:
    """A guardrail or a rule, and where it stands."""

    said: Guardrail | Rule
    source: Source
    path: Path

    @property
    def effect(self) -> Effect:
        """What it does when it matches."""
        return self.said.effect

    def at(self, *field: str | int, offset: int = 0) -> Position:
        """Where one of its members stands."""
        return self.source.at(*self.path, *field, offset=offset)


@dataclass(frozen=True)
class Joined:
    """The blocks of all files together; each value with the source it was read from."""

    documents: tuple[PolicyDocument, ...]

    @cached_property
    def agents(self) -> Mapping[str, Agent]:
        """By name."""
        return self._block("agents", Agent)

    @cached_property
    def tools(self) -> Mapping[str, Tool]:
        """By `server.tool`."""
        return self._block("tools", Tool)

    @cached_property
    def groups(self) -> Mapping[str, Group]:
        """By name."""
        return self._block("groups", Group)

    @cached_property
    def approvals(self) -> Mapping[str, Approval]:
        """By name."""
        return self._block("approvals", Approval)

    @cached_property
    def limits(self) -> Mapping[str, Limit]:
        """By name."""
        return self._block("limits", Limit)

    @cached_property
    def budgets(self) -> Mapping[str, Budget]:
        """By name."""
        return self._block("budgets", Budget)

    @cached_property
    def spaces(self) -> Mapping[str, Space]:
        """By name."""
        return self._block("spaces", Space)

    @cached_property
    def triggers(self) -> Mapping[str, Trigger]:
        """By name."""
        return self._block("triggers", Trigger)

    def users_of(self, space: Space) -> frozenset[str]:
        """The agents that a space is for."""
        return frozenset(space.agents).union(*(self._holders.get(r, ()) for r in space.roles))

    @cached_property
    def statements(self) -> tuple[Placed, ...]:
        """Guardrails and rules of all files."""
        return tuple(
            Placed(said, document.source, (block, index))
            for document in self.documents
            for block in ("guardrails", "rules")
            for index, said in enumerate(getattr(document.policy, block))
        )

    @cached_property
    def grants(self) -> tuple[Placed, ...]:
        """The rules that allow or ask."""
        return tuple(
            each
            for each in self.statements
            if isinstance(each.said, Rule) and each.effect != "deny"
        )

    @cached_property
    def releases(self) -> tuple[tuple[Release, Position], ...]:
        """Releases of all files, and where they stand."""
        return tuple(
            (said, document.source.at("releases", index))
            for document in self.documents
            for index, said in enumerate(document.policy.releases)
        )

    @cached_property
    def labels(self) -> frozenset[str]:
        """Every label that the result of some tool may put on a session."""
        return UNDECLARED_LABELS.union(*(tool.labels for tool in self.tools.values()))

    def tools_of(self, patterns: Sequence[str]) -> frozenset[str]:
        """The listed tools that the patterns cover."""
        return frozenset(reached(patterns, (), self._risks))

    def tools_reached(self, statement: Guardrail | Rule) -> frozenset[str]:
        """The listed tools that a guardrail or rule concerns."""
        return frozenset(reached(statement.tools, statement.risk, self._risks))

    def agents_of(self, statement: Guardrail | Rule) -> frozenset[str]:
        """The agents that a guardrail or rule concerns."""
        if statement.roles:
            return frozenset().union(*(self._holders.get(role, ()) for role in statement.roles))
        subjects = frozenset(statement.subjects)
        return frozenset(self.agents) if subjects == {ANY} else subjects

    @cached_property
    def _holders(self) -> Mapping[str, set[str]]:
        holders: dict[str, set[str]] = {}
        for name, agent in self.agents.items():
            for role in agent.roles:
                holders.setdefault(role, set()).add(name)
        return holders

    @cached_property
    def _risks(self) -> Mapping[str, Risk]:
        return {name: tool.risk for name, tool in self.tools.items()}

    def pairs(self, statement: Guardrail | Rule) -> frozenset[tuple[str, str]]:
        """(agent, tool) that it can concern, as far as the agent may take that risk at all."""
        tools = self.tools_reached(statement)
        return frozenset(
            (agent, tool)
            for agent in self.agents_of(statement)
            for tool in tools
            if _rank(self.tools[tool].risk) <= _rank(self.agents[agent].max_risk)
        )

    def position(self, block: str, name: str, *field: str) -> Position:
        """Where an entry of a named block stands, whichever file it is in."""
        for document in self.documents:
            if name in getattr(document.policy, block):
                if field:
                    return document.source.at(block, name, *field)
                return document.source.at_key(block, name)
        raise KeyError(name)

    def _block(self, block: str, kind: type[T]) -> dict[str, T]:
        return dict(self._entries(block, kind))

    def _entries(self, block: str, kind: type[T]) -> Iterator[tuple[str, T]]:
        for document in self.documents:
            for name, value in getattr(document.policy, block).items():
                assert isinstance(value, kind)
                yield name, value


def _rank(risk: Risk) -> int:
    return RISKS.index(risk)

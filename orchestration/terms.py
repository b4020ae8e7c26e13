"""Terms: all contracts that one piece of work is under, as one.

A contract can stand in another one, and what a manager states with a task stands around what the
flow states of its worker: then all of them hold, so none can give more than another one does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Self

from gateway.errors import NotUnderstood
from gateway.links.jsonrpc import read
from gateway.notation import milliseconds
from gateway.runs.run import Json
from orchestration.conditions import holds
from orchestration.flow import nodes
from orchestration.lease import Lease
from orchestration.parts import Agent, Approve, Part, Prompt, Tool
from orchestration.shape import objection
from orchestration.spec import Contract, Guard, Magentic

MOST_TEXT = 1 << 20
"""Longest text that is looked at for the JSON that a model was to give, in bytes."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A piece of work, and the contracts around it, the outermost first."""

    work: Part
    contracts: tuple[Contract, ...]

    @classmethod
    def of(cls, contract: Contract) -> Self:
        """A contract with all that stand directly in it."""
        found: list[Contract] = []
        work: Part = contract
        while isinstance(work, Contract):
            found.append(work)
            work = work.of
        return cls(work, tuple(found))

    @property
    def tools(self) -> frozenset[str] | None:
        """The tools that all of them allow; None: none of them says anything of tools."""
        stated = [frozenset(each.tools) for each in self.contracts if each.tools is not None]
        return reduce(frozenset.intersection, stated) if stated else None

    @property
    def wall_s(self) -> int | None:
        """The shortest time, in seconds."""
        stated = [each.wall for each in self.contracts if each.wall is not None]
        return min(milliseconds(wall) // 1000 for wall in stated) if stated else None

    @property
    def checks(self) -> tuple[Part, ...]:
        """Whoever looks at what comes of it."""
        return tuple(check for each in self.contracts for check in each.checks)

    @property
    def refer_above(self) -> int:
        """Bytes from which on results are referred to."""
        return min(each.refer_above for each in self.contracts)

    def lease(self, left: Lease) -> Lease:
        """What it may use at most, taken from what is left."""
        calls, tokens, cost = map(self._least, ("calls", "tokens", "cost"))
        return left.part(calls=calls, tokens=tokens, cost=cost)

    def _least(self, name: str) -> int | None:
        stated = [getattr(each, name) for each in self.contracts]
        return min((most for most in stated if most is not None), default=None)

    def fitting(self, result: Json) -> tuple[Json, str | None]:
        """What comes of it as it counts, and what the contracts have against it; None: nothing.

        Where no text fits, one that is JSON counts as what it says: models give nothing else.
        """
        found = self._objection(result)
        if found is not None and isinstance(result, str):
            said = _said(result)
            if not isinstance(said, str) and self._objection(said) is None:
                return said, None
        return result, found

    def _objection(self, result: Json) -> str | None:
        for contract in self.contracts:
            found = None if contract.result is None else objection(contract.result, result)
            if found is not None:
                return found
            if contract.accept is not None and not holds(contract.accept, result):
                return f"it does not meet {contract.accept}"
        return None

    def to_json(self) -> dict[str, Json]:
        """What whoever does it is told of it."""
        goals = [each.goal for each in self.contracts if each.goal is not None]
        shapes: list[Json] = [each.result for each in self.contracts if each.result is not None]
        told: dict[str, Json | None] = {
            "goal": "\n".join(goals) or None,
            "result": shapes[0] if len(shapes) == 1 else {"allOf": shapes} if shapes else None,
            "tools": None if self.tools is None else list[Json](sorted(self.tools)),
            "calls": self._least("calls"),
            "tokens": self._least("tokens"),
            "cost": self._least("cost"),
            "wall_s": self.wall_s,
        }
        return {name: value for name, value in told.items() if value is not None}


def asked(node: Part) -> Iterator[str]:
    """Who is asked at a node itself, as the policy knows them."""
    if isinstance(node, Approve):
        yield node.by
    elif isinstance(node, Magentic) and node.review is not None:
        yield node.review
    elif isinstance(node, Guard) and node.override is not None:
        yield node.override


def needed(node: Part, inside: Mapping[str, Part]) -> frozenset[str]:
    """What the gate has to let pass for a node to be done at all, whatever tools it may use.

    These are the agents that are in it, whom it asks, and what its agents are made of.

    inside  what agents do that have steps of their own
    """
    found: set[str] = set()
    waiting = [node]
    while waiting:
        for each in nodes(waiting.pop()):
            found |= {f"approvals.{by}" for by in asked(each)}
            if isinstance(each, Prompt):
                found.add(f"model.{each.model}")
            if not isinstance(each, Agent) or f"agents.{each.name}" in found:
                continue
            found.add(f"agents.{each.name}")
            body = inside.get(each.name)
            if isinstance(body, Tool):  # it is this tool, and nothing else
                found.add(body.name)
            elif body is not None:
                waiting.append(body)
    return frozenset(found)


def guarding(guards: tuple[Guard, ...], inside: Mapping[str, Part]) -> frozenset[str]:
    """The same for the checks that every tool has to pass."""
    checks = [check for guard in guards for check in guard.tools]
    tools = {node.name for check in checks for node in nodes(check) if isinstance(node, Tool)}
    people = {f"approvals.{by}" for guard in guards for by in asked(guard)}
    return frozenset(tools | people).union(*(needed(check, inside) for check in checks))


def _said(text: str) -> Json:
    """The value that a text is the JSON of; the text itself where it is none."""
    try:
        return read(text.encode(), max_bytes=MOST_TEXT)
    except NotUnderstood:
        return text

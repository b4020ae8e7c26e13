"""Review: what a careful reader of a flow and its policy together would ask about.

A flow can do nothing that the policy does not let its agent do; here that is found out before it is
started, with what it would run into, and with what nobody would be asked about.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from orchestration.flow import Flow, nodes
from orchestration.parts import Agent, Part, Tool
from orchestration.spec import Contract, Fan
from orchestration.terms import Bound, asked
from policies.decision import Effect
from policies.finding import Finding, Position, Severity
from policies.matrix import marks
from policies.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A flow, and the file that it stands in."""

    file: str
    flow: Flow


def review(flows: Iterable[Reviewed], snapshot: Snapshot, *, now: int) -> tuple[Finding, ...]:
    """Everything that is to be said of these flows under this policy.

    now  microseconds since 1970; rules that have ended count for nothing
    """
    every = tuple(flows)
    named = {each.flow.name: each for each in every}
    return tuple(
        found for each in every for found in _Review(each, snapshot, named, now).findings()
    )


@dataclass(frozen=True, slots=True)
class _Review:
    reviewed: Reviewed
    snapshot: Snapshot
    flows: Mapping[str, Reviewed]
    now: int

    def findings(self) -> Iterator[Finding]:
        name = self.reviewed.flow.name
        if name not in self.snapshot.agents:
            yield self._finding("flow.agent", f"no policy names the agent {name!r} that it acts as")
            return
        reached = {tool: node for node in nodes(self.reviewed.flow.flow) for tool in _reached(node)}
        for tool, node in sorted(reached.items()):
            yield from self._of_tool(tool, node)
        yield from self._of_races()
        yield from self._of_contracts()
        if self.reviewed.flow.on_failure == "undo":
            yield from self._of_undoing(self.reviewed.flow, set())

    def _of_tool(self, tool: str, node: Part) -> Iterator[Finding]:
        if tool not in self.snapshot.tools:
            yield self._finding("flow.unknown-tool", f"no policy states the tool {tool!r}")
            return
        effects = self._effects(tool)
        if not effects - {"deny"}:
            yield self._finding("flow.denied", f"no rule lets it use {tool}")
        elif isinstance(node, Agent):
            yield from self._of_agent(node)
        elif isinstance(node, Tool):
            yield from self._of_effect(tool, effects)
        elif "allow" in effects:
            message = f"a rule lets {tool} pass without asking anybody: the run would stop there"
            yield self._finding("flow.not-asked", message)

    def _of_agent(self, node: Agent) -> Iterator[Finding]:
        """An agent that acts in its own name is handed the work: that takes an edge."""
        edge = self.reviewed.flow.name, node.name
        if node.name in self.flows and edge not in self.snapshot.delegation.edges:
            message = f"no delegation edge leads from {edge[0]!r} to {edge[1]!r}"
            yield self._finding("flow.edge", message)

    def _of_effect(self, tool: str, effects: frozenset[Effect]) -> Iterator[Finding]:
        rule = self.snapshot.tools[tool]
        if rule.risk == "irreversible" and "ask" not in effects and rule.undo is None:
            message = f"{tool} is irreversible, has no undo, and no rule asks anybody about it"
            yield self._finding("flow.final", message, severity="warning")

    def _of_races(self) -> Iterator[Finding]:
        """What a branch did before it lost its race stays done."""
        races = [node for node in nodes(self.reviewed.flow.flow) if _is_race(node)]
        every = {tool for race in races for node in nodes(race) for tool in _reached(node)}
        for tool in sorted(every & self.snapshot.tools.keys()):
            if self.snapshot.tools[tool].risk == "irreversible":
                message = f"{tool} is irreversible, and a branch that loses a race may have used it"
                yield self._finding("flow.race", message, severity="warning")

    def _of_contracts(self) -> Iterator[Finding]:
        """A contract lends no more than there is."""
        every = nodes(self.reviewed.flow.flow)
        bounds = [Bound.of(node) for node in every if isinstance(node, Contract)]
        for tool in sorted({tool for bound in bounds for tool in bound.tools or ()}):
            if tool not in self.snapshot.tools:
                message = f"a contract lends {tool}, and no policy states that tool"
                yield self._finding("flow.contract", message)
        for tool in sorted({tool for bound in bounds for tool in _not_lent(bound)}):
            message = f"{tool} is used within a contract that does not lend it"
            yield self._finding("flow.contract", message)
        yield from self._of_what_is_given_back(bounds)

    def _of_what_is_given_back(self, bounds: Iterable[Bound]) -> Iterator[Finding]:
        """The work of a contract may be done a second time."""
        again = {tool for bound in bounds for tool in _done_again(bound)}
        for tool in sorted(again & self.snapshot.tools.keys()):
            if self.snapshot.tools[tool].risk == "irreversible":
                message = f"{tool} is irreversible, and is used again where a result does not fit"
                yield self._finding("flow.again", message, severity="warning")

    def _of_undoing(self, flow: Flow, seen: set[str]) -> Iterator[Finding]:
        """Where a failed run waits for a person, though it is to be taken back by itself.

        flow  the one that is reviewed, or one that it hands work on to, whose agent acts there
        seen  those that were looked at
        """
        seen.add(flow.name)
        every = tuple(nodes(flow.flow))
        handed = {n.name for n in every if isinstance(n, Agent) and self._is_handed_on(flow, n)}
        for name in sorted(handed & self.flows.keys() & self.snapshot.agents.keys() - seen):
            yield from self._of_undoing(self.flows[name].flow, seen)
        reached = {tool for node in every for tool in _reached(node)}
        for tool in sorted(reached - {f"agents.{name}" for name in handed}):
            why = self._not_undone(flow.name, tool)
            if why is not None:
                message = f"what {tool} did waits for a person when the run fails: {why}"
                yield self._finding("flow.undo", message, severity="warning")

    def _is_handed_on(self, flow: Flow, node: Agent) -> bool:
        return node.name in self.flows or (flow.name, node.name) in self.snapshot.delegation.edges

    def _not_undone(self, agent: str, tool: str) -> str | None:
        """Why nothing takes a call of this tool back; None: something does, or nothing need."""
        rule = self.snapshot.tools.get(tool)
        if rule is None or rule.risk == "read" or tool.startswith("approvals."):
            return None
        if rule.undo is None:
            return "no undo is stated"
        known = rule.undo.tool in self.snapshot.tools
        if not known or not self._effects(rule.undo.tool, agent) - {"deny"}:
            return f"no rule lets {agent} use {rule.undo.tool}"
        return None

    def _effects(self, tool: str, agent: str | None = None) -> frozenset[Effect]:
        name = agent or self.reviewed.flow.name
        found = marks(self.snapshot, name, tool, user=None, now=self.now)
        return frozenset(mark.effect for mark in found)

    def _finding(self, code: str, message: str, *, severity: Severity = "error") -> Finding:
        at = Position(self.reviewed.file, 1, 1)
        return Finding(code, f"flow {self.reviewed.flow.name}: {message}", at, severity=severity)


def _is_race(node: Part) -> bool:
    return isinstance(node, Fan) and node.until != "all"


def _not_lent(bound: Bound) -> Iterator[str]:
    """The tools that a flow uses where a contract does not let it."""
    if bound.tools is not None:
        every = {node.name for node in nodes(bound.work) if isinstance(node, Tool)}
        yield from every - bound.tools


def _done_again(bound: Bound) -> Iterator[str]:
    """The tools of work that is given back where what comes of it does not fit."""
    if not isinstance(bound.work, Tool):
        yield from (node.name for node in nodes(bound.work) if isinstance(node, Tool))


def _reached(node: Part) -> Iterator[str]:
    """The tools that a node is to the gate."""
    if isinstance(node, Agent):
        yield f"agents.{node.name}"
    elif isinstance(node, Tool):
        yield node.name
    yield from (f"approvals.{by}" for by in asked(node))

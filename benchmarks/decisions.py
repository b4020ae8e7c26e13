"""Decisions: how long one takes, that the number of rules does not count, and that it is right.

Worlds of 10, 1,000 and 100,000 rules, 60 % of them with a condition, are asked the same kind of
questions: calls that one to three rules concern. The engine's memo of (agent, tool) is off, so each
decision finds its rules anew. Every answer is compared with one computed in plain Python from the
rules as data. Beside it, in the same run: stock Casbin over all rows of the 1,000 rules.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median, quantiles

import casbin

from benchmarks.table import add_options, finish
from policies.compile import compile_snapshot
from policies.decision import Effect, Facts
from policies.document import Policy, PolicyDocument
from policies.engine import MODEL
from policies.kernel import decide
from policies.match import Trace
from policies.snapshot import Snapshot
from policies.source import Source

AGENTS, TOOLS_OF_A_SERVER, REQUESTS, PASSES = 200, 10, 400, 5
_FILE = 500  # rules in one document


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as data. condition  ("", ...), ("below", bound), ("under", root), ("label", name)"""

    id: str
    role: str
    tool: str
    effect: Effect
    condition: tuple[str, str | int]

    def statement(self) -> dict[str, object]:
        """As a policy file states it."""
        kind, value = self.condition
        text = {
            "below": f"args.amount <= {value}",
            "under": f"under(args.path, '{value}')",
            "label": f"'{value}' in labels",
        }.get(kind)
        stated: dict[str, object] = {
            "id": self.id,
            "roles": [self.role],
            "tools": [self.tool],
            "effect": self.effect,
        }
        return stated | ({"when": text} if text else {}) | self._approval()

    def _approval(self) -> dict[str, object]:
        return {"approval": "one"} if self.effect == "ask" else {}

    def holds(self, facts: Facts) -> bool:
        """What the rule means, in plain Python."""
        kind, value = self.condition
        amount, path = facts.args["amount"], facts.args["path"]
        assert isinstance(amount, int)
        assert isinstance(path, str)
        return {
            "": True,
            "below": kind == "below" and amount <= int(value),
            "under": path.startswith(f"{value}/"),
            "label": value in facts.labels,
        }[kind]


@dataclass(frozen=True, slots=True)
class World:
    """Rules, who has which roles, and what is asked."""

    rules: Sequence[Rule]
    roles: Mapping[str, Sequence[str]]
    tools: Sequence[str]

    @classmethod
    def of(cls, size: int, chance: random.Random) -> "World":
        """So many rules; their roles and tools grow with them."""
        roles = [f"r{number}" for number in range(max(4, min(AGENTS * 3, size // 20)))]
        servers = range(max(1, min(200, size // 25)))
        of_each = min(TOOLS_OF_A_SERVER, size // 2)
        tools = [f"s{one}.t{two}" for one in servers for two in range(of_each)]
        rules = [_rule(f"rule-{number}", roles, tools, chance) for number in range(size)]
        held = {
            f"a{n}": [roles[(3 * n + step) % len(roles)] for step in range(3)]
            for n in range(AGENTS)
        }
        return cls(rules, held, tools)

    @classmethod
    def crowded(cls, candidates: int, chance: random.Random) -> "World":
        """One tool, and so many rules with a condition each that concern it."""
        rules = [
            Rule(f"rule-{number}", "r0", "s0.t0", "allow", ("below", 100 + number))
            for number in range(candidates)
        ]
        chance.shuffle(rules)
        return cls(rules, {"a0": ["r0"]}, ["s0.t0"])

    def snapshot(self) -> Snapshot:
        """Through the models of the file format, as many files; the YAML is left out."""
        parts = range(0, len(self.rules), _FILE)
        documents = [self._document(start, is_first=not start) for start in parts]
        return compile_snapshot(documents, None, memo=0)

    def _document(self, start: int, *, is_first: bool) -> PolicyDocument:
        content: dict[str, object] = {
            "apiVersion": "passavant/v1",
            "kind": "Policy",
            "name": f"part-{start}",
            "default": "deny",
            "rules": [rule.statement() for rule in self.rules[start : start + _FILE]],
        }
        if is_first:
            content |= {
                "users": {"default": "unrestricted"},
                "agents": {agent: {"roles": roles} for agent, roles in self.roles.items()},
                "groups": {"people": {"members": ["ana"]}},
                "approvals": {"one": {"from": "people", "quorum": 1, "expires": "30m"}},
                "tools": {tool: {"risk": "read"} for tool in self.tools},
            }
        source = Source(f"part-{start}", json.dumps(content).encode(), content, {})
        return PolicyDocument(Policy.model_validate(content), source)

    def requests(self, snapshot: Snapshot, chance: random.Random, candidates: range) -> list[Facts]:
        """Calls that so many rules concern, the same number of calls for each of `candidates`."""
        found: list[Facts] = []
        for wanted in candidates:
            enough = len(found) + REQUESTS // len(candidates)
            while len(found) < enough:
                facts = self._request(chance)
                if len(snapshot.engine.candidates(facts.agent, facts.tool)) == wanted:
                    found.append(facts)
        chance.shuffle(found)
        return found

    def _request(self, chance: random.Random) -> Facts:
        path = chance.choice(["/workspace/x", "/data/x/y", "/etc/passwd"])
        return Facts(
            agent=chance.choice([*self.roles]),
            tool=chance.choice(self.tools),
            args={"amount": chance.choice([10, 75, 300, 900]), "path": path},
            user="ana",
            labels=frozenset({"web"} if chance.random() < 0.3 else ()),
        )

    def oracle(self) -> Callable[[Facts], Effect]:
        """The right answers, found by role and tool, without index, Casbin or conditions."""
        by_role: dict[str, list[Rule]] = {}
        for rule in self.rules:
            by_role.setdefault(rule.role, []).append(rule)

        def answer(facts: Facts) -> Effect:
            own = [rule for role in self.roles[facts.agent] for rule in by_role.get(role, ())]
            server = facts.tool.split(".")[0] + ".*"
            effects = {
                rule.effect
                for rule in own
                if rule.tool in {facts.tool, server} and rule.holds(facts)
            }
            known: tuple[Effect, ...] = ("deny", "ask", "allow")
            return next((effect for effect in known if effect in effects), "deny")

        return answer


def _rule(name: str, roles: Sequence[str], tools: Sequence[str], chance: random.Random) -> Rule:
    tool = chance.choice(tools)
    effects: list[Effect] = ["allow", "ask", "deny"]
    conditions: list[tuple[str, str | int]] = [
        ("", ""),
        ("below", chance.choice([50, 100, 500])),
        ("under", chance.choice(["/workspace", "/data/x"])),
        ("label", "web"),
    ]
    return Rule(
        name,
        chance.choice(roles),
        tool if chance.random() < 0.9 else tool.split(".")[0] + ".*",
        chance.choices(effects, [0.8, 0.12, 0.08])[0],
        chance.choices(conditions, [0.4, 0.25, 0.2, 0.15])[0],
    )


@dataclass
class Cell:
    """One line of the table: a way to decide, and the calls it is asked about."""

    name: str
    ask: Callable[[Facts], object]
    requests: list[Facts]
    samples: list[tuple[float, float]]

    def measure(self) -> None:
        """One round: the median and the 99th percentile, in microseconds.

        The calls are made once before: what the cell before has left in the caches is not measured.
        """
        for facts in self.requests:
            self.ask(facts)
        times = []
        for facts in self.requests * PASSES:
            before = time.perf_counter_ns()
            self.ask(facts)
            times.append((time.perf_counter_ns() - before) / 1_000)
        self.samples.append((median(times), quantiles(times, n=100)[98]))

    @property
    def p50(self) -> float:
        """Of the quietest round: others on the machine slow a round down, nothing speeds it up."""
        return min(p50 for p50, _ in self.samples)

    @property
    def p99(self) -> float:
        """Of the quietest round."""
        return min(p99 for _, p99 in self.samples)


def stock(world: World, snapshot: Snapshot) -> Callable[[Facts], object]:
    """Casbin as it comes: its own evaluator and roles, over every row, with our functions."""
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=MODEL))
    for name in ("fits", "when"):
        enforcer.add_function(name, snapshot.engine.functions()[name])
    enforcer.add_policies([list(row) for row in snapshot.engine.rows()])
    for agent, roles in world.roles.items():
        for role in (*(f"role:{role}" for role in roles), "*"):
            enforcer.add_grouping_policy(f"agent:{agent}", role)

    def ask(facts: Facts) -> object:
        trace = Trace(facts, snapshot.clauses)
        return enforcer.enforce_ex(f"agent:{facts.agent}", facts.tool, trace)

    return ask


def prepare(sizes: Sequence[int]) -> tuple[list[Cell], int]:
    """The cells, and how many answers were not the oracle's."""
    cells: list[Cell] = []
    wrong = 0
    for size in sizes:
        chance = random.Random(size)  # noqa: S311 - the same world in every run
        world = World.of(size, chance)
        before = time.perf_counter()
        snapshot = world.snapshot()
        print(f"{size:>7,} rules loaded in {time.perf_counter() - before:.1f} s", file=sys.stderr)
        requests = world.requests(snapshot, chance, range(1, 4))
        cells.append(_cell(f"{size:,} rules, 1-3 candidates", snapshot, requests))
        wrong += _wrong(world, snapshot, requests)
        if size == 1_000:
            cells.append(
                Cell("stock Casbin, 1,000 rules", stock(world, snapshot), requests[:12], [])
            )
    chance = random.Random(20)  # noqa: S311 - the same world in every run
    world = World.crowded(20, chance)
    snapshot = world.snapshot()
    requests = world.requests(snapshot, chance, range(20, 21))
    cells.append(_cell("20 candidates", snapshot, requests))
    return cells, wrong + _wrong(world, snapshot, requests)


def _cell(name: str, snapshot: Snapshot, requests: list[Facts]) -> Cell:
    return Cell(name, partial(decide, snapshot), requests, [])


def _wrong(world: World, snapshot: Snapshot, requests: Sequence[Facts]) -> int:
    oracle = world.oracle()
    return sum(decide(snapshot, facts).effect != oracle(facts) for facts in requests)


def run(*, rounds: int) -> dict[str, float]:
    """Measure everything, print the table, answer the rows."""
    cells, wrong = prepare([10, 1_000, 100_000])
    for _ in range(rounds):
        for cell in cells:
            cell.measure()
    by_name = {cell.name: cell for cell in cells}
    print(f"{'':34} {'p50 us':>10} {'p99 us':>10}")
    for cell in cells:
        print(f"{cell.name:34} {cell.p50:>10.1f} {cell.p99:>10.1f}")
    few, many = by_name["10 rules, 1-3 candidates"], by_name["100,000 rules, 1-3 candidates"]
    middle = by_name["1,000 rules, 1-3 candidates"]
    return {
        "decision, 1-3 candidate rules: p50": max(few.p50, middle.p50, many.p50),
        "decision, 20 candidate rules: p50": by_name["20 candidates"].p50,
        "p50 at 100,000 rules by p50 at 10": many.p50 / few.p50,
        "answers unlike the oracle's": wrong,
        "stock Casbin by ours, 1,000 rules: p50": by_name["stock Casbin, 1,000 rules"].p50
        / middle.p50,
    }


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    options = parser.parse_args()
    rows = run(rounds=5 if options.quick else 25)
    return finish("policy", rows, options, void=())

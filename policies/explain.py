"""Explaining: why a decision is what it is, clause by clause and part by part, with the values.

A second, slow look, made on demand: the kernel stops at the first refusal, this does not. The
values of arguments stand in it, so it is for those who may read them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

from policies.clause import Clause
from policies.condition import Condition, Node, paths
from policies.condition_eval import Test, build
from policies.condition_facts import reader
from policies.decision import Decision, Effect, Facts
from policies.errors import ConditionFailed
from policies.history import Question, questions
from policies.kernel import decide, refusal
from policies.notation import ANY
from policies.snapshot import Snapshot, covers

Truth = Literal["true", "false", "failed"]

_MOST_NEAR = 5
_MOST_NAMES = 8
_LONGEST_VALUE = 120


@dataclass(frozen=True, slots=True)
class Part:
    """One of the parts of a condition that must all hold.

    values  what it reads, as ("args.amount", "250"); texts are quoted and escaped
    error   why it has no value, when it failed
    """

    text: str
    truth: Truth
    values: tuple[tuple[str, str], ...]
    error: str | None = None

    def __str__(self) -> str:
        notes = [f"{name} = {value}" for name, value in self.values]
        notes += [self.error] if self.error else []
        return f"{self.truth:<6} {self.text}" + (f"  [{', '.join(notes)}]" if notes else "")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one clause.

    agent    the link of the chain it was looked at for
    matched  counts as a match, be it because its condition failed in a clause that refuses
    because  in a few words
    parts    those of its condition, in order
    """

    clause: str
    effect: Effect
    agent: str
    matched: bool
    because: str
    parts: tuple[Part, ...] = ()

    def __str__(self) -> str:
        head = f"{self.clause} ({self.effect}, for {self.agent}): {self.because}"
        return "\n".join([head, *(f"    {part}" for part in self.parts)])


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A clause that would have let something similar pass.

    differs  "who": the same tool, for others; "what": the same agent, with other tools
    """

    clause: str
    differs: Literal["who", "what"]
    names: tuple[str, ...]

    def __str__(self) -> str:
        kind = "the same tool for" if self.differs == "who" else "the same agent with"
        more = len(self.names) - _MOST_NAMES
        rest = [f"{more} more"] if more > 0 else []
        return f"{self.clause}: {kind} {', '.join([*self.names[:_MOST_NAMES], *rest])}"


@dataclass(frozen=True, slots=True)
class Releasing:
    """Whether the value that a release names would be free of labels after such a call."""

    rule: str
    part: str
    labels: tuple[str, ...]
    holds: bool
    parts: tuple[Part, ...]

    def __str__(self) -> str:
        does = "releases" if self.holds else "does not release"
        head = f"{self.rule}: {does} {self.part!r} of the result from {', '.join(self.labels)}"
        return "\n".join([head, *(f"    {part}" for part in self.parts)])


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision and everything that was looked at."""

    decision: Decision
    considered: tuple[Verdict, ...]
    near_misses: tuple[NearMiss, ...]
    releases: tuple[Releasing, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.decision.effect}: {self.decision.reason}"]
        lines += [f"  {verdict}".replace("\n", "\n  ") for verdict in self.considered]
        lines += [f"  near miss: {near}" for near in self.near_misses]
        lines += [f"  {release}".replace("\n", "\n  ") for release in self.releases]
        return "\n".join(lines)


def explain(snapshot: Snapshot, facts: Facts) -> Explanation:
    """Decide, and tell why: every clause that concerns the call, and on a denial near misses."""
    facts = snapshot.stated(facts)
    decision = decide(snapshot, facts)
    refused = refusal(snapshot, facts)
    considered = () if refused else tuple(_verdicts(snapshot, facts))
    default = decision.effect == "deny" and not decision.rules
    near = tuple(_near_misses(snapshot, facts)) if default else ()
    releases = () if decision.effect == "deny" else tuple(_releases(snapshot, facts))
    return Explanation(decision, considered, near, releases)


def _releases(snapshot: Snapshot, facts: Facts) -> Iterator[Releasing]:
    for rule in snapshot.releases.get(facts.tool, ()):
        parts = tuple(_parts(rule.condition, facts, refuses=False))
        labels = tuple(sorted(rule.labels))
        yield Releasing(rule.id, ".".join(rule.part), labels, rule.holds(facts), parts)


def _verdicts(snapshot: Snapshot, facts: Facts) -> Iterator[Verdict]:
    for link in (facts.agent, *facts.chain):
        for clause in snapshot.engine.candidates(link, facts.tool):
            yield _verdict(clause, replace(facts, agent=link))


def _verdict(clause: Clause, facts: Facts) -> Verdict:
    if clause.until is not None and facts.now >= clause.until:
        return Verdict(clause.id, clause.effect, facts.agent, matched=False, because="has ended")
    truth, error = _truth(clause.test, facts)
    matched = truth == "true" or (truth == "failed" and clause.refuses)
    because = {
        "true": "matches",
        "false": "does not match",
        "failed": f"{'counts as a match' if matched else 'does not match'}: {error}",
    }[truth]
    parts = tuple(_parts(clause.condition, facts, refuses=clause.refuses))
    return Verdict(clause.id, clause.effect, facts.agent, matched, because, parts)


def _truth(test: Test | None, facts: Facts) -> tuple[Truth, str | None]:
    if test is None:
        return "true", None
    try:
        return ("true" if test(facts) else "false"), None
    except ConditionFailed as error:
        return "failed", str(error)


def _parts(condition: Condition | None, facts: Facts, *, refuses: bool) -> Iterator[Part]:
    if condition is None:
        return
    for node in condition.conjuncts:
        alone = build(replace(condition, root=node), refuses=refuses)
        truth, error = _truth(alone, facts)
        yield Part(condition.written(node), truth, tuple(_values(node, facts)), error)


def _values(node: Node, facts: Facts) -> Iterator[tuple[str, str]]:
    for name, path in {str(path): path for path in paths(node)}.items():
        try:
            yield name, _shown(reader(path)(facts))
        except ConditionFailed:
            yield name, "absent"
    for asked in dict.fromkeys(questions(node)):
        yield str(asked), _answered(asked, facts)


def _answered(asked: Question, facts: Facts) -> str:
    if asked.key not in facts.history:
        return "absent"
    answer = facts.history[asked.key]
    if asked.window is not None:
        return str(answer)
    return "never" if answer is None else f"{answer / 1_000_000:g} s ago"


def _shown(value: object) -> str:
    """As JSON, in ASCII: a character that does not show must show here."""
    plain = sorted(value) if isinstance(value, frozenset) else value
    text = json.dumps(plain, default=list)
    if len(text) <= _LONGEST_VALUE:
        return text
    return f"{text[:_LONGEST_VALUE]}... ({len(text)} characters)"


def _near_misses(snapshot: Snapshot, facts: Facts) -> Iterator[NearMiss]:
    roles = snapshot.agents[facts.agent].roles
    own = {f"agent:{facts.agent}", *(f"role:{role}" for role in roles), ANY}
    grants = [clause for clause in snapshot.clauses.values() if clause.grants]
    others = (
        NearMiss(clause.id, "who", clause.subjects)
        for clause in grants
        if covers(clause.tools, facts.tool) and own.isdisjoint(clause.subjects)
    )
    elsewhere = (
        NearMiss(clause.id, "what", clause.tools)
        for clause in grants
        if not covers(clause.tools, facts.tool) and not own.isdisjoint(clause.subjects)
    )
    yield from islice(others, _MOST_NEAR)
    yield from islice(elsewhere, _MOST_NEAR)

"""Cases: plays a test file against a snapshot, through the very kernel that decides real calls.

Beside the effect, a case may compare rules, approval, limits and budgets. The matrix is complete
or it fails: a tool or agent that it leaves out is a gap, never a pass. Coverage counts what the
calls of this file made the rules do.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from policies.clause import Clause
from policies.decision import Decision, Facts
from policies.errors import ConditionFailed
from policies.expectations import Call, Expectation, Matrix, TestDocument
from policies.explain import explain
from policies.finding import Position, nearest
from policies.history import answers
from policies.kernel import decide, refusal
from policies.report import Gap, Played, TestReport
from policies.snapshot import Snapshot

SOMEONE = "someone"
"""The user of a matrix whose file names none: a person whom no list of the policy names."""

_MATRIX = "matrix"


def run(tests: TestDocument, snapshot: Snapshot, *, now: int) -> TestReport:
    """Play every call of a test file.

    now  microseconds since the epoch; what a call or the file states comes before it
    """
    stage = _Stage(tests, snapshot, tests.content.now or now)
    played = [*_cases(stage), *_cells(stage)]
    gaps = [*_matrix_gaps(stage), *_coverage_gaps(stage)]
    conditions = [clause for clause in snapshot.clauses.values() if clause.test is not None]
    return TestReport(
        tuple(played),
        tuple(gaps),
        (len(stage.matched), len(snapshot.clauses)),
        (len(stage.seen.keys() & _sides(conditions)), 2 * len(conditions)),
    )


@dataclass(frozen=True, slots=True)
class _Stage:
    """One run: what is tested, and what the rules have done so far.

    considered  how often each clause was looked at
    seen        how often each condition was (clause, "true" | "false" | "failed")
    """

    tests: TestDocument
    snapshot: Snapshot
    now: int
    matched: set[str] = field(default_factory=set)
    considered: Counter[str] = field(default_factory=Counter)
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)


# -- playing -----------------------------------------------------------------------------------


def _cases(stage: _Stage) -> Iterator[Played]:
    content, source = stage.tests.content, stage.tests.source
    for index, case in enumerate(content.tests):
        base = content.calls[case.call] if isinstance(case.call, str) else case.call
        for number, variation in enumerate(case.each):
            call = base.varied(case.with_).varied(variation)
            at = source.at("tests", index, "each", number)
            name = case.name if len(case.each) == 1 else f"{case.name} [{number + 1}]"
            yield _play(stage, name, at, call, case.expect)


def _cells(stage: _Stage) -> Iterator[Played]:
    matrix = stage.tests.content.matrix
    if matrix is None:
        return
    at = stage.tests.source.at("matrix", "table")
    for row in matrix.table.rows:
        for agent, effect in zip(matrix.table.agents, row.effects, strict=True):
            if row.tool in stage.snapshot.tools and agent in stage.snapshot.agents:
                call = _call(matrix, row.tool, agent)
                name = f"{_MATRIX}: {row.tool}, {agent}"
                yield _play(stage, name, at, call, Expectation(effect=effect))


def _play(stage: _Stage, name: str, at: Position, call: Call, expect: Expectation) -> Played:
    facts = stage.snapshot.stated(_facts(call, stage.snapshot, stage.now))
    _observe(stage, facts)
    decision = decide(stage.snapshot, facts)
    complaints = tuple(_differences(expect, decision))
    explanation = explain(stage.snapshot, facts) if complaints else None
    return Played(name, at, facts, _expected(expect), decision, complaints, explanation)


def _call(matrix: Matrix, tool: str, agent: str) -> Call:
    stated = matrix.with_
    own = {"args": matrix.args.get(tool, stated.args), "user": stated.user or SOMEONE}
    return Call(agent=agent, tool=tool).varied(stated).model_copy(update=own)


def _facts(call: Call, snapshot: Snapshot, now: int) -> Facts:
    return Facts(
        agent=call.agent,
        tool=call.tool,
        args=call.args,
        user=call.user,
        user_groups=frozenset(call.groups),
        chain=call.chain,
        scopes=call.scopes,
        labels=frozenset(call.labels),
        provenance=call.provenance,
        origin={str(name): each for name, each in call.origin.items()},
        secrets=frozenset(call.secrets),
        purpose=call.purpose,
        purpose_tools=call.purpose_tools,
        session=call.session or "test",
        totals=call.totals,
        history=_history(call, snapshot),
        now=call.now or now,
        proven=call.proven,
    )


def _history(call: Call, snapshot: Snapshot) -> dict[str, int | None]:
    if not snapshot.recalls or call.tool not in snapshot.tools:
        return {}
    asked = snapshot.engine.counted((call.agent, *call.chain), call.tool)
    return answers(asked, {tool: _microseconds(ago) for tool, ago in call.history.items()})


def _microseconds(spans_s: tuple[int, ...]) -> list[int]:
    return [span_s * 1_000_000 for span_s in spans_s]


def _observe(stage: _Stage, facts: Facts) -> None:
    """Note what every clause that concerns the call does: also those the kernel need not reach."""
    if refusal(stage.snapshot, facts) is not None:
        return
    for link in (facts.agent, *facts.chain):
        as_link = replace(facts, agent=link)
        for clause in stage.snapshot.engine.candidates(link, facts.tool):
            stage.considered[clause.id] += 1
            if clause.until is None or facts.now < clause.until:
                _note(stage, clause, as_link)


def _note(stage: _Stage, clause: Clause, facts: Facts) -> None:
    if clause.test is None:
        stage.matched.add(clause.id)
        return
    try:
        truth = "true" if clause.test(facts) else "false"
    except ConditionFailed:
        truth = "failed"
    stage.seen[clause.id, truth] += 1
    if truth == "true" or (truth == "failed" and clause.refuses):
        stage.matched.add(clause.id)


# -- comparing ---------------------------------------------------------------------------------


def _differences(expect: Expectation, decision: Decision) -> Iterator[str]:
    if expect.effect != decision.effect:
        yield f"effect: expected {expect.effect}, actual {decision.effect}"
    approvals = tuple(obligation.approval for obligation in decision.obligations)
    pairs: list[tuple[str, tuple[str, ...] | None, tuple[str, ...]]] = [
        ("rules", expect.rules, decision.rules),
        ("approval", (expect.approval,) if expect.approval else None, approvals),
        ("limits", expect.limits, decision.limits),
        ("budgets", expect.budgets, decision.budgets),
    ]
    for name, expected, actual in pairs:
        if expected is not None and set(expected) != set(actual):
            yield f"{name}: expected {_listed(expected)}, actual {_listed(actual)}"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(sorted(names)) or "none"


def _expected(expect: Expectation) -> str:
    parts: list[str] = [expect.effect]
    if expect.rules is not None:
        parts.append(f"by {_listed(expect.rules)}" if expect.rules else "by no rule")
    if expect.approval:
        parts.append(f"with {expect.approval}")
    return " ".join(parts)


# -- what is missing ---------------------------------------------------------------------------


def _matrix_gaps(stage: _Stage) -> Iterator[Gap]:
    matrix = stage.tests.content.matrix
    if matrix is None:
        return
    at = stage.tests.source.at("matrix", "table")
    listed = {"tool": {row.tool for row in matrix.table.rows}, "agent": {*matrix.table.agents}}
    known = {"tool": {*stage.snapshot.tools}, "agent": {*stage.snapshot.agents}}
    for kind in ("tool", "agent"):
        for name in sorted(known[kind] - listed[kind]):
            yield Gap(at, f"{_MATRIX}: {kind} {name} is not listed, every cell must be")
        for name in sorted(listed[kind] - known[kind]):
            hint = nearest(name, known[kind] - listed[kind])
            yield Gap(
                at, f"{_MATRIX}: no policy lists {kind} {name}" + (f", {hint}" if hint else "")
            )
    for name in sorted(matrix.args.keys() - known["tool"]):
        at = stage.tests.source.at_key("matrix", "args", name)
        yield Gap(at, f"{_MATRIX}: arguments for {name}, which no policy lists")


def _coverage_gaps(stage: _Stage) -> Iterator[Gap]:
    promised, clauses = stage.tests.content.coverage, stage.snapshot.clauses
    if 100 * len(stage.matched) < promised.rules * len(clauses):
        for name, clause in clauses.items():
            if name not in stage.matched:
                yield Gap(clause.at, f"coverage: {name} never matched: {_why(stage, name)}")
    if promised.conditions == "both":
        for clause in clauses.values():
            yield from _half_seen(stage, clause)


def _why(stage: _Stage, name: str) -> str:
    if not stage.considered[name]:
        return "no call of this file concerns its agents and tools"
    counts = {truth: stage.seen[name, truth] for truth in ("false", "failed")}
    if not any(counts.values()):
        return f"considered {stage.considered[name]} times, always after its end"
    return f"its condition was false {counts['false']} times, without a value {counts['failed']}"


def _half_seen(stage: _Stage, clause: Clause) -> Iterator[Gap]:
    if clause.test is None:
        return
    counts = {truth: stage.seen[clause.id, truth] for truth in ("true", "false")}
    for truth, other in (("true", "false"), ("false", "true")):
        if not counts[truth]:
            message = f"the condition was never {truth}, {counts[other]} times {other}"
            yield Gap(clause.at, f"coverage: {clause.id}: {message}")


def _sides(conditions: list[Clause]) -> set[tuple[str, str]]:
    return {(clause.id, truth) for clause in conditions for truth in ("true", "false")}

"""The past: what conditions may ask of limits, budgets and histories, put into the facts.

Only what a condition for this agent and tool may read is looked up, and it stands in the decision
entry with the other facts, so that a replay decides on the same numbers.
"""

from dataclasses import replace

from gateway.session.charge import Charge, counted_for, histories
from gateway.session.cost import MICRO
from gateway.session.limits import Limits
from gateway.session.terms import Terms, limit_demand, place_of
from policies.decision import Facts
from policies.history import KEPT, PREFIX, Question
from policies.snapshot import Snapshot


def recalled(snapshot: Snapshot, facts: Facts, limits: Limits) -> Facts:
    """The facts with the totals and answers that conditions for this call may ask for."""
    if facts.tool not in snapshot.tools:
        return facts
    totals: dict[str, int] = {}
    history: dict[str, int | None] = {}
    for path in snapshot.engine.counted((facts.agent, *facts.chain), facts.tool):
        if path.startswith(PREFIX):
            asked = Question.read(path)
            history[asked.key] = _answer(asked, facts, limits)
            continue
        name = path.partition(".")[2]
        total = _total(snapshot, name, facts, limits)
        if total is not None:
            totals[name] = total
    return replace(facts, totals=totals, history=history)


def _answer(asked: Question, facts: Facts, limits: Limits) -> int | None:
    """The most, or the latest, that any agent with a part in the call has done."""
    window = asked.window or KEPT
    of_all = [Charge("history", asked.tool, key, 1, window, facts.now) for key in histories(facts)]
    if asked.window is not None:
        return max(map(limits.used, of_all))
    latest = max(limits.latest(each) or 0 for each in of_all)
    return max(0, facts.now - latest) if latest else None


def _total(snapshot: Snapshot, name: str, facts: Facts, limits: Limits) -> int | None:
    """What counts now on the counter that a call of this caller falls under; None: no such."""
    limit, budget = snapshot.limits.get(name), snapshot.budgets.get(name)
    stated = limit or budget
    key = None if stated is None else counted_for(stated.per, facts)
    if key is None:
        return None
    if limit is not None and limit.at_once is not None:
        return limits.running(place_of(name, key), facts.now)
    if limit is not None:
        return limits.used(limit_demand(name, limit, key, facts.now).charge)
    assert budget is not None
    window = Terms.of_budget(budget).window
    used = limits.used(Charge("budget", name, key, 0, window, facts.now))
    return -(-used // MICRO)

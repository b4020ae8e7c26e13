"""Usage: how much of the limits and budgets that are counted for an agent it has used."""

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.operator.services import Services
from gateway.session.charge import Charge, counted_for
from gateway.session.cost import MICRO
from gateway.session.terms import Terms, limit_demand, place_of
from policies.decision import Facts


@dataclass(frozen=True, slots=True)
class Usage:
    """One counter.

    unit      "calls", "calls at once", or the unit of the budget
    window_s  seconds; 0 for what runs at once
    """

    name: str
    unit: str
    used: int
    most: int
    window_s: int


def usage(services: Services, agent: str) -> Iterator[Usage]:
    """Every limit and budget `per: agent`; others are counted for somebody else."""
    snapshot, now = services.worlds.current.snapshot, services.recorder.now()
    limits, key = services.state.limits, counted_for("agent", Facts(agent, "", {}))
    assert key is not None, "an agent is always known"
    for name, limit in sorted(snapshot.limits.items()):
        if limit.per != "agent":
            continue
        if limit.at_once is not None:
            used = limits.running(place_of(name, key), now)
            yield Usage(name, "calls at once", used, limit.at_once, 0)
            continue
        demand = limit_demand(name, limit, key, now)
        window_s = demand.charge.window // 1_000_000
        yield Usage(name, "calls", limits.used(demand.charge), demand.most, window_s)
    for name, budget in sorted(snapshot.budgets.items()):
        if budget.per == "agent":
            terms = Terms.of_budget(budget)
            charge = Charge("budget", name, key, 1, terms.window, now)
            used = -(-limits.used(charge) // MICRO)
            yield Usage(name, budget.unit, used, budget.amount, budget.window)

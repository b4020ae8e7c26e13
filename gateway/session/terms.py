"""Terms: what a decided call asks of the limits, budgets and histories that it falls under.

Nothing is counted here: from a snapshot and a call come the charges it would make, and how much
may count beside each at most. `gateway.session.limits` holds the counters.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple, Protocol

from audit.canonical import MAX_SAFE, Json
from gateway.session.charge import Charge, counted_for, histories
from gateway.session.cost import MICRO, afterwards, beforehand, is_known_afterwards
from policies.decision import Decision, Facts
from policies.notation import Rate
from policies.snapshot import Snapshot
from policies.terms import Budget, Limit


class Counted(Protocol):
    """A decided call, as far as limits are concerned."""

    @property
    def id(self) -> str:
        """Id of its decision entry, written or to come."""

    @property
    def words(self) -> bytes:
        """Its arguments as they would be forwarded."""

    @property
    def facts(self) -> Facts:
        """What it was decided on."""

    @property
    def decision(self) -> Decision:
        """Which limits and budgets it falls under."""


class Terms(NamedTuple):
    """What a limit or budget comes down to: `most` in any `window` microseconds."""

    most: int
    window: int

    @classmethod
    def of_rate(cls, rate: Rate, burst: int | None) -> "Terms":
        """The same rate over the time in which it gives `burst` calls: `60/min` with a burst of
        20 is 20 in any 20 seconds, and so never more than 60 in a minute.
        """
        return cls(*_of_rate(rate.count, rate.per_s, burst))

    @classmethod
    def of_budget(cls, budget: Budget) -> "Terms":
        """The amount in millionths; beyond what an entry can hold it counts as that."""
        return cls(min(budget.amount * MICRO, MAX_SAFE), budget.window * 1_000_000)


class Demand(NamedTuple):
    """A charge, and how much may count on its counter at most, itself included.

    counter, slot  of the charge, found once
    """

    charge: Charge
    most: int
    counter: str
    slot: int

    @classmethod
    def of(cls, charge: Charge, most: int) -> "Demand":
        """Find the counter and slot of a charge."""
        return cls(charge, most, charge.counter, charge.slot)


class Place(NamedTuple):
    """One of `most` places for calls that run at once."""

    name: str
    counter: str
    most: int


class Demands(NamedTuple):
    """Everything that one call asks."""

    charges: tuple[Demand, ...]
    places: tuple[Place, ...]


def demands(snapshot: Snapshot, call: Counted) -> Demands | str:
    """What `call` asks; or the name of what refuses it, since that cannot be told."""
    charges: list[Demand] = []
    places: list[Place] = []
    for name in dict.fromkeys(call.decision.limits):
        limit = snapshot.limits.get(name)
        key = None if limit is None else counted_for(limit.per, call.facts)
        if limit is None or key is None:
            return name
        if limit.at_once is not None:
            places.append(Place(name, place_of(name, key), limit.at_once))
        else:
            charges.append(limit_demand(name, limit, key, call.facts.now))
    for name in dict.fromkeys(call.decision.budgets):
        demand = _budget_demand(snapshot, name, call)
        if demand is None:
            return name
        if demand.charge.amount:
            charges.append(demand)
    if call.facts.tool in snapshot.histories:
        charges.extend(_remembered(snapshot, call.facts))
    return Demands(tuple(charges), tuple(places))


def place_of(name: str, key: str) -> str:
    """The counter of calls that run at once."""
    return f"at-once:{name}:{key}"


def limit_demand(name: str, limit: Limit, key: str, now: int) -> Demand:
    """One call under a limit by rate."""
    rate = limit.rate
    assert rate is not None, "a limit is by rate, or by what runs at once"
    most, window = _of_rate(rate.count, rate.per_s, limit.burst)
    return Demand.of(Charge("limit", name, key, 1, window, now), most)


def settlement(
    snapshot: Snapshot,
    tool: str,
    charges: tuple[Charge, ...],
    result: Mapping[str, Json],
    size: int,
) -> tuple[Charge, ...]:
    """Those charges that come to something else than was reserved, now that the result is known.

    size  of the result, in bytes
    """
    found: list[Charge] = []
    rule = snapshot.tools[tool]
    for charge in charges:
        budget = snapshot.budgets.get(charge.name) if charge.kind == "budget" else None
        if budget is None or not is_known_afterwards(budget, rule):
            continue
        amount = afterwards(budget, rule, result, size)
        if amount is not None and amount != charge.amount:
            found.append(charge.of(amount))
    return tuple(found)


def _budget_demand(snapshot: Snapshot, name: str, call: Counted) -> Demand | None:
    """The charge to a budget by the cost that the tool states in its unit."""
    facts = call.facts
    budget = snapshot.budgets.get(name)
    tool = snapshot.tools.get(facts.tool)
    key = None if budget is None else counted_for(budget.per, facts)
    if budget is None or tool is None or key is None:
        return None
    amount = beforehand(budget, tool, facts.args, len(call.words))
    if amount is None:
        return None
    terms = Terms.of_budget(budget)
    return Demand.of(Charge("budget", name, key, amount, terms.window, facts.now), terms.most)


def _remembered(snapshot: Snapshot, facts: Facts) -> Iterator[Demand]:
    """Charges to the histories that some condition asks about; they refuse nothing."""
    for window in snapshot.histories[facts.tool]:
        for key in histories(facts):
            charge = Charge("history", facts.tool, key, 1, window, facts.now)
            yield Demand.of(charge, MAX_SAFE)


@cache
def _of_rate(count: int, per_s: int, burst: int | None) -> tuple[int, int]:
    most = burst or count
    return most, min(-(-most * per_s * 1_000_000 // count), MAX_SAFE)

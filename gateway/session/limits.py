"""Limits: how often and how much, counted in one step before a call may go on.

A limit or budget is a sliding window: at most so many calls, or so much cost, in any stretch of
that length. What is counted is in two places. *Charged* is a fold of the log: the charges of
every authorising decision entry, less those of calls that were then not forwarded. *Held* is what
calls under way have reserved and the log does not show yet; the fold of a call's entry moves its
charges from there, so nothing is counted twice and a restart finds every call that was recorded.

A window is kept as `SLOTS` slots, each of which counts until all of it has left the window: never
too little, and at most a thirtieth of the window too long.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self, cast

from audit.canonical import MAX_SAFE, Json
from gateway.session.charge import Charge, Terms, cost, counted_for
from policies.decision import Decision, Facts
from policies.snapshot import Snapshot

SLOTS = 30


class Counted(Protocol):
    """A decided call, as far as limits are concerned."""

    @property
    def id(self) -> str:
        """Id of its decision entry, written or to come."""

    @property
    def facts(self) -> Facts:
        """What it was decided on."""

    @property
    def decision(self) -> Decision:
        """Which limits and budgets it falls under."""


class Reservation:
    """What a call has taken from its limits; given back at exit unless its entry was folded.

    charges  for the decision entry, by which they outlive the process
    """

    def __init__(self, limits: "Limits", call_id: str, charges: tuple[Charge, ...]) -> None:
        self._limits = limits
        self._call_id = call_id
        self._kept = False
        self.charges = charges

    def keep(self) -> None:
        """The call may have acted: nothing is given back at exit."""
        self._kept = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._kept:
            self._limits.release(self._call_id)


class Limits:
    """The counters of every limit and budget."""

    def __init__(self) -> None:
        self._charged: dict[str, _Counter] = {}
        self._held: dict[str, int] = {}  # by counter
        self._holders: dict[str, tuple[Charge, ...]] = {}  # by id of the call
        self.changed: set[str] = set()

    def reserve(self, snapshot: Snapshot, call: Counted) -> Reservation | str:
        """Count `call` against everything its decision names, or the name of what refuses it.

        All or nothing, without an await: of calls that come at once as many pass as fit. A name
        that the snapshot does not define, a cost that cannot be told and a key that is not known
        refuse.
        """
        charges: list[Charge] = []
        for name in dict.fromkeys(call.decision.limits):
            charge = _limit_charge(snapshot, name, call.facts)
            if charge is None or not self._fits(*charge):
                return name
            charges.append(charge[0])
        for name in dict.fromkeys(call.decision.budgets):
            charge = _budget_charge(snapshot, name, call.facts)
            if charge is None or not self._fits(*charge):
                return name
            charges.append(charge[0])
        return self._hold(call.id, tuple(charge for charge in charges if charge.amount))

    def release(self, call_id: str) -> None:
        """Give back what a call holds; what its entry has charged stays."""
        for charge in self._holders.pop(call_id, ()):
            name = charge.counter
            left = self._held[name] - charge.amount
            if left:
                self._held[name] = left
            else:
                del self._held[name]

    def used(self, charge: Charge) -> int:
        """What is charged and held on the counter of `charge`, at its time and in its window."""
        name = charge.counter
        counter = self._charged.get(name)
        charged = 0 if counter is None else counter.used(charge.at - charge.window)
        return charged + self._held.get(name, 0)

    def _fits(self, charge: Charge, most: int) -> bool:
        return charge.amount <= most - self.used(charge)

    def _hold(self, call_id: str, charges: tuple[Charge, ...]) -> Reservation:
        assert call_id not in self._holders, "one call reserves once"
        if charges:
            self._holders[call_id] = charges
        for charge in charges:
            name = charge.counter
            self._held[name] = self._held.get(name, 0) + charge.amount
        return Reservation(self, call_id, charges)

    # -- the fold ---------------------------------------------------------------------------

    def charged(self, body: Mapping[str, Json]) -> None:
        """A decision entry that authorises: what its call held is charged now."""
        self.release(cast("str", body["id"]))
        for charge in charges_of(body):
            name = charge.counter
            counter = self._charged.get(name)
            if counter is None:
                counter = self._charged[name] = _Counter(charge.window)
            counter.add(charge)
            self.changed.add(name)

    def returned(self, charges: tuple[Charge, ...]) -> None:
        """An outcome entry of a call that was not forwarded: it is charged nothing."""
        for charge in charges:
            counter = self._charged.get(charge.counter)
            if counter is not None:
                counter.take_back(charge)
                self.changed.add(charge.counter)

    def forget(self, now: int) -> None:
        """Drop counters on which nothing counts any more; `now` in microseconds."""
        for name, counter in list(self._charged.items()):
            if not counter.used(now - counter.window):
                del self._charged[name]
                self.changed.add(name)

    # -- the stored view --------------------------------------------------------------------

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one counter; None when nothing counts on it."""
        counter = self._charged.get(key)
        return None if counter is None else counter.to_json()

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        self._charged[key] = _Counter.from_json(row)


def charges_of(body: Mapping[str, Json]) -> tuple[Charge, ...]:
    """What a decision entry charges its call."""
    decision = cast("Mapping[str, Json]", body["decision"])
    rows = cast("list[Mapping[str, Json]]", decision.get("charges", []))
    return tuple(Charge.from_json(row) for row in rows)


@dataclass(slots=True)
class _Counter:
    """What was charged lately, by the end of the slot in which it was; all in microseconds."""

    window: int  # of the latest charge
    slots: dict[int, int] = field(default_factory=dict)

    def used(self, since: int) -> int:
        """The sum of the slots that end after `since`."""
        return sum(amount for end, amount in self.slots.items() if end > since)

    def add(self, charge: Charge) -> None:
        self.window = charge.window
        end = _slot_end(charge)
        self.slots[end] = self.slots.get(end, 0) + charge.amount
        for old in [end for end in self.slots if end <= charge.at - charge.window]:
            del self.slots[old]

    def take_back(self, charge: Charge) -> None:
        end = _slot_end(charge)
        left = self.slots.pop(end, 0) - charge.amount
        if left > 0:
            self.slots[end] = left

    def to_json(self) -> dict[str, Json]:
        slots = cast("list[Json]", [[end, self.slots[end]] for end in sorted(self.slots)])
        return {"window": self.window, "slots": slots}

    @classmethod
    def from_json(cls, row: Mapping[str, Json]) -> Self:
        slots = cast("list[tuple[int, int]]", row["slots"])
        return cls(cast("int", row["window"]), dict(slots))


def _slot_end(charge: Charge) -> int:
    length = -(-charge.window // SLOTS)
    return (charge.at // length + 1) * length


def _limit_charge(snapshot: Snapshot, name: str, facts: Facts) -> tuple[Charge, int] | None:
    """The charge of one call, and how much may count at most; None when it cannot be told."""
    limit = snapshot.limits.get(name)
    key = None if limit is None else counted_for(limit.per, facts)
    if limit is None or key is None:
        return None
    terms = Terms.of_limit(limit)
    return Charge("limit", name, key, 1, terms.window, facts.now), terms.most


def _budget_charge(snapshot: Snapshot, name: str, facts: Facts) -> tuple[Charge, int] | None:
    """The same for a budget, by the cost that the tool states in its unit."""
    budget = snapshot.budgets.get(name)
    key = None if budget is None else counted_for(budget.per, facts)
    tool = snapshot.tools.get(facts.tool)
    if budget is None or key is None or tool is None:
        return None
    amount = cost(tool.cost.get(budget.unit), facts.args)
    if amount is None and budget.unknown_cost != "deny":
        amount = cost(budget.unknown_cost, facts.args)
    if amount is None or amount > MAX_SAFE:
        return None
    terms = Terms.of_budget(budget)
    return Charge("budget", name, key, amount, terms.window, facts.now), terms.most

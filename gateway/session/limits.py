"""Limits: how often, how much and how many at once, counted in one step before a call may go on.

A limit or budget is a sliding window: at most so many calls, or so much cost, in any stretch of
that length. What is counted is in two places. *Charged* is a fold of the log: the charges of
every authorising decision entry, less those of calls that were then not forwarded. *Held* is what
calls under way have reserved and the log does not show yet; the fold of a call's entry moves its
charges from there, so nothing is counted twice and a restart finds every call that was recorded.

Histories, of which conditions ask, are counted in the same way and refuse nothing.
"""

from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple, Self

from audit.canonical import Json
from gateway.session.charge import Charge
from gateway.session.counter import Counter
from gateway.session.shares import RUNNING, Shares, Use
from gateway.session.terms import Counted, Demand, Demands, Place, demands
from gateway.store.counters import Slot, Want
from policies.snapshot import Snapshot


class Reservation:
    """What a call has taken from its limits; given back at exit unless its entry was folded.

    charges  for the decision entry, by which they outlive the process
    """

    __slots__ = ("_call_id", "_kept", "_limits", "charges")

    def __init__(self, limits: "Limits | None", call_id: str, charges: tuple[Charge, ...]) -> None:
        self._limits = limits
        self._call_id = call_id
        self._kept = False
        self.charges = charges

    def keep(self) -> None:
        """The call may have acted: its charges are not given back at exit."""
        self._kept = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._limits is not None:
            self._limits.left(self._call_id)
            if not self._kept:
                self._limits.release(self._call_id)


class Short(NamedTuple):
    """What is missing for a call, with the names of the limits: others have it, or may."""

    missing: tuple[tuple[str, Want], ...]


NOTHING = Reservation(None, "", ())
"""What a call has taken that falls under no limit."""


class Limits:
    """The counters of every limit, budget and history."""

    def __init__(self) -> None:
        self._charged: dict[str, Counter] = {}
        self._held: dict[str, dict[int, int]] = {}  # by counter and slot
        self._holders: dict[str, tuple[Demand, ...]] = {}  # by id of the call
        self._running: Tally[str] = Tally()  # calls that run at once, by counter
        self._places: dict[str, tuple[Place, ...]] = {}  # by id of the call
        self._shares: Shares | None = None  # of what is counted in a whole fleet
        self.changed: set[str] = set()

    def reserve(self, snapshot: Snapshot, call: Counted) -> Reservation | Short | str:
        """Count `call` against everything its decision names, or the name of what refuses it.

        All or nothing, without an await: of calls that come at once as many pass as fit. A name
        that the snapshot does not define, a cost that cannot be told and a key that is not known
        refuse. `Short` is the answer when others of the fleet have to be asked before it.
        """
        decision = call.decision
        if not (decision.limits or decision.budgets or call.facts.tool in snapshot.histories):
            return NOTHING
        asked = demands(snapshot, call)
        if isinstance(asked, str):
            return asked
        full = self._full(asked)
        if full is not None:
            return full
        if self._shares is not None:
            missing = self._shares.short(asked, call.facts.now)
            if missing:
                return Short(missing)
        return self._hold(call.id, asked)

    def release(self, call_id: str) -> None:
        """Give back what a call holds; what its entry has charged stays."""
        taken = self._holders.pop(call_id, None)
        if taken is None:
            return
        for charge, _, counter, slot in taken:
            held = self._held[counter]
            left = held.pop(slot) - charge.amount
            if left:
                held[slot] = left
            elif not held:
                del self._held[counter]
        if self._shares is not None:
            self._shares.touch(each.charge for each in taken)

    def left(self, call_id: str) -> None:
        """A call runs no more."""
        for place in self._places.pop(call_id, ()):
            self._running[place.counter] -= 1
            if not self._running[place.counter]:
                del self._running[place.counter]

    def used(self, charge: Charge) -> int:
        """What is charged and held on the counter of `charge`, at its time and in its window.

        In a fleet that is what all gateways together have used, and may still use by themselves.
        """
        name, since = charge.counter, charge.at - charge.window
        here = self._used_here(name, since)
        return here if self._shares is None else here + self._shares.elsewhere(name, since)

    def running(self, place: str, now: int) -> int:
        """How many calls run at once on a counter, in the whole fleet."""
        elsewhere = 0 if self._shares is None else self._shares.elsewhere(place, now)
        return self._running[place] + elsewhere

    def latest(self, charge: Charge) -> int | None:
        """When the last call was that counts on a history; None: there is none."""
        name, since = charge.counter, charge.at - charge.window
        if name in self._held:  # of calls under way the newest began just now
            several = chain.from_iterable(self._holders.values())
            return max(each.charge.at for each in several if each.counter == name)
        counter = self._charged.get(name)
        here = None if counter is None else counter.last(since)
        elsewhere = 0 if self._shares is None else self._shares.latest(name)
        return max(here or 0, elsewhere) if elsewhere > since else here

    # -- the fleet --------------------------------------------------------------------------

    def share(self) -> Shares:
        """Count from now on with the whole fleet; the book in which that is done."""
        self._shares = Shares(self._use)
        return self._shares

    def slots(self) -> Iterator[Slot]:
        """Every slot in which something is charged."""
        for name, counter in self._charged.items():
            for end in counter.slots:
                yield Slot(name, end, end, end + counter.window)

    def _use(self, key: tuple[str, int]) -> Use:
        """What is used of one slot here."""
        name, slot = key
        if slot == RUNNING:
            return Use(self._running[name])
        counter, held = self._charged.get(name), self._held.get(name)
        charged = 0 if counter is None else counter.slots.get(slot, 0)
        latest = counter.latest[-1] if counter is not None and counter.latest else 0
        return Use(charged + (0 if held is None else held.get(slot, 0)), latest)

    # -- reserving --------------------------------------------------------------------------

    def _used_here(self, name: str, since: int) -> int:
        counter, held = self._charged.get(name), self._held.get(name)
        charged = 0 if counter is None else counter.used(since)
        return charged if held is None else charged + sum(held.values())

    def _full(self, asked: Demands) -> str | None:
        """The name of the first limit in which there is no room here, whatever others have."""
        for charge, most, counter, _ in asked.charges:
            used = self._used_here(counter, charge.at - charge.window)
            if charge.amount > most - used:
                return charge.name
        for place in asked.places:
            if self._running[place.counter] >= place.most:
                return place.name
        return None

    def _hold(self, call_id: str, asked: Demands) -> Reservation:
        assert call_id not in self._holders, "one call reserves once"
        charges = tuple([each.charge for each in asked.charges])
        if charges:
            self._holders[call_id] = asked.charges
        for charge, _, counter, slot in asked.charges:
            held = self._held.setdefault(counter, {})
            held[slot] = held.get(slot, 0) + charge.amount
        if asked.places:
            self._places[call_id] = asked.places
            self._running.update([place.counter for place in asked.places])
        if self._shares is not None:
            self._shares.touch(charges, asked.places)
        return Reservation(self, call_id, charges)

    # -- the fold ---------------------------------------------------------------------------

    def charged(self, body: Mapping[str, Any]) -> tuple[Charge, ...]:
        """A decision entry that authorises: what its call held is charged now, and returned."""
        call_id = body["id"]
        held = self._holders.get(call_id)  # of a call under way here, as its entry says them
        charges = charges_of(body) if held is None else tuple([each.charge for each in held])
        self.release(call_id)
        for charge in charges:
            name = charge.counter
            counter = self._charged.get(name)
            if counter is None:
                counter = self._charged[name] = Counter(charge.window)
            counter.add(charge)
            self.changed.add(name)
        if self._shares is not None:
            self._shares.touch(charges)
        return charges

    def returned(self, charges: Iterable[Charge]) -> None:
        """An outcome entry of a call that was not forwarded: it is charged nothing."""
        self._change(charges, {})

    def settled(self, charges: Iterable[Charge], final: Iterable[Charge]) -> None:
        """An outcome entry that says what a call has cost in the end.

        charges  what its decision entry has charged
        final    those of them that came to something else
        """
        amounts = {charge.counter: charge.amount for charge in final}
        self._change((charge for charge in charges if charge.counter in amounts), amounts)

    def _change(self, charges: Iterable[Charge], amounts: Mapping[str, int]) -> None:
        for charge in charges:
            counter = self._charged.get(charge.counter)
            if counter is not None:
                counter.change(charge, amounts.get(charge.counter, 0))
                self.changed.add(charge.counter)
                if self._shares is not None:
                    self._shares.touch((charge,))

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
        self._charged[key] = Counter.from_json(row)


def charges_of(body: Mapping[str, Any]) -> tuple[Charge, ...]:
    """What a decision entry charges its call."""
    return read_charges(body["decision"].get("charges", []))


def read_charges(rows: Iterable[Mapping[str, Json]]) -> tuple[Charge, ...]:
    """Charges as they stand in an entry."""
    return tuple([Charge.from_json(row) for row in rows])

"""Shares: what this gateway may use by itself of limits that the whole fleet has.

The fleet's database holds a share for each gateway, counter and slot (`gateway.store.counters`). A
call passes on what is left of the share here, without asking anybody; when that is too little, more
is asked for, and what the database does not give is denied. What lies unused is given back: at
once when its slot is over, else after a second.

Here is the book alone, without waiting: `gateway.sharing` carries it to the database and back. All
times are in microseconds since 1970, by the log's clock.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.session.charge import Charge
from gateway.session.terms import Demands, Place
from gateway.store.counters import News, Share, Slot, Want

IDLE = 1_000_000
"""How long a share may lie unused while its slot lasts."""

LEASE = 120_000_000
"""How long places for running calls are taken at a time: longer than a call can run."""

RUNNING = 0
"""The slot of calls that run at once."""

MOST_TOLD = 500
"""Shares that are said in one exchange."""

Key = tuple[str, int]
"""A counter and a slot."""


class Use(NamedTuple):
    """What is used of a slot: charged and held, and when last (0: not known)."""

    amount: int
    latest: int = 0


@dataclass(slots=True)
class _Own:
    """A share of ours.

    amount   what may be used here
    told     what the database holds; None: it is not known whether it heard the last word
    """

    slot: Slot
    amount: int = 0
    told: int | None = 0
    latest: int = 0  # as told
    is_idle: bool = True  # nobody has asked for it lately
    looked: int = 0  # when that was last looked at


@dataclass(slots=True)
class Shares:
    """The shares of this gateway, and what is known of the others'.

    used  what is used of a slot here
    """

    used: Callable[[Key], Use]
    _own: dict[Key, _Own] = field(default_factory=dict)
    _open: set[Key] = field(default_factory=set)  # of which something may have to be said
    _elsewhere: dict[str, dict[tuple[str, int], Share]] = field(default_factory=dict)

    # -- asking -----------------------------------------------------------------------------

    def short(self, asked: Demands, now: int) -> tuple[tuple[str, Want], ...]:
        """What is missing for a call, with the name of the limit; empty: it may pass."""
        missing: list[tuple[str, Want]] = []
        for charge, most, _, _ in asked.charges:
            if charge.kind == "history" or not charge.amount:
                continue
            slot = slot_of(charge)
            amount = charge.amount - self._left(slot, now)
            if amount > 0:
                want = Want(slot, charge.at - charge.window, amount, amount, most)
                missing.append((charge.name, want))
        for running in asked.places:
            slot = _running(running.counter, now)
            if self._left(slot, now) < 1:
                missing.append((running.name, Want(slot, now, 1, 1, running.most)))
        return tuple(missing)

    def touch(self, charges: Iterable[Charge], places: Iterable[Place] = ()) -> None:
        """Something was taken, charged or given back."""
        for charge in charges:
            self._known(slot_of(charge)).is_idle = False
        for place in places:
            self._known(_running(place.counter, 0)).is_idle = False

    def elsewhere(self, counter: str, since: int) -> int:
        """What other gateways have, used or not, of slots that end after `since`."""
        found = self._elsewhere.get(counter)
        if found is None:
            return 0
        return sum(share.amount for share in found.values() if share.slot.end > since)

    def latest(self, counter: str) -> int:
        """When the last call counted at another gateway; 0: there is none."""
        found = self._elsewhere.get(counter, {}).values()
        return max((share.latest for share in found if share.amount), default=0)

    # -- telling ----------------------------------------------------------------------------

    def begin(self, own: Iterable[Share], charges: Iterable[Slot]) -> None:
        """Start with what the database holds of ours, and all slots in which the log has charges.

        Nothing is left of what was not used before: it is given back with the first word.
        """
        for share in own:
            known = self._known(share.slot)
            known.told, known.latest = share.amount, share.latest
        for slot in charges:
            self._known(slot)
        for key, each in self._own.items():
            each.amount = self.used(key).amount

    def untold(self, now: int) -> tuple[Share, ...]:
        """What has to be said now. What is given back by it cannot be used from here on."""
        told: list[Share] = []
        for key in list(self._open):
            if len(told) == MOST_TOLD:
                break
            share = self._settled(key, now)
            if share is not None:
                told.append(share)
        return tuple(told)

    def unsaid(self, shares: Iterable[Share], wants: Iterable[Want]) -> None:
        """Nobody can tell whether these words were heard."""
        for slot in (*(each.slot for each in shares), *(each.slot for each in wants)):
            self._known(slot).told = None

    def heard(self, shares: Iterable[Share], wants: Sequence[Want], news: News) -> None:
        """These words were heard, and this was the answer."""
        for share in shares:
            own = self._known(share.slot)
            own.told, own.latest, own.slot = share.amount, share.latest, share.slot
        for want, granted in zip(wants, news.granted, strict=True):
            if granted:
                own = self._known(want.slot)
                own.slot = want.slot
                own.amount += granted
                # Of places that had expired there the database has added nothing to.
                is_sure = own.told is not None and want.slot.name != RUNNING
                own.told = (own.told or 0) + granted if is_sure else None
        for origin, share in news.others:
            slot = share.slot
            self._elsewhere.setdefault(slot.counter, {})[origin, slot.name] = share

    def forget(self, now: int) -> None:
        """Drop what counts no more, here and elsewhere."""
        for key, own in list(self._own.items()):
            if own.slot.until <= now and key not in self._open:
                del self._own[key]
        for counter, several in list(self._elsewhere.items()):
            for key, share in list(several.items()):
                if share.slot.until <= now:
                    del several[key]
            if not several:
                del self._elsewhere[counter]

    # -- the book ---------------------------------------------------------------------------

    def _left(self, slot: Slot, now: int) -> int:
        key = (slot.counter, slot.name)
        own = self._own.get(key)
        if own is None or (slot.name == RUNNING and own.slot.end <= now):
            return 0
        return own.amount - self.used(key).amount

    def _known(self, slot: Slot) -> _Own:
        key = (slot.counter, slot.name)
        self._open.add(key)
        own = self._own.get(key)
        if own is None:
            own = self._own[key] = _Own(slot)
        return own

    def _settled(self, key: Key, now: int) -> Share | None:
        """What is to be said of one share; None when the database has it so."""
        own, use = self._own[key], self.used(key)
        is_running = key[1] == RUNNING
        is_over = not is_running and own.slot.end <= now
        if is_over or self._is_idle(own, now) or own.amount < use.amount:
            own.amount = use.amount
        if is_running and use.amount and own.slot.end - now < LEASE // 2:
            own.slot, own.told = _running(key[0], now), None
        if own.told != own.amount or own.latest != use.latest:
            return Share(own.slot, own.amount, use.latest)
        if own.amount == use.amount and not (is_running and use.amount):
            self._open.discard(key)
        return None

    def _is_idle(self, own: _Own, now: int) -> bool:
        """Whether nobody asked for it in all of the last stretch of `IDLE`."""
        if now - own.looked < IDLE:
            return False
        was_idle, own.is_idle, own.looked = own.is_idle, True, now
        return was_idle


def slot_of(charge: Charge) -> Slot:
    """The slot in which a charge counts."""
    slot = charge.slot
    return Slot(charge.counter, slot, slot, slot + charge.window)


def _running(counter: str, now: int) -> Slot:
    return Slot(counter, RUNNING, now + LEASE, now + LEASE)

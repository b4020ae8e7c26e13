"""Calls under way: what was authorised and has no outcome yet, and what a resend may join.

Clients resend when they lose patience, and a payment must not be made twice for that. An
identical call (same actors, session, tool and arguments) that is still running, or has ended
without its answer having been delivered, is *joined*: the second gets the first one's answer.
A delivered answer is never given twice: the same call afterwards is a new call.

After a crash the log shows calls that were authorised and have no outcome. Whether they acted
cannot be told: they end as `unknown`, and a resend of one is answered so instead of repeated.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from audit.canonical import Json
from audit.value import value_type
from gateway.action import Outcome
from gateway.approval.request import Key
from gateway.running import RunningCalls
from gateway.session.charge import Charge
from gateway.store.row import from_row, to_row

HOLD_US = 120 * 1_000_000
"""How long an undelivered answer waits for a resend, in microseconds."""


@dataclass(slots=True, eq=False)
class Call:
    """A call that may change something, from its authorisation until its answer is delivered."""

    id: str  # of its decision entry
    key: Key
    answer: asyncio.Future[Outcome]
    ended: int | None = None  # microseconds; None while it runs


@value_type
class Unfinished:
    """An authorised call without outcome, as the log shows it."""

    id: str
    index: int  # of its decision entry
    leaf: str
    session: str
    tool: str
    actor: Mapping[str, Json]
    pin: str
    ts: int  # microseconds
    charges: tuple[Charge, ...] = ()  # returned when it turns out not to have been forwarded

    @classmethod
    def from_entry(
        cls, body: Mapping[str, Any], index: int, leaf: str, charges: tuple[Charge, ...] = ()
    ) -> Self:
        """The call that a decision entry authorises.

        charges  as it says them; only for a call that may still be settled
        """
        tool = body["tool"]
        return cls(
            body["id"],
            index,
            leaf,
            body["session"],
            tool["name"],
            body["actor"],
            tool["pin"],
            body["ts"],
            charges,
        )


class Calls:
    """Calls by key while they can be joined, and by id until they have an outcome.

    running  those that are at their upstream, to be cut short
    """

    def __init__(self) -> None:
        self._by_key: dict[Key, Call] = {}
        self._by_id: dict[str, Call] = {}
        self._unfinished: dict[str, Unfinished] = {}
        self._abandoned: dict[str, int] = {}  # call id -> microseconds
        self.running = RunningCalls()
        self.changed: set[str] = set()

    def earlier(self, key: Key, now: int) -> Call | None:
        """The identical call whose answer is still owed; `now` in microseconds."""
        call = self._by_key.get(key)
        if call is None:
            return None
        if call.ended is not None and call.ended + HOLD_US <= now:
            self._drop(call)
            return None
        return call

    def begin(self, call_id: str, key: Key) -> Call:
        """Note that a call is about to be recorded and forwarded."""
        call = Call(call_id, key, asyncio.get_running_loop().create_future())
        self._by_key[key] = call
        self._by_id[call_id] = call
        return call

    def end(self, call: Call, outcome: Outcome, now: int) -> None:
        """Hand the outcome to everyone who waits, and keep it until it is delivered."""
        call.ended = now
        if not call.answer.done():
            call.answer.set_result(outcome)
        if outcome.status in {"unavailable", "refused"}:  # nothing was done: a resend may try
            self._drop(call)

    def delivered(self, call_id: str) -> None:
        """The answer has reached its caller: the same call again is a new one."""
        call = self._by_id.get(call_id)
        if call is not None and call.ended is not None:
            self._drop(call)

    def hold(self, call_id: str, key: Key, outcome: Outcome, now: int) -> None:
        """After a crash, however long ago: from now on answer resends of this call with `outcome`
        for a while.
        """
        self.end(self.begin(call_id, key), outcome, now)

    def owed(self) -> list[int]:
        """Decision entries of calls that have ended and whose answers were not delivered."""
        answers = [call.answer.result() for call in self._by_id.values() if call.ended is not None]
        return [answer.receipt.index for answer in answers if answer.receipt is not None]

    def sweep(self, now: int) -> None:
        """Forget answers that nobody came back for."""
        for call in list(self._by_id.values()):
            if call.ended is not None and call.ended + HOLD_US <= now:
                self._drop(call)
        for call_id, since in list(self._abandoned.items()):
            if since + HOLD_US <= now:
                del self._abandoned[call_id]

    def _drop(self, call: Call) -> None:
        self._by_id.pop(call.id, None)
        if self._by_key.get(call.key) is call:
            del self._by_key[call.key]

    # -- the fold ---------------------------------------------------------------------------

    @property
    def unfinished(self) -> tuple[Unfinished, ...]:
        """What was authorised and has no outcome, oldest first."""
        return tuple(self._unfinished.values())

    def abandon(self, call_id: str, now: int) -> None:
        """The gate gave up waiting for this call's entry: should it become durable after all,
        it is closed as not forwarded.
        """
        self._abandoned[call_id] = now

    def authorised(
        self, body: Mapping[str, Any], index: int, leaf: str, charges: tuple[Charge, ...]
    ) -> bool:
        """A decision entry that authorises; True when the gate has abandoned the call."""
        call = Unfinished.from_entry(body, index, leaf, charges)
        self._unfinished[call.id] = call
        self.changed.add(call.id)
        return self._abandoned.pop(call.id, None) is not None

    def settled(self, call_id: str) -> Unfinished | None:
        """An outcome entry; the call that it ends, or None when that had ended before."""
        call = self._unfinished.pop(call_id, None)
        if call is None:
            return None
        if call_id in self.changed:  # it began since the view was last saved, and has no row there
            self.changed.discard(call_id)
        else:
            self.changed.add(call_id)
        return call

    # -- the stored view --------------------------------------------------------------------

    def stored(self, key: str) -> dict[str, Json] | None:
        """The row of one unfinished call; None when it has its outcome."""
        call = self._unfinished.get(key)
        return None if call is None else to_row(call)

    def restore(self, key: str, row: Mapping[str, Json]) -> None:
        """Take a row back that `stored` made."""
        call = from_row(Unfinished, row)
        assert call.id == key
        self._unfinished[key] = call

"""The gate: the only way to an effect.

`Gate.cross` takes one authenticated principal and one attempted action and answers with an
outcome. It reads in the order in which a call lives: it is resolved, checked and decided; counted
against limits; asked about where a rule says so; recorded; forwarded once, with a permit that
only a durable entry can make; examined; and its outcome recorded. Every way out of that order
is a refusal, and every refusal is recorded too.

Authentication and reading of the request come before (`gateway.faces`, `gateway.identity`).
"""

import asyncio
import time
from collections.abc import Coroutine, Mapping

import structlog

from audit.canonical import Json
from audit.entry import Receipt, Record
from audit.errors import AuditError
from gateway import answers
from gateway.action import Action, Outcome, Status
from gateway.approval.behind import people_behind
from gateway.approval.request import Request
from gateway.attempt import Attempt, Ground, attempt, outgrown, sees
from gateway.calls import Call
from gateway.catalogue.tools import Tool
from gateway.denials import Denials
from gateway.errors import (
    ArgumentsInvalid,
    SessionEnded,
    ToolChanged,
)
from gateway.forwarding import Forwarding
from gateway.links.jsonrpc import dump
from gateway.links.link import Answered, Caller, Permit
from gateway.principal import Principal
from gateway.records import MODEL, decision_entry, model_used, outcome_entry, settled_charges
from gateway.releasing import release
from gateway.rooms import Rooms
from gateway.session.charge import Charge
from gateway.session.limits import Reservation, Short
from gateway.session.terms import settlement

log = structlog.get_logger(__name__)

MOST_TRIES = 10
"""How often a call asks the fleet for more of a limit, when others are always faster."""

_TURNED_AWAY = frozenset({"denied", "refused"})
_HELD_UP = frozenset({"guard.throttled", *answers.BARRED})
"""What an agent is told while it is held up or suspended is nothing new about it."""


class Gate:
    """Decides, records and forwards; holds nothing of its own."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._denials = Denials(rooms)
        running = rooms.calls.running
        self._forwarding = Forwarding(rooms.links, running, rooms.watch, self._stopped)

    async def cross(self, principal: Principal, action: Action) -> Outcome:
        """Attempt `action` for `principal`; never raises for anything the caller can cause."""
        began = time.monotonic_ns()
        try:
            outcome = await self._cross(principal, action, began)
        except (AuditError, OSError) as error:  # OSError: a key to seal with cannot be kept
            log.error("call.unrecorded", reason=type(error).__name__)
            outcome = answers.not_recorded(action.called)
        self._rooms.metrics.crossed(outcome, time.monotonic_ns() - began)
        if outcome.status in _TURNED_AWAY and outcome.code not in _HELD_UP:
            self._rooms.watch.denied(principal, self._rooms.recorder.now())
        return outcome

    def listing(self, principal: Principal, server: str | None = None) -> tuple[Tool, ...]:
        """The tools `principal` may see, in a fixed order; of one server when it is named."""
        world, now = self._rooms.worlds.current, self._rooms.recorder.now()
        return tuple(
            tool
            for tool in world.catalogue.tools(server)
            if tool.callable
            and sees(world, principal, tool.qualified, now)
            and self._rooms.revocations.against(principal, tool.qualified) is None
        )

    async def refuse(
        self, principal: Principal | None, source: str, code: str, detail: str = ""
    ) -> Receipt | None:
        """Record that a face turned a request away before it became an action."""
        return await self._rooms.refusals.refuse(principal, source=source, code=code, detail=detail)

    def delivered(self, call: str) -> None:
        """A face has handed the answer of this call to its caller."""
        self._rooms.calls.delivered(call)

    # -- the path ---------------------------------------------------------------------------

    async def _cross(
        self, principal: Principal, action: Action, began: int, tries: int = 1
    ) -> Outcome:
        """The whole path; once more when it had to wait for others before it could be counted."""
        if not self._confirmed():
            return await self._denials.unconfirmed(principal, action)
        try:
            call = self._attempt(principal, action, began)  # steps 3 to 6
        except SessionEnded as error:
            return await self._denials.refused(
                principal, action, error.code, "this session has ended"
            )
        except ToolChanged as error:
            return await self._denials.refused(principal, action, error.code, answers.UNREVIEWED)
        except ArgumentsInvalid as error:
            return await self._denials.refused(principal, action, error.code, str(error))
        if call.tool is None or call.decision.effect == "deny":
            return await self._denials.denied(call)
        bar = self._rooms.revocations.against(principal, call.facts.tool)
        if bar is not None:
            return await self._denials.barred(principal, action, bar)
        if self._rooms.watch.holds(principal, call.facts.now):
            return await self._denials.refused(
                principal, action, "guard.throttled", answers.THROTTLED
            )
        earlier = None if call.is_read else self._rooms.calls.earlier(call.key(), call.facts.now)
        if earlier is not None:
            return await self._join(call, earlier)
        # No await since it was decided: what a condition has read of totals still holds.
        reservation = self._rooms.limits.reserve(call.world.snapshot, call)  # step 7
        if isinstance(reservation, Reservation):
            with reservation:
                return await self._authorise(call, call.tool, reservation)
        return await self._uncounted(call, reservation, tries)

    async def _uncounted(self, call: Attempt, short: Short | str, tries: int) -> Outcome:
        """A limit is used up, or more of it has to be asked for: then the call is decided anew,
        since others went on meanwhile.
        """
        if isinstance(short, str):
            return await self._denials.over_limit(call, short)
        assert self._rooms.sharing is not None, "only what a fleet shares is ever short"
        refused = await self._rooms.sharing.cover(short)
        if refused is None and tries < MOST_TRIES:
            return await self._cross(call.principal, call.action, call.began, tries + 1)
        return await self._denials.over_limit(call, refused or short.missing[0][0])

    def _attempt(self, principal: Principal, action: Action, began: int) -> Attempt:
        rooms = self._rooms
        now = rooms.recorder.now()
        session = rooms.sessions.live(principal, now // 1_000_000)
        world = rooms.worlds.current
        ground = Ground(
            world,
            rooms.epoch.value,
            session,
            rooms.limits,
            rooms.flow,
            now,
            began,
            rooms.digest_key,
        )
        return attempt(principal, action, ground, call_id=rooms.recorder.new_id())

    async def _authorise(self, call: Attempt, tool: Tool, reservation: Reservation) -> Outcome:
        """Steps 8 to 12 for a call that is allowed or asked about."""
        approval: str | None = None
        if call.decision.effect == "ask":
            request = self._rooms.approvals.find(call.key(), call.facts.now // 1_000_000)
            differs = () if request is None else outgrown(request, call)
            if request is None or differs or not self._rooms.approvals.claim(request, call.id):
                return await self._ask(call, request, differs)
            approval = request.id
        elif not call.is_read and self._rooms.watch.repeats(call.key(), call.facts.now):
            return await self._denials.guarded(call, "guard.repeats")
        self._rooms.watch.uses(call.facts.agent, call.facts.tool, call.facts.now)
        if call.is_read:
            receipt = await self._authorised(call, approval, reservation)
            return await self._carry(call, tool, receipt, reservation)
        # No await lies between the look for an earlier call and this.
        under_way = self._rooms.calls.begin(call.id, call.key())
        outcome = answers.not_recorded(call.action.called)  # true until the entry is durable
        try:
            receipt = await self._authorised(call, approval, reservation)
            outcome = answers.outcome_unknown(call.action.called, "upstream.unknown_outcome")
            outcome = await self._carry(call, tool, receipt, reservation)
        finally:
            self._rooms.calls.end(under_way, outcome, self._rooms.recorder.now())
        return outcome

    async def _ask(
        self, call: Attempt, request: Request | None, differs: tuple[str, ...]
    ) -> Outcome:
        """Step 8: answer from the request that governs this call, or open one."""
        if request is not None and request.state == "denied":
            receipt = await self._denials.noted(call)
            return answers.answered_no(call.action.called, request).recorded(receipt)
        if request is not None and request.state == "asked" and not differs:
            receipt = await self._denials.noted(call, code="approval.pending")
            return answers.pending(call.action.called, request).recorded(receipt)
        if self._rooms.approvals.is_full(call.facts.agent):
            return await self._denials.crowded(call)
        key = call.key()
        traced = self._rooms.flow.traced(call.world.snapshot, call.facts, key.arguments)
        root = self._rooms.sessions.get(call.facts.tree)
        asked = await self._rooms.approvals.ask(
            key,
            call.facts,
            call.decision,
            words=call.words,
            changed=differs,
            traced=traced,
            behind=people_behind((key.agent, *key.chain), root, call.world.snapshot),
        )
        receipt = Receipt(self._rooms.recorder.origin, asked.index, bytes.fromhex(asked.leaf))
        return answers.pending(call.action.called, asked).recorded(receipt)

    async def _carry(
        self, call: Attempt, tool: Tool, receipt: Receipt, reservation: Reservation
    ) -> Outcome:
        """Steps 10 to 12 for a call whose entry is durable."""
        who = call.principal
        caller = Caller(who.agent, who.user, who.chain)
        permit = Permit(
            tool.server,
            tool.name,
            tool.pin,
            call.words,
            caller,
            who.session,
            receipt,
            call.sent_as,
            who,
            call.action.until_s,
        )
        outcome, status, labels = await self._forward(call, permit)
        if status != "refused":
            reservation.keep()
        return await self._close(call, receipt, outcome, status, labels, reservation.charges)

    async def _authorised(
        self, call: Attempt, approval: str | None, reservation: Reservation
    ) -> Receipt:
        """Step 9: make the decision durable; only its receipt can become a permit."""
        fields = decision_entry(
            call,
            approval=approval,
            emits=call.emits,
            charges=reservation.charges,
            key=call.sent_as,
        )
        if call.rests and not call.is_read:
            self._rooms.flow.hold(call.id, call.facts.tree, call.write)
        try:
            return await self._rooms.recorder.decide(
                call.id, fields, subject=call.subject, words=call.words
            )
        except (AuditError, OSError, asyncio.CancelledError):  # it may become durable all the same
            self._rooms.calls.abandon(call.id, call.facts.now)
            raise

    async def _forward(self, call: Attempt, permit: Permit) -> tuple[Outcome, str, frozenset[str]]:
        """Steps 10 and 11: send the permit's bytes once; what comes back, and its labels."""
        answered = await self._forwarding.send(call, permit)
        if isinstance(answered, Answered):
            status: Status = "error" if answered.result.get("isError") is True else "done"
            carried = answered.labels | call.falls
            labels = await self._examined(call, permit, answered.result, carried)
            if call.facts.tool in call.world.snapshot.releases:
                rooms = self._rooms
                await release(call, answered.result, carried, rooms.flow, rooms.recorder)
            return Outcome(status, None, "", answered.result), status, labels
        outcome, came_of_it = answered
        if came_of_it != "error":
            return outcome, came_of_it, frozenset()
        labels = await self._examined(call, permit, outcome.text, call.falls)
        return outcome, came_of_it, labels

    def _examined(
        self, call: Attempt, permit: Permit, said: Mapping[str, Json] | str, carried: frozenset[str]
    ) -> Coroutine[None, None, frozenset[str]]:
        """Step 11: what a server said, looked at before anybody is told; the labels it carries."""
        snapshot, entry = call.world.snapshot, permit.receipt.index
        return self._rooms.flow.examine(snapshot, call.facts, said, carried, entry)

    async def _close(
        self,
        call: Attempt,
        receipt: Receipt,
        outcome: Outcome,
        status: str,
        labels: frozenset[str],
        charges: tuple[Charge, ...],
    ) -> Outcome:
        """Step 12: record what came of it.

        A read that puts no new label on the session may wait for the next batch; nothing else may.
        """
        words = outcome.text.encode() if outcome.result is None else dump(outcome.result)
        fields = outcome_entry(
            call.id,
            receipt,
            tool=call.facts.tool,
            session=call.principal.session,
            status=status,
            us=call.us,
            code=outcome.code,
            labels=labels,
        )
        if charges and outcome.result is not None:
            snapshot, tool = call.world.snapshot, call.facts.tool
            final = settlement(snapshot, tool, charges, outcome.result, len(words))
            fields |= settled_charges(final)
        if call.action.server == MODEL and outcome.result is not None:
            fields |= model_used(outcome.result)
        record = self._rooms.recorder.seal(
            self._rooms.recorder.new_id(),
            "outcome",
            fields,
            subject=call.subject,
            name="result",
            words=words,
        )
        if call.is_read and not (labels and self._are_new(call, labels)):
            self._rooms.recorder.leave(record, "outcome.lost")
        else:
            outcome = await self._settled(call, record, outcome)
        return self._given(call, outcome).recorded(receipt, call.id)

    def _are_new(self, call: Attempt, labels: frozenset[str]) -> bool:
        session = self._rooms.sessions.get(call.principal.session)
        return session is None or not labels <= session.labels

    def _given(self, call: Attempt, outcome: Outcome) -> Outcome:
        """What of an answer may be given out now: nothing, when rights were withdrawn meanwhile."""
        if outcome.status not in {"done", "error"}:
            return outcome
        bar: str | None = None if self._confirmed() else "epoch_unknown"
        if bar is None and self._rooms.epoch.value != call.epoch:
            bar = self._rooms.revocations.against(call.principal, call.facts.tool)
        if bar is None:
            return outcome
        return answers.withheld(call.action.called, bar, call.action.request_id)

    async def _settled(self, call: Attempt, record: Record, outcome: Outcome) -> Outcome:
        """Write the outcome of a call that may have acted; unrecorded, its result is not given."""
        try:
            await self._rooms.recorder.enqueue(record)
        except AuditError as error:
            log.error("outcome.lost", reason=error.code)
            # Its effect may stand; what it gave back must not be used without a record of it.
            if outcome.status not in {"refused", "unavailable"}:
                return answers.outcome_unknown(call.action.called, error.code)
        return outcome

    async def _join(self, call: Attempt, earlier: Call) -> Outcome:
        """Give a resent call the answer that its first sending is still owed."""
        receipt = await self._denials.noted(call, joined=earlier.id)
        shared = await asyncio.shield(earlier.answer)
        self._rooms.metrics.joined += 1
        return self._given(call, shared).recorded(receipt, earlier.id)

    def _confirmed(self) -> bool:
        """Whether it can be told now that nothing was withdrawn that is not known here."""
        return self._rooms.epoch.confirmed(time.monotonic_ns() // 1000)

    def _stopped(self, call: Attempt) -> Outcome | None:
        """What keeps a recorded call from being forwarded: something was revoked or activated
        since it was decided, or whether it was cannot be told.
        """
        rooms, name, reference = self._rooms, call.action.called, call.action.request_id
        if not self._confirmed():
            return answers.epoch_unknown(name, reference)
        if rooms.epoch.value != call.epoch or rooms.worlds.current is not call.world:
            return answers.changed_meanwhile(name, reference)
        return None

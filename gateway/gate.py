"""The gate: the only way to an effect.

`Gate.cross` takes one authenticated principal and one attempted action and answers with an
outcome. It reads in the order in which a call lives: it is resolved, checked and decided; counted
against limits; asked about where a rule says so; recorded; forwarded once, with a permit that
only a durable entry can make; examined; and its outcome recorded. Every way out of that order
is a refusal, and every refusal is recorded too.

Authentication and reading of the request come before (`gateway.faces`, `gateway.identity`).
"""

import asyncio
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from audit import canonical
from audit.canonical import Json
from audit.entry import Receipt
from audit.errors import AuditUnavailable
from gateway import answers
from gateway.action import Action, Outcome, Status
from gateway.approval.approvals import Approvals
from gateway.approval.request import Key, Request
from gateway.calls import Call, Calls
from gateway.catalogue.tools import Tool
from gateway.epoch import Epoch
from gateway.errors import ArgumentsInvalid, LinkError, LinkRefused, SessionEnded, ToolChanged
from gateway.identity.revocation import Revocations
from gateway.links.jsonrpc import dump
from gateway.links.link import Link, Permit
from gateway.metrics import Metrics
from gateway.principal import Principal
from gateway.recorder import Recorder
from gateway.records import decision_entry, outcome_entry
from gateway.refusals import Refusals
from gateway.session.limits import Limits, Reservation
from gateway.session.session import Session, Sessions
from gateway.world import World, Worlds
from policies.decision import Decision, Facts
from policies.kernel import decide, may_see

log = structlog.get_logger(__name__)

UPSTREAM_TIMEOUT_S = 60.0


class Masks(Protocol):
    """Knows every upstream secret, and takes it out of what comes back."""

    def clean(self, result: dict[str, Json]) -> dict[str, Json]:
        """The result without any of our credentials in it."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the gate works with; all of it lives as long as the gateway."""

    recorder: Recorder
    sessions: Sessions
    approvals: Approvals
    calls: Calls
    limits: Limits
    refusals: Refusals
    revocations: Revocations
    epoch: Epoch
    worlds: Worlds
    links: Mapping[str, Link]
    masks: Masks
    metrics: Metrics
    digest_key: bytes  # 32 bytes; keys the digests by which equal arguments are recognised


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call that has been resolved, checked and decided, and has had no effect yet."""

    id: str  # of the decision entry to come
    principal: Principal
    action: Action
    world: World
    epoch: int
    tool: Tool | None  # None: there is none of that name
    words: bytes  # the arguments: canonical, and exactly what would be forwarded
    facts: Facts
    decision: Decision
    emits: frozenset[str]  # labels this tool puts on the session
    is_read: bool
    began: int  # nanoseconds, monotonic
    key: Key

    @property
    def reference(self) -> str:
        """The id by which people find this call."""
        return self.action.request_id


class Gate:
    """Decides, records and forwards; holds nothing of its own."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def cross(self, principal: Principal, action: Action) -> Outcome:
        """Attempt `action` for `principal`; never raises for anything the caller can cause."""
        began = time.monotonic_ns()
        try:
            outcome = await self._cross(principal, action, began)
        except AuditUnavailable:
            outcome = answers.not_recorded(_name(action))
        self._rooms.metrics.crossed(outcome, time.monotonic_ns() - began)
        return outcome

    def listing(self, principal: Principal, server: str | None = None) -> tuple[Tool, ...]:
        """The tools `principal` may see, in a fixed order; of one server when it is named."""
        world = self._rooms.worlds.current
        return tuple(
            tool
            for tool in world.catalogue.tools(server)
            if tool.callable and self._sees(world, principal, tool.qualified)
        )

    async def refuse(
        self, principal: Principal | None, source: str, code: str, detail: str = ""
    ) -> Receipt | None:
        """Record that a face turned a request away before it became an action."""
        return await self._rooms.refusals.refuse(
            principal, source=source, code=code, detail=detail
        )

    def delivered(self, call: str) -> None:
        """A face has handed the answer of this call to its caller."""
        self._rooms.calls.delivered(call)

    # -- the path ---------------------------------------------------------------------------

    async def _cross(self, principal: Principal, action: Action, began: int) -> Outcome:
        try:
            attempt = self._decide(principal, action, began)
        except SessionEnded as error:
            return await self._refused(principal, action, error.code, "this session has ended")
        except ToolChanged as error:
            return await self._refused(
                principal, action, error.code, "the tool is not as it was reviewed"
            )
        except ArgumentsInvalid as error:
            return await self._refused(principal, action, error.code, str(error))
        if attempt.decision.effect == "deny" or attempt.tool is None:
            return await self._denied(attempt)
        earlier = None if attempt.is_read else self._owed(attempt)
        if earlier is not None:
            return await self._join(attempt, earlier)
        reservation = self._rooms.limits.reserve(attempt.world.snapshot, attempt)
        if isinstance(reservation, str):
            return await self._over_limit(attempt, reservation)
        with reservation:
            return await self._authorise(attempt, attempt.tool, reservation)

    def _decide(self, principal: Principal, action: Action, began: int) -> Attempt:
        """Steps 3 to 6: resolve, check, gather, decide. Has no effect and does not wait."""
        rooms = self._rooms
        world = rooms.worlds.current
        now = rooms.recorder.now()
        session = rooms.sessions.live(principal, now // 1_000_000)
        tool = world.catalogue.lookup(action.server, action.tool)
        name = _name(action)
        if tool is not None and self._sees(world, principal, name):
            if not tool.callable:
                raise ToolChanged(f"{name} is not the definition that was accepted")
            tool.check(action.args)
        facts = _facts(principal, session, name, action.args, now)
        decision = decide(world.snapshot, facts)
        words = canonical.write(action.args)
        rule = world.snapshot.tools.get(name)
        pin = "" if tool is None else tool.pin
        return Attempt(
            id=rooms.recorder.new_id(),
            principal=principal,
            action=action,
            world=world,
            epoch=rooms.epoch.value,
            tool=tool,
            words=words,
            facts=facts,
            decision=decision,
            emits=frozenset() if rule is None else rule.emits,
            is_read=rule is not None and rule.risk == "read",
            began=began,
            key=self._key(principal, name, pin, words),
        )

    async def _authorise(
        self, attempt: Attempt, tool: Tool, reservation: Reservation
    ) -> Outcome:
        """Steps 8 to 13 for a call that is allowed or asked about."""
        rooms = self._rooms
        approval: str | None = None
        if attempt.decision.effect == "ask":
            request = rooms.approvals.find(attempt.key, attempt.facts.now // 1_000_000)
            differs = () if request is None else _outgrown(request, attempt)
            if request is None or request.state != "approved" or differs:
                return await self._ask(attempt, request, differs)
            if not rooms.approvals.claim(request, attempt.id):
                return answers.pending(attempt.facts.tool, request)
            approval = request.id
        call = None if attempt.is_read else rooms.calls.begin(attempt.id, attempt.key)
        outcome = answers.outcome_unknown(attempt.facts.tool, "upstream.unknown_outcome")
        try:
            receipt = await self._record(attempt, approval)
            outcome = await self._forward(attempt, tool, receipt, reservation)
        except AuditUnavailable:
            outcome = answers.not_recorded(attempt.facts.tool)
            raise
        finally:
            if call is not None:
                rooms.calls.end(call, outcome, rooms.recorder.now())
        return outcome

    async def _ask(
        self, attempt: Attempt, request: Request | None, differs: tuple[str, ...]
    ) -> Outcome:
        """Step 8: answer from the request that governs this call, or open one."""
        tool = attempt.facts.tool
        if request is not None and request.state == "denied":
            return replace(answers.answered_no(tool, request), receipt=await self._note(attempt))
        if request is None or request.state != "asked" or differs:
            request = await self._rooms.approvals.ask(
                attempt.key, attempt.facts, attempt.decision, words=attempt.words, changed=differs
            )
        origin = self._rooms.recorder.origin
        receipt = Receipt(origin, request.index, bytes.fromhex(request.leaf))
        return replace(answers.pending(tool, request), receipt=receipt)

    async def _record(self, attempt: Attempt, approval: str | None) -> Receipt:
        """Step 9: make the decision durable; only its receipt can become a permit."""
        try:
            return await self._note(attempt, approval=approval, authorises=True)
        except AuditUnavailable:
            self._rooms.calls.abandon(attempt.id)
            raise

    async def _forward(
        self, attempt: Attempt, tool: Tool, receipt: Receipt, reservation: Reservation
    ) -> Outcome:
        """Steps 10 to 12: forward the permit's bytes once, examine, record the outcome."""
        rooms = self._rooms
        name = attempt.facts.tool
        if not self._still_stands(attempt):
            outcome = answers.changed_meanwhile(name, attempt.reference)
            return await self._close(attempt, receipt, outcome, "refused")
        permit = Permit(tool.server, tool.name, tool.pin, attempt.words, receipt)
        try:
            result = await rooms.links[tool.server].call(permit, timeout_s=UPSTREAM_TIMEOUT_S)
        except ToolChanged as error:
            why = "the tool is not as it was reviewed"
            outcome = answers.refused(error.code, why, attempt.reference)
            return await self._close(attempt, receipt, outcome, "refused")
        except LinkRefused as error:
            reservation.keep()
            outcome = answers.upstream_refused(name, error.error_message)
            return await self._close(attempt, receipt, outcome, "error")
        except LinkError as error:
            if error.acted is False:
                outcome = answers.upstream_down(name, error.code)
                return await self._close(attempt, receipt, outcome, "refused")
            reservation.keep()
            outcome = answers.outcome_unknown(name, error.code)
            return await self._close(attempt, receipt, outcome, "unknown")
        reservation.keep()
        result = rooms.masks.clean(result)
        status: Status = "error" if result.get("isError") is True else "done"
        outcome = Outcome(status, None, "", result)
        return await self._close(attempt, receipt, outcome, status)

    async def _close(
        self, attempt: Attempt, receipt: Receipt, outcome: Outcome, status: str
    ) -> Outcome:
        """Step 12: record what came of it. A read may wait for the next batch; nothing else may."""
        rooms = self._rooms
        fields = outcome_entry(
            attempt.id,
            receipt,
            tool=attempt.facts.tool,
            session=attempt.principal.session,
            status=status,
            labels=(),
            us=(time.monotonic_ns() - attempt.began) // 1000,
            code=outcome.code,
        )
        words = dump(outcome.result) if outcome.result is not None else outcome.text.encode()
        record = rooms.recorder.seal(
            rooms.recorder.new_id(),
            "outcome",
            fields,
            subject=attempt.principal.user or attempt.principal.agent,
            name="result",
            words=words,
        )
        if attempt.is_read:
            rooms.recorder.enqueue(record).add_done_callback(_report_lost_outcome)
        else:
            await rooms.recorder.append(record)
        return replace(outcome, receipt=receipt, call=attempt.id)

    # -- the ways out -----------------------------------------------------------------------

    async def _denied(self, attempt: Attempt) -> Outcome:
        name = attempt.facts.tool
        receipt = await self._note(attempt)
        named = [rule for rule in attempt.decision.rules if ":" not in rule]
        if attempt.tool is None or not named:
            outcome = answers.not_permitted(name, attempt.reference)
        else:
            outcome = answers.denied(name, attempt.decision, attempt.reference)
        return replace(outcome, receipt=receipt)

    async def _over_limit(self, attempt: Attempt, limit: str) -> Outcome:
        stopped = replace(
            attempt.decision, effect="deny", rules=(f"limit:{limit}",), obligations=()
        )
        receipt = await self._note(replace(attempt, decision=stopped))
        outcome = answers.over_limit(attempt.facts.tool, limit, attempt.reference)
        return replace(outcome, receipt=receipt)

    async def _refused(
        self, principal: Principal, action: Action, code: str, why: str
    ) -> Outcome:
        receipt = await self._rooms.refusals.refuse(
            principal,
            source=action.source,
            code=code,
            detail=why,
            facts={"tool": {"name": _name(action), "pin": None}, "session": principal.session},
        )
        return replace(answers.refused(code, why, action.request_id), receipt=receipt)

    async def _join(self, attempt: Attempt, earlier: Call) -> Outcome:
        """Give a resent call the answer that its first sending is still owed."""
        receipt = await self._note(attempt, joined=earlier.id)
        shared = await asyncio.shield(earlier.answer)
        self._rooms.metrics.joined += 1
        return replace(shared, receipt=receipt, call=earlier.id)

    async def _note(
        self,
        attempt: Attempt,
        *,
        approval: str | None = None,
        joined: str | None = None,
        authorises: bool = False,
    ) -> Receipt | None:
        """Write the decision entry; a denial in a flood of denials is counted instead."""
        rooms = self._rooms
        if not authorises and not rooms.refusals.admits(
            attempt.principal.agent, known=True, code="policy.denied", now=attempt.facts.now
        ):
            return None
        fields = decision_entry(
            attempt.principal,
            attempt.action,
            attempt.facts,
            attempt.decision,
            pin=None if attempt.tool is None else attempt.tool.pin,
            emits=attempt.emits if authorises else (),
            approval=approval,
            joined=joined,
            us=(time.monotonic_ns() - attempt.began) // 1000,
        )
        record = rooms.recorder.seal(
            attempt.id,
            "decision",
            fields,
            subject=attempt.principal.user or attempt.principal.agent,
            name="args",
            words=attempt.words,
        )
        return await rooms.recorder.append(record)

    # -- what the steps ask -----------------------------------------------------------------

    def _sees(self, world: World, principal: Principal, tool: str) -> bool:
        return may_see(
            world.snapshot,
            agent=principal.agent,
            user=principal.user,
            user_groups=principal.user_groups,
            chain=principal.chain,
            scopes=principal.scopes,
            tool=tool,
        )

    def _owed(self, attempt: Attempt) -> Call | None:
        return self._rooms.calls.earlier(attempt.key, attempt.facts.now)

    def _still_stands(self, attempt: Attempt) -> bool:
        """Whether nothing was revoked, stopped or activated since the call was decided."""
        rooms = self._rooms
        return (
            rooms.epoch.value == attempt.epoch
            and rooms.worlds.current is attempt.world
            and rooms.epoch.confirmed(rooms.recorder.now())
        )

    def _key(self, principal: Principal, tool: str, pin: str, words: bytes) -> Key:
        digest = hashlib.blake2b(words, key=self._rooms.digest_key, digest_size=32)
        return Key(
            agent=principal.agent,
            user=principal.user,
            chain=principal.chain,
            session=principal.session,
            tool=tool,
            pin=pin,
            arguments=digest.hexdigest(),
        )


def _name(action: Action) -> str:
    return f"{action.server}.{action.tool}"


def _facts(
    principal: Principal, session: Session, tool: str, args: Mapping[str, Json], now: int
) -> Facts:
    """Step 5. Provenance and totals have their place here; nothing fills them yet."""
    return Facts(
        agent=principal.agent,
        tool=tool,
        args=args,
        user=principal.user,
        user_groups=principal.user_groups,
        chain=principal.chain,
        scopes=principal.scopes,
        labels=session.labels,
        purpose=session.purpose,
        purpose_tools=session.tools,
        session=session.id,
        now=now,
    )


def _outgrown(request: Request, attempt: Attempt) -> tuple[str, ...]:
    """What the call, decided anew, asks beyond what was shown; empty when the answer fits."""
    differs = []
    if not set(attempt.decision.obligations) <= set(request.obligations):
        differs.append("obligations")
    if not attempt.facts.labels <= request.labels:
        differs.append("labels")
    if tuple(sorted(attempt.facts.provenance.items())) != request.provenance:
        differs.append("provenance")
    return tuple(differs)


def _report_lost_outcome(written: "asyncio.Future[Receipt]") -> None:
    if not written.cancelled() and written.exception() is not None:
        log.error("outcome.lost", reason=type(written.exception()).__name__)

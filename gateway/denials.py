"""Denials: every way in which a call does not go on, recorded and said to its caller."""

from audit.entry import Receipt
from gateway import answers
from gateway.action import Action, Outcome
from gateway.attempt import Attempt
from gateway.principal import Principal
from gateway.records import decision_entry
from gateway.rooms import Rooms
from gateway.runs.run import FACE


class Denials:
    """Answers in the place of a server. Raises AuditError where a denial cannot be recorded."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def denied(self, call: Attempt) -> Outcome:
        """A denial; without a rule that names this tool it reads as if there were no such tool."""
        receipt = await self.noted(call)
        if call.tool is None or not call.decision.rules:
            outcome = answers.not_permitted(call.action.called, call.action.request_id)
        else:
            outcome = answers.denied(call.action.called, call.decision, call.action.request_id)
        return outcome.recorded(receipt)

    async def over_limit(self, call: Attempt, limit: str) -> Outcome:
        """A limit or budget is used up."""
        receipt = await self.noted(call.denied(f"limit:{limit}"))
        outcome = answers.over_limit(call.action.called, limit, call.action.request_id)
        return outcome.recorded(receipt)

    async def guarded(self, call: Attempt, code: str) -> Outcome:
        """A guard of the deployment holds the call up, whatever the rules say."""
        receipt = await self.noted(call.denied(code.replace(".", ":")))
        outcome = answers.guarded(call.action.called, code, call.action.request_id)
        return outcome.recorded(receipt)

    async def crowded(self, call: Attempt) -> Outcome:
        """People have enough questions of this agent: it may come again, and a run waits for it."""
        if call.action.face != FACE:
            self._rooms.watch.crowds(call.facts.agent, call.facts.now)
            return await self.guarded(call, "guard.questions")
        receipt = await self.noted(call, code="approval.pending")
        return answers.in_line(call.action.called).recorded(receipt)

    async def barred(self, principal: Principal, action: Action, bar: str) -> Outcome:
        """Something was withdrawn or suspended. bar  which of `answers.BARRED`"""
        receipt = await self._note_refusal(principal, action, bar, answers.BARRED[bar])
        return answers.barred(bar, action.request_id).recorded(receipt)

    async def unconfirmed(self, principal: Principal, action: Action) -> Outcome:
        """It cannot be told whether rights still stand."""
        why = answers.BARRED["epoch_unknown"]
        receipt = await self._note_refusal(principal, action, "epoch_unknown", why)
        return answers.epoch_unknown(action.called, action.request_id).recorded(receipt)

    async def refused(self, principal: Principal, action: Action, code: str, why: str) -> Outcome:
        """It was not decided at all. why  our own words"""
        receipt = await self._note_refusal(principal, action, code, why)
        return answers.refused(code, why, action.request_id).recorded(receipt)

    async def noted(
        self, call: Attempt, *, joined: str | None = None, code: str = "policy.denied"
    ) -> Receipt | None:
        """Record a decision that authorises nothing; in a flood of denials it is counted."""
        rooms = self._rooms
        if joined is None and not rooms.refusals.admits(
            call.principal.agent, known=True, code=code, now=call.facts.now
        ):
            return None
        return await rooms.recorder.decide(
            call.id, decision_entry(call, joined=joined), subject=call.subject, words=call.words
        )

    async def _note_refusal(
        self, principal: Principal, action: Action, code: str, why: str
    ) -> Receipt | None:
        return await self._rooms.refusals.refuse(
            principal,
            source=action.source,
            code=code,
            detail=why,
            facts={
                "tool": {"name": f"{action.server}.{action.tool}", "pin": None},
                "session": principal.session,
            },
        )

"""Approvals: the questions that are open, and the answers that wait to be used.

The requests themselves are a fold of the log: they change by entries and by nothing else, so no
answer exists that the log does not hold. What is on its way into the log stands beside them. A
call that claims an approved request has it from that moment for itself, a request that is being
ended is open no more, and neither is ever given back: when the entry cannot be written, the call
has to be asked anew.
"""

import asyncio
import secrets
from collections.abc import Sequence
from typing import cast

from audit.canonical import Json
from gateway.approval.answering import Answering
from gateway.approval.line import Line
from gateway.approval.quorum import (
    due,
)
from gateway.approval.request import (
    OPEN,
    Key,
    Request,
    State,
    digest,
    obligation_to_json,
)
from gateway.approval.requests import anywhere
from gateway.errors import ApprovalRefused
from gateway.recorder import Recorder
from gateway.values.provenance import Traced
from policies.decision import Decision, Facts, Obligation

MOST_TRACED = 64
"""Values of a call that its question names: what fits into an entry."""

KEEP_S = 24 * 3600
"""How long after its time a request can still be looked up; then the log alone knows it."""


class Approvals(Answering):
    """Every request, and what is done with them.

    most  questions of one agent that wait for people at the same time
    line  runs that wait until there are fewer
    """

    def __init__(self, recorder: Recorder, *, most: int) -> None:
        super().__init__(recorder)
        self._most = most
        self.line = Line(lambda agent: not self.is_full(agent))
        self._asking: dict[Key, asyncio.Task[Request]] = {}
        self._waiting: dict[str, asyncio.Future[None]] = {}  # request id -> it is no longer open

    def answered(self, request_id: str) -> "asyncio.Future[None]":
        """Done when that request is no longer `asked`; what it became is to be looked up then."""
        waiting = self._waiting.get(request_id)
        if waiting is None:
            waiting = self._waiting[request_id] = asyncio.get_running_loop().create_future()
        request = self._by_id.get(request_id)
        if request is None or request.state != "asked":
            self._wake(request_id)
        return waiting

    def find(self, key: Key, now_s: int) -> Request | None:
        """The request that governs a call with this key now: refused and not yet over, or open.

        A no holds for the same agent, user, tool and arguments in every session and run, since an
        agent can get itself a new one.
        """
        refused = self._by_id.get(self._denied.get(anywhere(key), ""))
        if refused is not None and refused.expires > now_s:
            return refused
        request = self._by_id.get(self._by_key.get(key, ""))
        if request is None or request.expires <= now_s or not self._is_open(request.id):
            return None
        return request

    def is_full(self, agent: str) -> bool:
        """Whether people have enough questions of this agent to answer, or being put to them."""
        asking = sum(key.agent == agent for key in self._asking)
        return self._asked_by[agent] + asking >= self._most

    def claim(self, request: Request, call_id: str) -> bool:
        """Take an approved request for one call; False when another call was first.

        No await lies between the comparison and the change, and the change is never undone.
        """
        known = self._by_id.get(request.id)
        if known is None or known.state != "approved" or not self._is_open(request.id):
            return False
        self._taken[request.id] = call_id
        return True

    async def ask(
        self,
        key: Key,
        facts: Facts,
        decision: Decision,
        *,
        words: bytes,
        changed: Sequence[str],
        traced: Sequence[Traced] = (),
        behind: Sequence[str] = (),
    ) -> Request:
        """Open a request for the call of `key` and record it; one for all who ask at once.

        words    the canonical arguments, kept sealed
        changed  what differs from an earlier answer that no longer fits, for the people asked
        traced   its values, with where they were read
        behind   people who would answer their own question

        Raises AuditUnavailable.
        """
        asking = self._asking.get(key)
        if asking is None:
            opening = self._open(
                key, facts, decision, words=words, changed=changed, traced=traced, behind=behind
            )
            asking = self._asking[key] = asyncio.create_task(opening)
            asking.add_done_callback(lambda _: self._put_to_people(key))
        return await asyncio.shield(asking)  # who asked first may go away; the others still ask

    async def withdraw(self, request_id: str, *, by: str) -> Request:
        """Take a question back, for its asker or an operator.

        Raises ApprovalRefused and AuditUnavailable; after the latter no call can use it either.
        """
        request = self.get(request_id)
        if request is None or request.state not in OPEN:
            raise ApprovalRefused("approval.ended", "this request is not open")
        await self._end(request_id, "withdrawn", by=by)
        return self._by_id[request_id]

    async def pass_time(self, now_s: int) -> None:
        """Ask further people, end what is past its time, and forget what was so long ago.

        Raises AuditUnavailable.
        """
        for request in list(self._by_id.values()):
            if request.expires + KEEP_S < now_s and not request.owes_review:
                self._forget(request)
            elif request.expires <= now_s and request.state in OPEN:
                await self._end(request.id, "expired", by="clock")
            elif terms := due(request, now_s):
                await self._escalate(request, terms)

    def _is_open(self, request_id: str) -> bool:
        request = self.get(request_id)
        return request is not None and request.state in OPEN and request_id not in self._ending

    async def _open(
        self,
        key: Key,
        facts: Facts,
        decision: Decision,
        *,
        words: bytes,
        changed: Sequence[str],
        traced: Sequence[Traced],
        behind: Sequence[str],
    ) -> Request:
        now_s = self._recorder.now() // 1_000_000
        request_id = self._recorder.new_id()
        shown: dict[str, Json] = {
            **key.to_json(),
            "snapshot": decision.snapshot,
            "labels": cast("list[Json]", sorted(facts.labels)),
            "provenance": dict(facts.provenance),
            "evidence": [each.to_json() for each in traced[:MOST_TRACED]],
            "obligations": [obligation_to_json(o) for o in decision.obligations],
            "behind": list(behind),
        }
        nonce = secrets.token_hex(16)
        fields: dict[str, Json] = {
            **shown,
            "approval": request_id,
            "rules": list(decision.rules),
            "changed": list(changed),
            "nonce": nonce,
            "digest": digest(shown, nonce),
            "asked": now_s,
            "expires": now_s + min((o.expires_s for o in decision.obligations), default=0),
        }
        await self._recorder.write_sealed(
            "approval.asked", fields, subject=key.user or key.agent, name="args", words=words
        )
        return self._by_id[request_id]

    def _put_to_people(self, key: Key) -> None:
        del self._asking[key]
        self.line.call_up(key.agent)  # it may be that it could not be recorded

    async def _escalate(self, request: Request, terms: Sequence[Obligation]) -> None:
        fields: dict[str, Json] = {
            "approval": request.id,
            "terms": [each.approval for each in terms],
            "to": [each.escalate_to for each in terms],
            "by": "clock",
        }
        await self._recorder.write("approval.escalated", fields)

    async def _end(self, request_id: str, state: State, *, by: str) -> None:
        if request_id in self._taken:
            return
        self._ending.add(request_id)
        fields: dict[str, Json] = {"approval": request_id, "state": state, "by": by}
        await self._recorder.write("approval.ended", fields)

    def moved(self, before: Request | None, after: Request | None) -> None:
        """Wake who waits for it, and drop what was on its way when it is over."""
        request = after or before
        assert request is not None
        if after is None or after.state != "asked":
            self._wake(request.id)
        if after is None or after.state not in OPEN:
            self._taken.pop(request.id, None)
            self._ending.discard(request.id)
        if before is not None and before.state == "asked":
            self.line.call_up(request.key.agent)

    def _wake(self, request_id: str) -> None:
        waiting = self._waiting.pop(request_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

"""Answering: what people do with requests, one after the other.

Each act is judged by those before it, recorded, and only then done. Of two at once the second is
judged by what the first has made of the request.
"""

import asyncio
from dataclasses import replace

from audit.canonical import Json
from gateway.approval.emergency import Finding, check_break, check_review, longest_s
from gateway.approval.quorum import Members, answered, check_vote, groups_of, retracted
from gateway.approval.request import Request, Verdict, Vote
from gateway.approval.requests import Requests
from gateway.approval.signature import Said, Statement, Tap
from gateway.errors import ApprovalRefused
from gateway.guard.alarms import broken_glass
from gateway.operator.credentials import Operator
from gateway.recorder import Recorder


class Answering(Requests):
    """Requests, and the answers to them."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder
        self._taken: dict[str, str] = {}  # request id -> id of the call whose entry is under way
        self._ending: set[str] = set()
        self._answering = asyncio.Lock()

    def get(self, request_id: str) -> Request | None:
        """The request of that id, or None."""
        request = self._by_id.get(request_id)
        if request is None or request_id not in self._taken or request.state != "approved":
            return request
        return replace(request, state="claimed", call=self._taken[request_id])

    def all(self) -> tuple[Request, ...]:
        """Every known request, oldest first."""
        found = [request for name in self._by_id if (request := self.get(name)) is not None]
        return tuple(sorted(found, key=lambda request: (request.asked, request.id)))

    async def decide(
        self,
        request_id: str,
        operator: Operator,
        verdict: Verdict,
        *,
        reason: str,
        members: Members,
        tap: Tap | None = None,
    ) -> Request:
        """Record one person's answer; the request as it then stands.

        tap  what their passkey has signed; None: nothing

        Raises ApprovalRefused when there is no such open request or this person may not answer
        it, and AuditUnavailable when the answer could not be recorded: then it was not given.
        """
        async with self._answering:  # each answer is judged by those before it
            now_s = self._recorder.now() // 1_000_000
            request = self._asked(request_id, now_s)
            groups = groups_of(operator.name, operator.groups, request, members)
            passkey = None if tap is None else tap.passkey
            vote = Vote(operator.name, verdict, groups, now_s, passkey)
            check_vote(request, vote, reason=reason)
            fields: dict[str, Json] = {
                **vote.to_json(),
                "approval": request.id,
                "digest": request.digest,
                "state": answered(request, vote).state,
                "signed": None
                if tap is None
                else _signed(tap, request, vote.verdict, vote.operator),
            }
            await self._write("approval.decided", fields, operator, reason)
            return self._by_id[request_id]

    async def break_glass(
        self,
        request_id: str,
        operator: Operator,
        *,
        reason: str,
        for_s: int,
        members: Members,
        tap: Tap | None = None,
    ) -> Request:
        """Let one person approve a request alone, loudly; see `gateway.approval.emergency`.

        for_s  how long the yes can be used, at most as long as the policy lets it

        The alarm is an entry before the yes is one. Raises ApprovalRefused and AuditUnavailable.
        """
        async with self._answering:
            now_s = self._recorder.now() // 1_000_000
            request = self._asked(request_id, now_s)
            check_break(request, operator, members, reason=reason, is_signed=tap is not None)
            signed = None
            if tap is not None:
                signed = _signed(tap, request, "break-glass", operator.name)
            until = now_s + max(1, min(for_s, longest_s(request)))
            await self._recorder.write("alarm.raised", broken_glass(request, until))
            fields: dict[str, Json] = {
                "approval": request.id,
                "digest": request.digest,
                "by": operator.name,
                "state": "approved",
                "at": now_s,
                "until": until,
                "signed": signed,
            }
            await self._write("approval.break-glass", fields, operator, reason)
            return self._by_id[request_id]

    async def review(
        self,
        request_id: str,
        operator: Operator,
        finding: Finding,
        *,
        reason: str,
        members: Members,
    ) -> Request:
        """Say what it was when somebody approved a request alone.

        Raises ApprovalRefused and AuditUnavailable.
        """
        async with self._answering:
            request = self.get(request_id)
            if request is None:
                raise ApprovalRefused("approval.unknown", "there is no such request")
            check_review(request, operator, members, reason=reason)
            fields: dict[str, Json] = {
                "approval": request.id,
                "by": operator.name,
                "finding": finding,
            }
            await self._write("approval.reviewed", fields, operator, reason)
            return self._by_id[request_id]

    async def retract(self, request_id: str, operator: Operator) -> Request:
        """Take one's own yes back, while others are still asked; then one may answer anew.

        Raises ApprovalRefused and AuditUnavailable.
        """
        async with self._answering:
            now_s = self._recorder.now() // 1_000_000
            request = self._asked(request_id, now_s)
            if retracted(request, operator.name) == request:
                raise ApprovalRefused("approval.unanswered", "you have not answered this request")
            fields: dict[str, Json] = {"approval": request_id, "by": operator.name, "at": now_s}
            await self._recorder.write("approval.retracted", fields)
            return self._by_id[request_id]

    def _asked(self, request_id: str, now_s: int) -> Request:
        request = self.get(request_id)
        if request is None:
            raise ApprovalRefused("approval.unknown", "there is no such request")
        if request.state != "asked" or request_id in self._ending:
            raise ApprovalRefused("approval.ended", f"this request is over: {request.state}")
        if request.expires <= now_s:
            raise ApprovalRefused("approval.expired", "this request has expired")
        return request

    async def _write(
        self, kind: str, fields: dict[str, Json], operator: Operator, reason: str
    ) -> None:
        await self._recorder.write_sealed(
            kind, fields, subject=operator.name, name="reason", words=reason.encode()
        )


def _signed(tap: Tap, request: Request, said: Said, by: str) -> dict[str, Json]:
    statement = Statement(request.id, request.digest, said, by, tap.nonce)
    return tap.check(statement).to_json()

"""What a caller may see of itself: its session, and the state of the questions it caused.

`GET /v1/session`, `DELETE /v1/session` and `GET /v1/approvals/{id}`. A request of another principal
is answered like one that does not exist.
"""

import re
from collections.abc import Callable

from audit.canonical import Json
from audit.errors import AuditUnavailable
from gateway.approval.approvals import Approvals
from gateway.approval.asker import ABSENT, own_request, told
from gateway.errors import RequestRefused, SessionEnded
from gateway.faces.edge import Authenticate, Caller, Edge, Gate, MethodRefused
from gateway.faces.http import EdgeRules, Receive, Reply, Scope, Send
from gateway.faces.problems import problem
from gateway.faces.rest import APPROVALS, RESOURCE
from gateway.links.jsonrpc import dump
from gateway.links.link import Caller as Asker
from gateway.principal import Principal
from gateway.session.sessions import Sessions

SESSION = "/v1/session"

_APPROVAL = re.compile(rf"{APPROVALS}([0-9a-f-]{{36}})")


class OwnFace:
    """A caller's own session and requests, as one ASGI application."""

    def __init__(
        self,
        *,
        gate: Gate,
        authenticate: Authenticate,
        rules: EdgeRules,
        sessions: Sessions,
        approvals: Approvals,
        now_s: Callable[[], int],
    ) -> None:
        self._edge = Edge(rules, authenticate, gate)
        self._sessions = sessions
        self._approvals = approvals
        self._now_s = now_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; never raises for anything the caller can cause."""
        path: str = scope["path"]
        approval = _APPROVAL.fullmatch(path)
        resource = RESOURCE if approval or path == SESSION else None

        async def answer(caller: Caller) -> Reply:
            if approval is not None:
                return self._approval(caller, approval[1])
            return await self._session(caller)

        await self._edge.serve(scope, receive, send, resource=resource, answer=answer)

    async def _session(self, caller: Caller) -> Reply:
        try:
            session = self._sessions.live(caller.principal, self._now_s())
        except SessionEnded:
            raise RequestRefused("session.ended", "this session has ended") from None
        if caller.head.method == "DELETE":
            return await self._end(caller.principal)
        if caller.head.method != "GET":
            raise MethodRefused("GET, DELETE")
        body: dict[str, Json] = {
            "id": session.id,
            "agent": session.agent,
            "user": session.user,
            "ends": session.ends,
            "purpose": session.purpose,
        }
        return Reply(200, dump(body))

    async def _end(self, principal: Principal) -> Reply:
        try:
            await self._sessions.end(principal.session, by=f"agent:{principal.agent}")
        except AuditUnavailable as error:
            return problem(error.code, "it could not be recorded; the session goes on")
        return Reply(204)

    def _approval(self, caller: Caller, request_id: str) -> Reply:
        if caller.head.method != "GET":
            raise MethodRefused("GET")
        who = caller.principal
        asker = Asker(who.agent, who.user, who.chain)
        request = own_request(self._approvals, request_id, asker, who.session)
        if request is None:
            raise RequestRefused("approval.unknown", ABSENT)
        return Reply(200, dump(told(request)))

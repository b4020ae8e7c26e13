"""The way in of workers: `POST /v1/work/{verb}`, with a token of the agent that the worker is.

A worker acts for nobody and through nobody: a token that was handed on, or that speaks for a user,
is no worker's. An answer can take as long as people do; a connection that rests costs nothing.
"""

import asyncio
from collections.abc import Awaitable

from pydantic import BaseModel, ValidationError

from audit.canonical import Json, read
from audit.errors import NotStrict
from gateway.errors import RequestRefused
from gateway.faces.edge import Authenticate, Caller, Edge, Gate, MethodRefused
from gateway.faces.http import (
    ClientGone,
    EdgeRules,
    Receive,
    Reply,
    Scope,
    Send,
    check_json_request,
    read_body,
    until_left,
)
from gateway.faces.problems import problem
from gateway.links.jsonrpc import dump
from gateway.runs.errors import RunRefused
from gateway.runs.work import VERBS, Work

PREFIX = "/v1/work"


class WorkFace:
    """What workers ask, as one ASGI application."""

    def __init__(
        self, *, work: Work, gate: Gate, authenticate: Authenticate, rules: EdgeRules
    ) -> None:
        self._work = work
        self._edge = Edge(rules, authenticate, gate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; never raises for anything the caller can cause."""
        verb = scope["path"].removeprefix(f"{PREFIX}/")
        resource = PREFIX if verb in VERBS else None

        async def answer(caller: Caller) -> Reply:
            return await self._answer(caller, verb)

        await self._edge.serve(scope, receive, send, resource=resource, answer=answer)

    async def _answer(self, caller: Caller, verb: str) -> Reply:
        if caller.head.method != "POST":
            raise MethodRefused("POST")
        who = caller.principal
        if who.user is not None or who.chain:
            raise RequestRefused("run.not-carried", "a worker acts for nobody")
        check_json_request(caller.head)
        rules = self._edge.rules
        body = await read_body(caller.receive, caller.head, rules)
        model, do = VERBS[verb]
        asked = _read(model, body, rules)
        try:
            return Reply(200, dump(await _attended(do(self._work, who.agent, asked), caller)))
        except RunRefused as refused:
            return problem(refused.code, str(refused))


def _read(model: type[BaseModel], body: bytes, rules: EdgeRules) -> BaseModel:
    try:
        members = read(body, max_bytes=rules.max_body, max_depth=rules.max_depth)
        return model.model_validate(members)
    except NotStrict as error:
        raise RequestRefused(f"request.{error.code}", str(error)) from None
    except ValidationError as error:
        places = ", ".join(".".join(map(str, each["loc"])) for each in error.errors())
        raise RequestRefused("request.malformed", f"not as it has to be: {places[:200]}") from None


async def _attended(work: Awaitable[Json], caller: Caller) -> Json:
    """What comes of it; nobody waits any more when the worker has gone, the step itself goes on.

    Raises ClientGone.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.create_task(until_left(caller.receive))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        working.cancel()
        gone.cancel()

"""A2A 1.0 as agents speak it to us: `/a2a/{agent}`, JSON-RPC, with its card beside it.

Each message begins a task (`gateway.runs.tasks`): the agent is called across the gate like a tool,
in the name of who sent the message. Which agents there are is told to whom they are for: a card
needs the same token, and what is not for a caller is answered like what does not exist.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial

from audit.canonical import Json
from audit.errors import AuditError
from gateway.catalogue.tools import Tool
from gateway.errors import GatewayError, RequestRefused
from gateway.faces import a2a_answers as say
from gateway.faces.a2a_requests import (
    PUSH_UNSUPPORTED,
    ListTasks,
    OneTask,
    SendMessage,
    read_params,
)
from gateway.faces.edge import Authenticate, Caller, Edge, Gate, MethodRefused
from gateway.faces.events import Stream
from gateway.faces.http import EdgeRules, Receive, Reply, Scope, Send, check_json_body, read_body
from gateway.faces.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    Message,
    RpcRefused,
    as_rpc,
    read_message,
    result,
    unknown_method,
)
from gateway.links.jsonrpc import dump
from gateway.principal import Principal
from gateway.runs.run import Run
from gateway.runs.tasks import Progress, Tasks, unknown_agent

ANSWER_S = 50.0
"""How long a message may take to be answered; a task that takes longer is answered as it is."""

STREAM_S = 3600.0
"""How long one stream may last; a client subscribes again."""

_PATH = re.compile(r"/a2a/([a-z][a-z0-9-]{0,39})(/\.well-known/agent-card\.json)?")
_REFUSED = -32000
_NUMBERS: Mapping[str, int] = {
    "run.unknown": say.TASK_NOT_FOUND,
    "run.state": say.NOT_CANCELABLE,
    "run.input": INVALID_PARAMS,
}

_Method = Callable[["A2aFace", Principal, str, Message], Awaitable[Reply | Stream]]


class A2aFace:
    """Every agent's endpoint and card, as one ASGI application."""

    def __init__(
        self,
        *,
        gate: Gate,
        tasks: Tasks,
        authenticate: Authenticate,
        rules: EdgeRules,
        version: str,
    ) -> None:
        self._gate = gate
        self._tasks = tasks
        self._edge = Edge(rules, authenticate, gate)
        self._version = version

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; never raises for anything the caller can cause."""
        path = _PATH.fullmatch(scope["path"])
        resource = None if path is None else f"/a2a/{path[1]}"
        name, is_card = ("", False) if path is None else (path[1], path[2] is not None)
        answer = partial(self._card if is_card else self._answer, name)
        await self._edge.serve(scope, receive, send, resource=resource, answer=answer)

    async def _card(self, name: str, caller: Caller) -> Reply:
        if caller.head.method != "GET":
            raise MethodRefused("GET")
        url = self._edge.rules.public_url
        told = say.card(self._agent(caller, name), public_url=url, version=self._version)
        return Reply(200, dump(told))

    async def _answer(self, name: str, caller: Caller) -> Reply | Stream:
        if caller.head.method != "POST":
            raise MethodRefused("POST")
        message: Message | None = None
        try:
            check_json_body(caller.head)
            body = await read_body(caller.receive, caller.head, self._edge.rules)
            message = read_message(body, self._edge.rules)
            _check_version(caller)
            method = _METHODS.get(message.method)
            if message.id is None:
                raise RpcRefused(INVALID_REQUEST, "a request needs an `id`")
            if method is None:
                raise unknown_method()
            self._agent(caller, name)
            return await method(self, caller.principal, name, message)
        except (GatewayError, AuditError) as refused:
            if refused.code == "agent.unknown":  # as the card says it, and not in JSON-RPC
                raise RequestRefused(refused.code, str(refused)) from None
            return await self._refuse(caller, message, refused)

    def _agent(self, caller: Caller, name: str) -> Tool:
        agent = self._tasks.agents(caller.principal).get(name)
        if agent is None:
            raise RequestRefused("agent.unknown", str(unknown_agent()))
        return agent

    async def _refuse(
        self, caller: Caller, message: Message | None, error: GatewayError | AuditError
    ) -> Reply:
        """Record the refusal, and answer it as JSON-RPC."""
        refused = _as_a2a(error)
        if message is not None:
            refused.id = message.id
        source = caller.head.source
        await self._gate.refuse(caller.principal, source, code=refused.code, detail=str(refused))
        return Reply(200, say.error(refused))

    # -- methods ----------------------------------------------------------------------------

    async def send(self, principal: Principal, agent: str, message: Message) -> Reply:
        """`SendMessage`: answered when the task is over or waits for people."""
        run, wanted = await self._begun(principal, agent, message)
        most_s = 0.0 if wanted.configuration.return_immediately else ANSWER_S
        progress = await self._tasks.wait(run, lambda p: p.state == "waiting", most_s=most_s)
        return _reply(message, {"task": await self._told(run, progress)})

    async def send_streaming(self, principal: Principal, agent: str, message: Message) -> Stream:
        """`SendStreamingMessage`: the same, told while it happens."""
        run, _ = await self._begun(principal, agent, message)
        return Stream(self._events(run, message))

    async def get(self, principal: Principal, agent: str, message: Message) -> Reply:
        """`GetTask`."""
        run = self._tasks.find(principal, read_params(message, OneTask).id, agent)
        return _reply(message, await self._told(run, self._tasks.progress(run)))

    async def list(self, principal: Principal, agent: str, message: Message) -> Reply:
        """`ListTasks`: those of this caller, newest first."""
        wanted = read_params(message, ListTasks)
        known = [(run, self._tasks.progress(run)) for run in self._tasks.all(principal, agent)]
        found = [(run, progress) for run, progress in known if _fits(run, progress, wanted)]
        left = [each for each in found if not wanted.page_token or each[0].id < wanted.page_token]
        page = left[: wanted.page_size]
        told: list[Json] = [
            await self._told(run, progress, whole=wanted.include_artifacts)
            for run, progress in page
        ]
        token = page[-1][0].id if len(left) > len(page) else ""
        size, total = len(page), len(found)
        listed: dict[str, Json] = {"tasks": told, "nextPageToken": token}
        return _reply(message, {**listed, "pageSize": size, "totalSize": total})

    async def cancel(self, principal: Principal, agent: str, message: Message) -> Reply:
        """`CancelTask`."""
        run = self._tasks.find(principal, read_params(message, OneTask).id, agent)
        progress = await self._tasks.cancel(principal, run)
        return _reply(message, await self._told(run, progress))

    async def subscribe(self, principal: Principal, agent: str, message: Message) -> Stream:
        """`SubscribeToTask`: how a task stands, and what becomes of it."""
        run = self._tasks.find(principal, read_params(message, OneTask).id, agent)
        if self._tasks.progress(run).is_over:
            raise RpcRefused(say.UNSUPPORTED, "this task is over", code="run.state")
        return Stream(self._events(run, message))

    async def no_push(self, _principal: Principal, _agent: str, _message: Message) -> Reply:
        """Whatever has to do with push notifications: nothing of that is done here."""
        raise _no_push()

    async def no_extended_card(self, _p: Principal, _agent: str, _message: Message) -> Reply:
        """`GetExtendedAgentCard`: the one card is shown to those who may use it already."""
        raise RpcRefused(say.NO_EXTENDED_CARD, "there is no other card", code="a2a.unsupported")

    # -- tasks ------------------------------------------------------------------------------

    async def _begun(
        self, principal: Principal, agent: str, message: Message
    ) -> tuple[Run, SendMessage]:
        wanted = read_params(message, SendMessage)
        if wanted.configuration.push is not None:
            raise _no_push()
        said = wanted.message
        if said.task_id:
            self._tasks.find(principal, said.task_id, agent)
            raise RpcRefused(say.UNSUPPORTED, "a task takes one message", code="a2a.unsupported")
        if said.context_id not in {"", principal.session}:
            raise RpcRefused(INVALID_PARAMS, "`contextId` is none of yours")
        run = await self._tasks.begin(principal, agent, said.task(), key=said.message_id)
        return run, wanted

    async def _told(self, run: Run, progress: Progress, *, whole: bool = True) -> dict[str, Json]:
        artifacts: list[Json] = []
        if whole and progress.state == "done":
            artifacts.append(say.artifact(run, await self._tasks.answer(run)))
        return say.task(run, progress, artifacts)

    async def _events(self, run: Run, message: Message) -> AsyncIterator[bytes]:
        """How a task stands, and each change, until it is over."""
        progress = self._tasks.progress(run)
        yield result(message.id, {"task": await self._told(run, progress)})
        while not progress.is_over:
            before = progress
            progress = await self._tasks.wait(run, lambda p, b=before: p != b, most_s=STREAM_S)  # type: ignore[misc]  # a default
            if progress == before:
                return
            if progress.state == "done":
                answer = say.artifact(run, await self._tasks.answer(run))
                yield result(message.id, say.artifact_update(run, answer))
            yield result(message.id, say.status_update(run, progress))


_METHODS: Mapping[str, _Method] = {
    "SendMessage": A2aFace.send,
    "SendStreamingMessage": A2aFace.send_streaming,
    "GetTask": A2aFace.get,
    "ListTasks": A2aFace.list,
    "CancelTask": A2aFace.cancel,
    "SubscribeToTask": A2aFace.subscribe,
    "CreateTaskPushNotificationConfig": A2aFace.no_push,
    "GetTaskPushNotificationConfig": A2aFace.no_push,
    "ListTaskPushNotificationConfigs": A2aFace.no_push,
    "DeleteTaskPushNotificationConfig": A2aFace.no_push,
    "GetExtendedAgentCard": A2aFace.no_extended_card,
}


def _check_version(caller: Caller) -> None:
    stated = caller.head.headers.get(b"a2a-version", b"").decode("latin-1") or "0.3"
    if stated != say.VERSION:
        raise RpcRefused(
            say.VERSION_UNSUPPORTED, f"A2A-Version must be {say.VERSION}", code="a2a.version"
        )


def _fits(run: Run, progress: Progress, wanted: ListTasks) -> bool:
    return (
        wanted.context_id in {"", run.caller}
        and wanted.status in {"TASK_STATE_UNSPECIFIED", say.STATES[progress.state]}
        and progress.since >= wanted.after.timestamp()
    )


def _reply(message: Message, told: dict[str, Json]) -> Reply:
    return Reply(200, result(message.id, told))


def _as_a2a(error: GatewayError | AuditError) -> RpcRefused:
    if isinstance(error, RequestRefused):
        return as_rpc(error)
    number = _NUMBERS.get(error.code, _REFUSED)
    return RpcRefused(number, str(error), code=error.code)


def _no_push() -> RpcRefused:
    return RpcRefused(PUSH_UNSUPPORTED, "no push notifications", code="a2a.unsupported")

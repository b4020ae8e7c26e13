"""An agent of somebody else's, as the A2A project serves one: of 1.0, or of 0.3."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from a2a.helpers.proto_helpers import get_data_parts, get_text_parts, new_data_part, new_text_part
from a2a.server.agent_execution.agent_executor import AgentExecutor
from a2a.server.agent_execution.context import RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types.a2a_pb2 import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    Message,
    Part,
    Role,
    TaskState,
    TaskStatus,
)
from a2a.types.a2a_pb2 import Task as A2aTask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.listeners import address_of, bind, serving

Says = Callable[[Any, TaskUpdater], Awaitable[None]]
"""What the agent does with what it is told."""


@dataclass
class RemoteAgent:
    """The agent; `told` is what it was asked, `heard` the headers that it was asked with."""

    url: str
    card: dict[str, Any]
    told: list[Any] = field(default_factory=list)
    heard: list[dict[str, str]] = field(default_factory=list)
    message_ids: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)  # tasks that it was told nobody waits for


async def answers(said: Any, updater: TaskUpdater) -> None:  # noqa: ANN401 - JSON
    """Say it again."""
    part = new_text_part(f"heard: {said}") if isinstance(said, str) else new_data_part(said)
    await updater.add_artifact([part])
    await updater.complete()


@asynccontextmanager
async def remote_agent(does: Says = answers, *, version: str = "1.0") -> AsyncIterator[RemoteAgent]:
    listener = bind("127.0.0.1:0")
    url = f"http://{address_of(listener)}"
    agent = RemoteAgent(url, _card(url, version))
    handler = DefaultRequestHandler(
        agent_executor=_Executor(agent, does),
        task_store=InMemoryTaskStore(),
        agent_card=AgentCard(
            name="researcher",
            description="Finds things out.",
            version="7",
            default_input_modes=["text/plain"],
            default_output_modes=["text/plain"],
            skills=[AgentSkill(id="find", name="find", description="Finds.", tags=["x"])],
            capabilities=AgentCapabilities(streaming=False),
            supported_interfaces=[
                AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version="1.0")
            ],
        ),
    )

    async def card(request: Request) -> Response:
        agent.heard.append(dict(request.headers))
        return JSONResponse(agent.card)

    routes = create_jsonrpc_routes(handler, "/", enable_v0_3_compat=version == "0.3")
    app = Starlette(routes=[Route("/.well-known/agent-card.json", card), *routes])
    async with serving(app, listener):
        yield agent


def _card(url: str, version: str) -> dict[str, Any]:
    about: dict[str, Any] = {
        "name": "researcher",
        "description": "Finds things out.",
        "version": "7",
        "skills": [{"id": "find", "name": "find", "description": "Finds.", "tags": ["x"]}],
    }
    if version == "0.3":
        return {**about, "protocolVersion": "0.3.0", "url": url, "preferredTransport": "JSONRPC"}
    interface = {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    return {**about, "supportedInterfaces": [interface], "capabilities": {}}


class _Executor(AgentExecutor):
    def __init__(self, agent: RemoteAgent, does: Says) -> None:
        self._agent = agent
        self._does = does

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        message = context.message
        assert isinstance(message, Message)
        texts, data = get_text_parts(message.parts), get_data_parts(message.parts)
        said = texts[0] if texts else data[0]
        self._agent.told.append(said)
        self._agent.message_ids.append(message.message_id)
        state = context.call_context.state
        self._agent.heard.append(dict(state.get("headers", {})))
        task = context.current_task or A2aTask(
            id=context.task_id or "",
            context_id=context.context_id or "",
            status=TaskStatus(state=TaskState.TASK_STATE_SUBMITTED),
        )
        await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await self._does(said, updater)

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        task, within = context.task_id or "", context.context_id or ""
        self._agent.left.append(task)
        await TaskUpdater(event_queue, task, within).cancel()


def later(seconds: float = 0.05) -> Says:
    """An agent that works on for a while before it answers."""

    async def does(said: Any, updater: TaskUpdater) -> None:  # noqa: ANN401 - JSON
        await updater.start_work()
        await asyncio.sleep(seconds)
        await answers(said, updater)

    return does


def ends(state: str, text: str = "no") -> Says:
    """An agent that comes to another end, such as `failed` or `requires_input`."""

    async def does(_: Any, updater: TaskUpdater) -> None:  # noqa: ANN401 - JSON
        said = Message(message_id="m", role=Role.ROLE_AGENT, parts=[Part(text=text)])
        await getattr(updater, state)(said)

    return does

"""An A2A client as agents bring it: that of the A2A project, with one of our tokens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
from a2a.client import Client, ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.types.a2a_pb2 import (
    AgentCard,
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
)
from google.protobuf.json_format import (  # type: ignore[import-untyped]  # no stubs here
    MessageToDict,
    ParseDict,
)
from google.protobuf.struct_pb2 import Value  # type: ignore[import-untyped]  # no stubs here

from tests.harness.agent import Agent


@asynccontextmanager
async def connected(agent: Agent, to: str, *, streaming: bool = False) -> AsyncIterator[Client]:
    """The client of the A2A project, led by the card of one agent."""
    headers = {"authorization": f"Bearer {agent.token}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=30) as http:
        card = await card_of(http, f"{agent.url}/a2a/{to}")
        yield ClientFactory(ClientConfig(streaming=streaming, httpx_client=http)).create(card)


async def card_of(http: httpx.AsyncClient, url: str) -> AgentCard:
    """The card of the agent at that address."""
    return await A2ACardResolver(http, url).get_agent_card()


def message(
    *parts: Any,  # noqa: ANN401 - texts, or JSON
    key: str | None = None,
    at_once: bool = False,
) -> SendMessageRequest:
    """A request to send one message."""
    said = [Part(text=p) if isinstance(p, str) else Part(data=ParseDict(p, Value())) for p in parts]
    return SendMessageRequest(
        message=Message(message_id=key or uuid4().hex, role=Role.ROLE_USER, parts=said),
        configuration=SendMessageConfiguration(return_immediately=at_once),
    )


async def events(client: Client, request: SendMessageRequest) -> list[dict[str, Any]]:
    """Everything that a client is told about one message."""
    return [told(event) async for event in client.send_message(request)]


def told(said: object) -> dict[str, Any]:
    """What the client has read, as JSON."""
    found: dict[str, Any] = MessageToDict(said)
    return found


async def task(client: Client, request: SendMessageRequest) -> dict[str, Any]:
    """The task that a message comes to, where it is not streamed."""
    (event,) = await events(client, request)
    found: dict[str, Any] = event["task"]
    return found


def answer(task_: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """What came of a task."""
    (part,) = task_["artifacts"][0]["parts"]
    return part["text"] if "text" in part else part["data"]

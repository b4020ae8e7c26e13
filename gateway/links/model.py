"""Models: a request to one is a tool call like any other, `model.<name>`, with its use counted.

`ModelPort` is the one interface to providers; `OpenAiModel` speaks the chat completions that most
of them offer. Prices are the deployment's: no table of ours could be right for long.
"""

from dataclasses import dataclass
from typing import Protocol, cast

from audit.canonical import Json
from gateway.errors import LinkGarbage
from gateway.links.link import Answered, Permit
from gateway.links.local import OwnTool
from gateway.links.remote import Remote

MICRO = 1_000_000

_KEPT = frozenset({"content", "tool_calls"})


@dataclass(frozen=True, slots=True)
class Price:
    """What tokens cost, in millionths of the deployment's unit for a million tokens."""

    input: int = 0
    output: int = 0

    def of(self, read: int, written: int) -> int:
        """The cost of a request, in millionths of the unit, rounded up."""
        return -(-(read * self.input + written * self.output) // MICRO)


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered, and the tokens that it counts for it.

    message  as chat completions have it: `content`, and `tool_calls` where it wants tools
    """

    message: dict[str, Json]
    read: int
    written: int


class ModelPort(Protocol):
    """A model, wherever it runs."""

    async def complete(
        self, messages: list[Json], tools: list[Json], max_tokens: int
    ) -> Completion:
        """Ask it once. Raises LinkError."""


class ModelRefused(Exception):
    """The provider says no; the message is its own."""


class OpenAiModel:
    """A model behind an endpoint for chat completions (`POST .../chat/completions`)."""

    def __init__(self, remote: Remote, model: str) -> None:
        self._remote = remote
        self._model = model

    async def complete(
        self, messages: list[Json], tools: list[Json], max_tokens: int
    ) -> Completion:
        """Ask it once. Raises LinkError and ModelRefused."""
        body: dict[str, Json] = {
            "model": self._model,
            "messages": messages,
            "max_tokens": max_tokens,
            "stream": False,
        }
        if tools:
            body |= {"tools": tools, "parallel_tool_calls": False}
        status, members = await self._remote.ask(body)
        if status != 200:
            raise ModelRefused(f"the provider answered with HTTP {status}")
        try:
            return _completion(members)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise LinkGarbage(self._remote.server, "no chat completion") from error


def model_tool(name: str, model: ModelPort, price: Price) -> OwnTool:
    """The model as a tool of the server `model`."""

    async def handle(args: dict[str, Json], _: Permit) -> Answered:
        messages, tools = cast("list[Json]", args["messages"]), cast("list[Json]", args["tools"])
        try:
            found = await model.complete(messages, tools, cast("int", args["max_tokens"]))
        except ModelRefused as error:
            return Answered({"content": [{"type": "text", "text": str(error)}], "isError": True})
        told: dict[str, Json] = {
            "message": found.message,
            "tokens": found.read + found.written,
            "cost": price.of(found.read, found.written),
        }
        return Answered({"content": [], "structuredContent": told, "isError": False})

    return OwnTool(_definition(name), handle)


def _definition(name: str) -> dict[str, Json]:
    objects: dict[str, Json] = {"type": "array", "items": {"type": "object"}}
    return {
        "name": name,
        "description": f"One request to the model {name}.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "messages": objects,
                "tools": objects,
                "max_tokens": {"type": "integer", "minimum": 1},
            },
            "required": ["messages", "tools", "max_tokens"],
        },
    }


def _completion(members: dict[str, Json]) -> Completion:
    choices = cast("list[dict[str, Json]]", members["choices"])
    message = cast("dict[str, Json]", choices[0]["message"])
    usage = cast("dict[str, Json]", members["usage"])
    kept = {name: value for name, value in message.items() if name in _KEPT}
    return Completion(kept, _count(usage["prompt_tokens"]), _count(usage["completion_tokens"]))


def _count(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("no number of tokens")
    return value

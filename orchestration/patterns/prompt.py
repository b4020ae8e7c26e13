"""Prompt agents: a model with instructions, and the tools that it may use, in a loop of ours.

Each request to the model and each tool that it wants is one step of the run: decided, recorded,
kept. Tools are called one after another, since they are the effects that are governed here.
"""

from collections.abc import Mapping
from typing import cast

from gateway.errors import NotUnderstood
from gateway.links.jsonrpc import dump, read
from gateway.runs.run import Json
from orchestration.context import Context
from orchestration.models import ask
from orchestration.parts import Prompt, Tool
from orchestration.stop import Stopped

MOST_ARGUMENTS = 64 * 1024
"""Longest arguments that a model may write for a tool, in bytes."""


async def prompt(here: Context, node: Prompt, value: Json) -> Json:
    """What the model answers when it wants no more tools. Raises Stopped."""
    if here.place.opens:
        value = await here.whole(value)
    task = value if isinstance(value, str) else dump(value).decode()
    messages: list[Json] = [
        {"role": "system", "content": node.instructions},
        {"role": "user", "content": task},
    ]
    tools = await here.tools(node.tools)
    offered = [_offered(name, tool) for name, tool in tools.items()]
    for _ in range(node.max_turns):
        message = await ask(here, node, messages, offered)
        messages.append({"role": "assistant", **message})
        wanted = message.get("tool_calls")
        if not isinstance(wanted, list) or not wanted:
            return message.get("content")
        for call in wanted:
            told = call if isinstance(call, dict) else {}
            said = await _called(here, tools, told)
            messages.append({"role": "tool", "tool_call_id": told.get("id"), "content": said})
    raise here.exhausted("turns", f"no answer after {node.max_turns} turns")


async def _called(here: Context, tools: Mapping[str, Json], call: Mapping[str, Json]) -> str:
    """What a tool gave, or why it gave nothing: the model is told, and may do something else."""
    function = call.get("function")
    wanted = function if isinstance(function, dict) else {}
    tool = tools.get(str(wanted.get("name")))
    if not isinstance(tool, dict):
        return "There is no such tool."
    args = _arguments(wanted.get("arguments"))
    if args is None:
        return "The arguments are no JSON object."
    try:
        said = await here.whole(await here.call(Tool(name=str(tool["tool"])), args, opens=True))
    except Stopped as stopped:
        if stopped.reason in {"cancelled", "exhausted", "unknown", "tripped"}:
            raise
        return stopped.detail
    return said if isinstance(said, str) else dump(said).decode()


def _offered(name: str, tool: Json) -> Json:
    """A tool as chat completions take it."""
    told = cast("dict[str, Json]", tool)
    function: dict[str, Json] = {
        "name": name,
        "description": told["description"],
        "parameters": told["schema"],
    }
    return {"type": "function", "function": function}


def _arguments(text: Json) -> dict[str, Json] | None:
    try:
        raw = text.encode() if isinstance(text, str) else b""
        args = read(raw, max_bytes=MOST_ARGUMENTS)
    except NotUnderstood:
        return None
    return args if isinstance(args, dict) else None

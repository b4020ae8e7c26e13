"""The memory tools: arguments in, a result with the labels of what was read out.

They are reached through the gate alone, like those of any server. What is absent and what is
another's are answered with the same words.
"""

from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import cast

from audit.canonical import Json
from gateway.errors import MemoryRefused
from gateway.links.jsonrpc import dump
from gateway.links.link import Answered, Permit
from gateway.links.local import Handler, LocalLink, OwnTool
from gateway.memory.definitions import DEFINITIONS, SERVER
from gateway.memory.memory import Found, Memory, Writer
from gateway.memory.place import Reach, reach
from policies.document import SESSION
from policies.snapshot import Snapshot

ABSENT = "There is nothing under this key."
NO_SPACE = "There is no such space for you."

_BEGINNING = 200

_Args = Mapping[str, Json]
_Tool = Callable[[Permit, Reach, _Args], Awaitable[Answered]]


def memory_link(memory: Memory, snapshot: Callable[[], Snapshot]) -> LocalLink:
    """The way to memory; `snapshot` is the policy in force, which says who has which space."""
    tools = _Tools(memory)
    by_name: Mapping[str, _Tool] = {
        "put": tools.put,
        "get": tools.get,
        "search": tools.search,
        "delete": tools.delete,
    }
    definitions = {str(definition["name"]): definition for definition in DEFINITIONS}
    own = {
        name: OwnTool(definitions[name], _handler(tool, snapshot)) for name, tool in by_name.items()
    }
    return LocalLink(SERVER, own)


def _handler(tool: _Tool, snapshot: Callable[[], Snapshot]) -> Handler:
    async def handle(args: dict[str, Json], permit: Permit) -> Answered:
        space = cast("str", args.get("space", SESSION))
        at = reach(snapshot(), permit.caller, permit.session, space)
        if at is None:
            return _refuses(NO_SPACE)
        try:
            return await tool(permit, at, args)
        except MemoryRefused as refused:
            return _refuses(str(refused))

    return handle


class _Tools:
    """What each of them does, in a place that its caller may use."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def put(self, permit: Permit, to: Reach, args: _Args) -> Answered:
        key, value = cast("str", args["key"]), cast("str", args["value"])
        keep_s = cast("int | None", args.get("keep_s"))
        expires = await self._memory.put(to, _writer(permit), key, value, keep_s)
        return _shows({"kept": True, "expires": expires})

    async def get(self, _: Permit, at: Reach, args: _Args) -> Answered:
        found = await self._memory.get(at, cast("str", args["key"]))
        if found is None:
            return _refuses(ABSENT)
        return _shows({"value": found.text, **_origin(found)}, found.item.labels)

    async def search(self, _: Permit, at: Reach, args: _Args) -> Answered:
        found = await self._memory.search(at, cast("str", args["text"]))
        rows: list[Json] = [
            {"key": each.key, "begins": each.text[:_BEGINNING], **_origin(each)} for each in found
        ]
        labels = frozenset().union(*(each.item.labels for each in found))
        return _shows({"found": rows}, labels)

    async def delete(self, permit: Permit, at: Reach, args: _Args) -> Answered:
        if await self._memory.delete(at, _writer(permit), cast("str", args["key"])):
            return _shows({"forgotten": True})
        return _refuses(ABSENT)


def _writer(permit: Permit) -> Writer:
    who = permit.caller
    actor: dict[str, Json] = {"agent": who.agent, "chain": list[Json](who.chain), "sub": who.user}
    return Writer(actor, permit.session, permit.receipt)


def _origin(found: Found) -> dict[str, Json]:
    """Who wrote it, when, and after what contact: a reader is to know whom it believes."""
    item = found.item
    return {
        "author": item.agent,
        "user": item.user,
        "labels": list[Json](sorted(item.labels)),
        "provenance": item.provenance,
        "written": item.written,
        "expires": item.expires,
        "sha256": sha256(found.text.encode()).hexdigest(),
    }


def _shows(value: dict[str, Json], labels: frozenset[str] = frozenset()) -> Answered:
    content: list[Json] = [{"type": "text", "text": dump(value).decode()}]
    return Answered({"content": content, "structuredContent": value, "isError": False}, labels)


def _refuses(text: str) -> Answered:
    return Answered({"content": [{"type": "text", "text": text}], "isError": True})

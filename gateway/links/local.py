"""A link to a server that is part of this process: memory, agents, models, people to ask.

What it offers is part of the program and of the configuration, so there is nothing to reach and
nothing to review; its calls need a permit like any other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Self, cast

import structlog

from audit.canonical import Json
from gateway.catalogue.pins import pin
from gateway.errors import LinkError, LinkLost, LinkTimeout, NameRefused, ToolChanged
from gateway.links.jsonrpc import read
from gateway.links.link import Answered, Caller, LinkState, Permit

log = structlog.get_logger(__name__)

Handler = Callable[[dict[str, Json], Permit], Awaitable[Answered]]
"""Does what a call asks for; it is given the arguments as they were decided on.

Raises LinkError, of which only LinkDown says that nothing was done.
"""


@dataclass(frozen=True, slots=True)
class OwnTool:
    """One tool of such a server; `definition` is what a server would list it as (MCP `Tool`)."""

    definition: Mapping[str, Json] = field(repr=False)
    handle: Handler = field(repr=False)

    @property
    def name(self) -> str:
        """Its name at its server."""
        return cast("str", self.definition["name"])


class LocalLink:
    """The `Link` to one such server."""

    def __init__(self, name: str, tools: Mapping[str, OwnTool]) -> None:
        self.name = name
        self.state: LinkState = "up"
        self.on_change: Callable[[str], None] = lambda _: None
        self._tools = {each: (tool, pin(tool.definition)) for each, tool in tools.items()}

    def joined(self, more: Mapping[str, OwnTool]) -> Self:
        """The same with further tools. Raises NameRefused where one is there already."""
        mine = {name: tool for name, (tool, _) in self._tools.items()}
        if twice := sorted(mine.keys() & more.keys()):
            raise NameRefused(f"{self.name}.{twice[0]} is a tool of the gateway's own")
        return type(self)(self.name, {**mine, **more})

    async def start(self) -> None:
        """Nothing has to be reached."""

    async def definitions(self) -> tuple[dict[str, Json], ...]:
        """The definitions of its tools."""
        return tuple(dict(tool.definition) for tool, _ in self._tools.values())

    def prepare(self, caller: Caller) -> None:
        """No credential is needed."""

    async def call(self, permit: Permit, *, timeout_s: float) -> Answered:
        """Do what the permit says, once. Raises LinkError and ToolChanged; see `Link.call`."""
        found = self._tools.get(permit.tool)
        if found is None or found[1] != permit.pin:
            raise ToolChanged(f"{self.name}.{permit.tool} is not the definition of the permit")
        args = cast("dict[str, Json]", read(permit.arguments, max_bytes=len(permit.arguments)))
        try:
            async with asyncio.timeout(timeout_s):
                return await found[0].handle(args, permit)
        except TimeoutError:
            raise LinkTimeout(self.name, f"{permit.tool}: no answer in {timeout_s:g} s") from None
        except LinkError:
            raise
        except Exception as error:
            log.exception("own_tool.failed", server=self.name, tool=permit.tool)
            raise LinkLost(self.name, f"{permit.tool} failed: {type(error).__name__}") from error

    async def close(self) -> None:
        """Nothing is open."""

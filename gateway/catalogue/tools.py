"""The catalogue: the accepted tools, how they are found, and which of them may be called.

It is immutable, and built from the lock and the gateway's own tools; what servers say meanwhile
only blocks tools.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from audit.canonical import Json
from gateway.catalogue.arguments import ArgumentCheck
from gateway.catalogue.names import check_tool, publish
from gateway.catalogue.pins import Accepted, Changes, Lock, pin
from gateway.errors import SchemaRefused, ToolChanged


@dataclass(frozen=True, slots=True)
class Tool:
    """One accepted tool of one server.

    name        its own name, as the server knows it
    published   the name under which agents see it beside the tools of other servers
    definition  as accepted, equal as JSON to what the server sent then
    pin         digest of that definition
    blocked     why it may not be called at present; None when it may
    """

    server: str
    name: str
    published: str
    definition: Mapping[str, Json] = field(repr=False)
    pin: str
    blocked: str | None = None
    arguments: ArgumentCheck | None = field(default=None, repr=False, compare=False)

    @property
    def qualified(self) -> str:
        """Its name in policies: `server.tool`."""
        return f"{self.server}.{self.name}"

    @property
    def callable(self) -> bool:
        """Whether it may be called at present."""
        return self.blocked is None

    @property
    def input_schema(self) -> Mapping[str, Json] | None:
        """The schema of its arguments, as the server stated it."""
        schema = self.definition.get("inputSchema")
        return schema if isinstance(schema, dict) else None

    def check(self, args: Mapping[str, Json]) -> None:
        """Check a call's arguments against the accepted schema.

        Raises ArgumentsInvalid, or ToolChanged when the tool is blocked.
        """
        if self.blocked is not None or self.arguments is None:
            raise ToolChanged(f"{self.qualified}: {self.blocked}")
        self.arguments.check(args)


class Catalogue:
    """All accepted tools, in the order of their published names.

    digest  of the lock it was built from
    """

    def __init__(self, tools: Mapping[tuple[str, str], Tool], digest: str) -> None:
        self.digest = digest
        self._tools = MappingProxyType(dict(tools))
        ordered = sorted(tools.values(), key=lambda tool: tool.published)
        self._published = {tool.published: tool for tool in ordered}
        self._by_server: dict[str | None, tuple[Tool, ...]] = {None: tuple(ordered)}
        for tool in ordered:
            earlier = self._by_server.get(tool.server, ())
            self._by_server[tool.server] = (*earlier, tool)

    @classmethod
    def of(cls, lock: Lock, own: Iterable[Tool] = ()) -> "Catalogue":
        """The catalogue that a lock describes; a tool that cannot be checked is blocked.

        own  the tools of reserved servers, which no lock holds
        """
        every = (*_tools(lock), *own)
        return cls({(tool.server, tool.name): tool for tool in every}, lock.digest)

    def lookup(self, server: str, tool: str) -> Tool | None:
        """The tool of that name of that server."""
        return self._tools.get((server, tool))

    def by_published(self, name: str) -> Tool | None:
        """The tool that is published under that name."""
        return self._published.get(name)

    def tools(self, server: str | None = None) -> tuple[Tool, ...]:
        """All tools, or those of one server, in the order of their published names."""
        return self._by_server.get(server, ())

    def observed(self, server: str, changes: Changes) -> "Catalogue":
        """The same catalogue, with the tools of `server` blocked that are not as accepted."""
        tools = dict(self._tools)
        for tool in self.tools(server):
            blocked = (
                "changed or gone since it was accepted" if tool.name in changes.blocked else None
            )
            if tool.arguments is not None:
                tools[server, tool.name] = replace(tool, blocked=blocked)
        return Catalogue(tools, self.digest)


def own_tool(server: str, definition: Mapping[str, Json]) -> Tool:
    """A tool of a server that is part of the gateway. Raises NameRefused."""
    name = str(definition.get("name"))
    check_tool(server, name)
    return _tool(server, name, Accepted(publish(server, name), definition, pin(definition)))


def _tools(lock: Lock) -> Iterator[Tool]:
    for server, tools in lock.servers.items():
        for name, accepted in tools.items():
            yield _tool(server, name, accepted)


def _tool(server: str, name: str, accepted: Accepted) -> Tool:
    tool = Tool(server, name, accepted.published, accepted.definition, accepted.pin)
    try:
        check = ArgumentCheck.compile(tool.qualified, accepted.definition.get("inputSchema"))
    except SchemaRefused as error:
        return replace(tool, blocked=str(error))
    return replace(tool, arguments=check)

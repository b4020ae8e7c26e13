"""A link to one MCP server: reached, greeted, listed, watched, and reached again when it is lost.

The way there is a `Transport` (a local process or HTTP). One `Conversation` is one connection
from greeting to end; its tools are listed before the first call, so a call whose permit was given
for another definition is refused here, however the server was restarted in between.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson
import structlog

from audit.canonical import Json
from gateway import idempotency
from gateway.errors import (
    GatewayError,
    LinkDown,
    LinkError,
    LinkGarbage,
    LinkLost,
    NotUnderstood,
    ToolChanged,
)
from gateway.links import era as eras
from gateway.links.era import Era
from gateway.links.greeting import Greeting, Listed
from gateway.links.jsonrpc import Failure
from gateway.links.link import Answered, Caller, LinkState, Permit
from gateway.links.masking import Masks
from gateway.links.transport import Request, Transport

BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

_STEADY_S = 30.0  # after so long a conversation the next attempt starts with the first delay again
_CHANGE_EVERY_S = 0.5

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Conversation:
    transport: Transport
    era: Era
    tools: Mapping[str, Listed]


class McpLink:
    """The `Link` to one MCP server, over whatever transport `connect` makes.

    connect   makes a transport; what it is given is called when the server says that its tools
              changed
    masks     what the server says leaves the link without any of our secrets
    versions  protocol versions that may be used with this server
    backoff   seconds between attempts to reach it; the last one is repeated
    look_again_s  how often its tools are said to be possibly changed although it says nothing;
              None where it would say so
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[Callable[[], None]], Awaitable[Transport]],
        *,
        masks: Masks,
        versions: Sequence[str] = eras.VERSIONS,
        backoff: Sequence[float] = BACKOFF_S,
        look_again_s: float | None = None,
    ) -> None:
        self.name = name
        self.state: LinkState = "down"
        self.trouble: str | None = None
        self.on_change: Callable[[str], None] = lambda _name: None
        self._connect = connect
        self._greeting = Greeting(name, versions, masks)
        self._backoff = tuple(backoff)
        self._look_again_s = look_again_s
        self._conversation: _Conversation | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._leaving: asyncio.Future[None] | None = None
        self._closed = False
        self._change: asyncio.TimerHandle | None = None
        self._told = 0.0

    async def start(self) -> None:
        """Begin to reach the server and keep at it in the background; returns at once."""
        if self._supervisor is None:
            self.state = "starting"
            self._supervisor = asyncio.create_task(self._supervise(), name=f"link {self.name}")

    async def definitions(self) -> tuple[dict[str, Json], ...]:
        """Ask for the tool definitions anew; equal as JSON to what the server sent."""
        conversation = self._live()
        definitions = await self._greeting.list_tools(conversation.transport, conversation.era)
        self._take(definitions, conversation)
        return tuple(tool for tool in definitions if tool["name"] in conversation.tools)

    def prepare(self, caller: Caller) -> Awaitable[object] | None:
        """See that there is a credential for a call of `caller`."""
        return self._live().transport.prepare(caller)

    async def call(self, permit: Permit, *, timeout_s: float) -> Answered:
        """Send the call once and return what came back."""
        conversation = self._live()
        tool = conversation.tools.get(permit.tool)
        if tool is None or tool.pin != permit.pin or permit.server != self.name:
            raise ToolChanged(f"{self.name}: {permit.tool} is not defined as it was accepted")
        mirrored = b""
        if tool.mirrored:
            mirrored = eras.mirrored_headers(tool.mirrored, orjson.loads(permit.arguments))
        tail = tool.tail
        if permit.key is not None:
            tail = conversation.era.keyed_tail(permit.key)
            mirrored += idempotency.header_line(permit.key)
        params = tool.head + permit.arguments + tail
        caller, until_s = permit.caller, permit.until_s
        request = Request(
            "tools/call", conversation.era, params, permit.tool, mirrored, caller, until_s
        )
        message = await conversation.transport.ask(request, timeout_s=timeout_s)
        if isinstance(message, Failure) and message.code in eras.OUTDATED:
            conversation.transport.renew("the server has changed since it was greeted")
        result = self._greeting.result(message)
        try:
            eras.check_call_result(result)
        except NotUnderstood as error:
            raise LinkGarbage(self.name, str(error)) from error
        return Answered(result)

    async def close(self) -> None:
        """End the link; calls that wait for an answer fail with LinkLost."""
        self._closed = True
        if self._change is not None:
            self._change.cancel()
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        if self._leaving is not None:
            await self._leaving
        self.state = "down"

    def _live(self) -> _Conversation:
        if self._conversation is None:
            raise LinkDown(self.name, f"not connected ({self.trouble or self.state})")
        return self._conversation

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        attempt = 0
        while True:
            begun = loop.time()
            try:
                await self._converse()
            except Exception:  # outermost: a server must not be able to end its own supervision
                log.exception("link.failed", server=self.name)
            if loop.time() - begun > _STEADY_S:
                attempt = 0
            await asyncio.sleep(self._backoff[min(attempt, len(self._backoff) - 1)])
            attempt += 1

    async def _converse(self) -> None:
        """One conversation, from opening to end."""
        transport: Transport | None = None
        trouble: GatewayError = LinkDown(self.name, "an error of ours; see the log")
        try:
            transport = await self._connect(self._changed)
            await transport.open()
            era = await self._greeting.agree(transport)
            conversation = _Conversation(transport, era, {})
            definitions = await self._greeting.list_tools(transport, era)
            self._take(definitions, conversation)
            self._conversation, self.state, self.trouble = conversation, "up", None
            log.info("link.up", server=self.name, version=era.version, tools=len(definitions))
            trouble = await self._watch(transport)
        except GatewayError as error:
            trouble = error
        except asyncio.CancelledError:
            trouble = LinkLost(self.name, "the link was closed")
            raise
        finally:
            self._conversation, self.state, self.trouble = None, "down", str(trouble)
            log.warning("link.down", server=self.name, code=trouble.code, why=self.trouble)
            if transport is not None:
                await self._leave(transport)

    async def _leave(self, transport: Transport) -> None:
        """Not to be cut short: a process that is half ended would be left behind."""
        ending = transport.close() if self._closed else transport.retire()
        self._leaving = asyncio.ensure_future(ending)
        await asyncio.shield(self._leaving)

    async def _watch(self, transport: Transport) -> LinkError:
        """Until the conversation ends, tell now and then that its tools may have changed."""
        ended = asyncio.ensure_future(transport.ended())
        try:
            while True:
                self._changed()
                await asyncio.wait([ended], timeout=self._look_again_s)
                if ended.done():
                    return ended.result()
        finally:
            ended.cancel()

    def _take(self, definitions: Sequence[dict[str, Json]], conversation: _Conversation) -> None:
        """From now on these are the tools that can be called."""
        conversation.tools = self._greeting.callable_tools(
            definitions,
            conversation.era,
            mirrors_parameters=conversation.transport.mirrors_parameters,
        )

    def _changed(self) -> None:
        """Tell that the tools may have changed; of a flood of such notices, few are told."""
        if self._change is None:
            loop = asyncio.get_running_loop()
            self._change = loop.call_at(self._told + _CHANGE_EVERY_S, self._tell_change)

    def _tell_change(self) -> None:
        self._change = None
        self._told = asyncio.get_running_loop().time()
        self.on_change(self.name)

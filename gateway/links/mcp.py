"""A link to one MCP server: reached, greeted, listed, watched, and reached again when it is lost.

The way there is a `Transport` (a local process or HTTP). One `Conversation` is one connection
from greeting to end; its tools are listed before the first call, so a call whose permit was given
for another definition is refused here, however the server was restarted in between.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson
import structlog

from audit.canonical import Json
from audit.value import value_type
from gateway import idempotency
from gateway.catalogue.pins import pin
from gateway.errors import (
    GatewayError,
    LinkDown,
    LinkError,
    LinkGarbage,
    LinkLost,
    LinkRefused,
    LinkTimeout,
    LinkUnsupported,
    NotUnderstood,
    ToolChanged,
)
from gateway.links import era as eras
from gateway.links.era import Era, MirroredParameter
from gateway.links.jsonrpc import Answer, Failure
from gateway.links.link import Answered, Caller, LinkState, Permit
from gateway.links.masking import MASK, Masks

BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

_PROBE_S = 10.0
_GREETING_S = 15.0  # a PyPI server needs 3 s on a loaded machine
_STEADY_S = 30.0  # after so long a conversation the next attempt starts with the first delay again
_MAX_PAGES = 64
_MAX_TOOLS = 1024
_CHANGE_EVERY_S = 0.5

log = structlog.get_logger(__name__)


@value_type
class Request:
    """One request or notification, ready for any transport.

    name       mirrored in `Mcp-Name` over HTTP, where the era asks for it
    mirrored   `Mcp-Param-*` header lines, and that with the call's idempotency key
    caller     for whom it is made; None: the gateway itself
    until_s    when nobody waits for it any more, seconds since 1970; None: nothing is known of it
    """

    method: str
    era: Era
    params: bytes = b"{}"
    name: str | None = None
    mirrored: bytes = b""
    caller: Caller | None = None
    until_s: int | None = None


class Transport(Protocol):
    """One connection to a server, from `open` to its end.

    All raise LinkError; `ask` raises LinkDown only when nothing was sent, and sends once.
    """

    mirrors_parameters: bool

    async def open(self) -> None:
        """Reach the server, up to where requests can be sent."""

    def prepare(self, caller: Caller) -> Awaitable[object] | None:
        """Get the credential for a call of `caller`; None where it takes none. Raises LinkDown."""

    async def ask(self, request: Request, *, timeout_s: float) -> Answer | Failure:
        """Send one request and wait for what comes back for it."""

    async def tell(self, notification: Request) -> None:
        """Send one notification."""

    async def ended(self) -> LinkError:
        """Wait until the connection cannot be used any more, and say why."""

    def renew(self, why: str) -> None:
        """End this conversation, so that another begins."""

    async def retire(self) -> None:
        """Take no more requests; where that is possible, those that wait get their answers."""

    async def close(self) -> None:
        """End it; whoever waits for an answer gets LinkLost."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """A tool as this conversation knows it, with what is the same in each call."""

    pin: str
    head: bytes
    tail: bytes
    mirrored: tuple[MirroredParameter, ...]


@dataclass(slots=True)
class _Conversation:
    transport: Transport
    era: Era
    tools: Mapping[str, _Listed]


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
        self._masks = masks
        self._versions = tuple(versions)
        self._backoff = tuple(backoff)
        self._look_again_s = look_again_s
        self._probe_hurt = False
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
        definitions = await self._list(conversation.transport, conversation.era)
        conversation.tools = self._read_definitions(definitions, conversation)
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
        result = self._result(message)
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
            era = await self._greet(transport)
            conversation = _Conversation(transport, era, {})
            definitions = await self._list(transport, era)
            conversation.tools = self._read_definitions(definitions, conversation)
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

    async def _greet(self, transport: Transport) -> Era:
        """Agree on a version: 2026-07-28 where the server has it, else the handshake before it."""
        if eras.MODERN in self._versions and await self._is_modern(transport):
            return Era(eras.MODERN)
        handshake = [version for version in eras.HANDSHAKE if version in self._versions]
        if not handshake:
            raise LinkGarbage(self.name, "offers no protocol version that is allowed for it")
        offer = Era(handshake[0])
        request = Request("initialize", offer, eras.initialize_params(offer.version))
        result = self._result(await transport.ask(request, timeout_s=_GREETING_S))
        try:
            era = eras.read_initialize(result, self._versions)
        except NotUnderstood as error:
            raise LinkGarbage(self.name, str(error)) from error
        await transport.tell(Request("notifications/initialized", era))
        return era

    async def _is_modern(self, transport: Transport) -> bool:
        """Ask `server/discover`; where that ended the last conversation, do not ask this time."""
        if self._probe_hurt:
            self._probe_hurt = False
            return False
        era = Era(eras.MODERN)
        probe = Request("server/discover", era, era.params())
        try:
            answer = await transport.ask(probe, timeout_s=_PROBE_S)
        except (LinkTimeout, LinkLost, LinkGarbage):
            self._probe_hurt = True
            raise
        return isinstance(answer, Answer) and eras.read_discover(answer.result)

    async def _list(self, transport: Transport, era: Era) -> list[dict[str, Json]]:
        definitions: list[dict[str, Json]] = []
        members: dict[str, Json] = {}
        for _ in range(_MAX_PAGES):
            request = Request("tools/list", era, era.params(**members))
            result = self._result(await transport.ask(request, timeout_s=_GREETING_S))
            try:
                page, cursor = eras.read_tools(result)
            except NotUnderstood as error:
                raise LinkGarbage(self.name, str(error)) from error
            definitions += page
            if len(definitions) > _MAX_TOOLS:
                break
            if cursor is None:
                return definitions
            members = {"cursor": cursor}
        raise LinkGarbage(self.name, f"more than {_MAX_TOOLS} tools or {_MAX_PAGES} pages of them")

    def _read_definitions(
        self, definitions: Sequence[dict[str, Json]], conversation: _Conversation
    ) -> Mapping[str, _Listed]:
        """The tools that can be called; one whose header marks are invalid is left out."""
        listed: dict[str, _Listed] = {}
        for definition in definitions:
            name = str(definition["name"])
            if name in listed:
                raise LinkGarbage(self.name, "lists two tools of the same name")
            if MASK in name:
                log.warning("tool.left_out", server=self.name, tool=name, why="names a secret")
                continue
            mirrored: tuple[MirroredParameter, ...] = ()
            if conversation.transport.mirrors_parameters and conversation.era.modern:
                try:
                    mirrored = eras.mirrored_parameters(definition.get("inputSchema"))
                except NotUnderstood as error:
                    log.warning("tool.left_out", server=self.name, tool=name, why=str(error))
                    continue
            listed[name] = _Listed(pin(definition), *conversation.era.call_params(name), mirrored)
        return listed

    def _result(self, message: Answer | Failure) -> dict[str, Json]:
        if isinstance(message, Failure):
            raise LinkRefused(self.name, message.code, self._masks.text(message.message))
        if not eras.is_complete(message.result):
            raise LinkUnsupported(self.name, "asks for input or defers to a task")
        return self._masks.clean(message.result)

    def _changed(self) -> None:
        """Tell that the tools may have changed; of a flood of such notices, few are told."""
        if self._change is None:
            loop = asyncio.get_running_loop()
            self._change = loop.call_at(self._told + _CHANGE_EVERY_S, self._tell_change)

    def _tell_change(self) -> None:
        self._change = None
        self._told = asyncio.get_running_loop().time()
        self.on_change(self.name)

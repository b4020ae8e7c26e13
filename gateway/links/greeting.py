"""Greetings: what is agreed with an MCP server, and which tools it lists, before any call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from audit.canonical import Json
from gateway.catalogue.pins import pin
from gateway.errors import (
    LinkGarbage,
    LinkLost,
    LinkRefused,
    LinkTimeout,
    LinkUnsupported,
    NotUnderstood,
)
from gateway.links import era as eras
from gateway.links.era import Era, MirroredParameter
from gateway.links.jsonrpc import Answer, Failure
from gateway.links.masking import MASK, Masks
from gateway.links.transport import Request, Transport

_PROBE_S = 10.0
_GREETING_S = 15.0  # a PyPI server needs 3 s on a loaded machine
_MAX_PAGES = 64
_MAX_TOOLS = 1024

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Listed:
    """A tool as this conversation knows it, with what is the same in each call."""

    pin: str
    head: bytes
    tail: bytes
    mirrored: tuple[MirroredParameter, ...]


class Greeting:
    """How one server is spoken to before it is called, over whatever transport reaches it.

    masks     what the server says leaves here without any of our secrets
    versions  protocol versions that may be used with it
    """

    def __init__(self, name: str, versions: Sequence[str], masks: Masks) -> None:
        self._name = name
        self._versions = tuple(versions)
        self._masks = masks
        self._probe_hurt = False

    async def agree(self, transport: Transport) -> Era:
        """Agree on a version: 2026-07-28 where the server has it, else the handshake before it.

        Raises LinkError.
        """
        if eras.MODERN in self._versions and await self._is_modern(transport):
            return Era(eras.MODERN)
        handshake = [version for version in eras.HANDSHAKE if version in self._versions]
        if not handshake:
            raise LinkGarbage(self._name, "offers no protocol version that is allowed for it")
        offer = Era(handshake[0])
        request = Request("initialize", offer, eras.initialize_params(offer.version))
        result = self.result(await transport.ask(request, timeout_s=_GREETING_S))
        try:
            era = eras.read_initialize(result, self._versions)
        except NotUnderstood as error:
            raise LinkGarbage(self._name, str(error)) from error
        await transport.tell(Request("notifications/initialized", era))
        return era

    async def list_tools(self, transport: Transport, era: Era) -> list[dict[str, Json]]:
        """Every tool that it has, equal as JSON to what it sent. Raises LinkError."""
        definitions: list[dict[str, Json]] = []
        members: dict[str, Json] = {}
        for _ in range(_MAX_PAGES):
            request = Request("tools/list", era, era.params(**members))
            result = self.result(await transport.ask(request, timeout_s=_GREETING_S))
            try:
                page, cursor = eras.read_tools(result)
            except NotUnderstood as error:
                raise LinkGarbage(self._name, str(error)) from error
            definitions += page
            if len(definitions) > _MAX_TOOLS:
                break
            if cursor is None:
                return definitions
            members = {"cursor": cursor}
        raise LinkGarbage(self._name, f"more than {_MAX_TOOLS} tools or {_MAX_PAGES} pages of them")

    def callable_tools(
        self, definitions: Sequence[dict[str, Json]], era: Era, *, mirrors_parameters: bool
    ) -> Mapping[str, Listed]:
        """The tools that can be called; one whose header marks are invalid is left out.

        Raises LinkGarbage when two have one name.
        """
        listed: dict[str, Listed] = {}
        for definition in definitions:
            name = str(definition["name"])
            if name in listed:
                raise LinkGarbage(self._name, "lists two tools of the same name")
            if MASK in name:
                log.warning("tool.left_out", server=self._name, tool=name, why="names a secret")
                continue
            mirrored: tuple[MirroredParameter, ...] = ()
            if mirrors_parameters and era.modern:
                try:
                    mirrored = eras.mirrored_parameters(definition.get("inputSchema"))
                except NotUnderstood as error:
                    log.warning("tool.left_out", server=self._name, tool=name, why=str(error))
                    continue
            listed[name] = Listed(pin(definition), *era.call_params(name), mirrored)
        return listed

    def result(self, message: Answer | Failure) -> dict[str, Json]:
        """What it answered, without any of our secrets. Raises LinkRefused, LinkUnsupported."""
        if isinstance(message, Failure):
            raise LinkRefused(self._name, message.code, self._masks.text(message.message))
        if not eras.is_complete(message.result):
            raise LinkUnsupported(self._name, "asks for input or defers to a task")
        return self._masks.clean(message.result)

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

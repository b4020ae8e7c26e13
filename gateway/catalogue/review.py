"""Review: what servers offer now, beside what a person accepted.

A tool that is not as it was accepted is blocked the moment it is seen, and stays blocked until an
operator has accepted the difference. Accepting names the digest of what was reviewed, so nothing
that a server changed in between slips in.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import structlog

from audit.canonical import Json
from audit.errors import AuditUnavailable
from gateway.catalogue.pins import Changes, Lock
from gateway.catalogue.tools import Catalogue, Tool
from gateway.errors import GatewayError, LinkError, ReviewRefused
from gateway.links.jsonrpc import dump_sorted
from gateway.links.link import Link
from gateway.recorder import Recorder

log = structlog.get_logger(__name__)

RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Offer:
    """What one server offers now; `digest` names it (SHA-256, hex)."""

    definitions: tuple[Mapping[str, Json], ...] = field(repr=False)
    changes: Changes
    digest: str


class Review:
    """Watches every link, keeps the catalogue true, and accepts what an operator accepts."""

    def __init__(
        self,
        links: Mapping[str, Link],
        path: Path,
        *,
        recorder: Recorder,
        on_catalogue: Callable[[Catalogue], None],
        own: Sequence[Tool] = (),
    ) -> None:
        """Reads the lock. Raises LockUnreadable.

        on_catalogue  told of every new catalogue
        own           the gateway's own tools, which nobody reviews
        """
        self._links = links
        self._path = path
        self._recorder = recorder
        self._on_catalogue = on_catalogue
        self._own = tuple(own)
        self._lock = Lock.read(path)
        self._offers: dict[str, Offer] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._one_at_a_time = asyncio.Lock()
        self.catalogue = Catalogue.of(self._lock, self._own)

    def watch(self) -> None:
        """Look at a server whenever it is reached or says that its tools changed."""
        for link in self._links.values():
            link.on_change = self._look

    async def close(self) -> None:
        """Stop looking."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def offer(self, server: str) -> Offer | None:
        """What that server offers now; None while it has not been reached."""
        return self._offers.get(server)

    def is_accepted(self, server: str) -> bool:
        """Whether anything of that server was ever accepted."""
        return server in self._lock.servers

    async def accept(
        self, server: str, digest: str, *, by: str, check: Callable[[Catalogue], None]
    ) -> Catalogue:
        """Accept what `server` offers, if that is still what `digest` names.

        check  raises when the policy in force could not stand on the new catalogue

        Raises ReviewRefused, NameRefused, SchemaRefused, AuditUnavailable, or what `check` does;
        then nothing has changed.
        """
        async with self._one_at_a_time:
            offer = self._offers.get(server)
            if offer is None or offer.digest != digest:
                raise ReviewRefused(f"{server} does not offer what that digest names")
            lock = self._lock.accept(server, offer.definitions)
            catalogue = Catalogue.of(lock, self._own)
            check(catalogue)
            pins: dict[str, Json] = {name: tool.pin for name, tool in lock.servers[server].items()}
            await self._recorder.write(
                "server.accepted",
                {
                    "server": server,
                    "pins": _digest(pins),
                    "lock": lock.digest,
                    "tools": len(pins),
                    "by": by,
                },
            )
            lock.write(self._path)
            self._lock = lock
            self._offers[server] = _offer(lock, server, offer.definitions)
            self._publish(catalogue)
            return self.catalogue

    def _look(self, server: str) -> None:
        running = self._tasks.get(server)
        if running is not None:
            running.cancel()
        self._tasks[server] = asyncio.create_task(self._observe(server))

    async def _observe(self, server: str) -> None:
        while True:
            try:
                definitions = await self._links[server].definitions()
                offer = _offer(self._lock, server, definitions)
            except LinkError:
                return  # it will be looked at again when it is reached again
            except GatewayError as error:
                log.error("server.unreadable", server=server, reason=str(error))
                return
            before = self._offers.get(server)
            self._offers[server] = offer
            self._publish(self.catalogue.observed(server, offer.changes))
            if before is not None and before.digest == offer.digest:
                return
            try:
                await self._note(server, offer)
            except AuditUnavailable:
                await asyncio.sleep(RETRY_S)
                del self._offers[server]
            else:
                return

    async def _note(self, server: str, offer: Offer) -> None:
        """Record that a server offers something other than what was accepted."""
        changes = offer.changes
        if not (changes.new or changes.changed or changes.removed):
            return
        self._tell(server, changes)
        fields: dict[str, Json] = {
            "server": server,
            "offer": offer.digest,
            "new": _names(changes.new),
            "changed": _names(changes.changed),
            "removed": _names(changes.removed),
        }
        await self._recorder.write("server.differs", fields)

    def _tell(self, server: str, changes: Changes) -> None:
        """Say it to whoever reads along: what nobody has accepted yet is no reason to warn."""
        counts = {"new": len(changes.new)}
        if self.is_accepted(server):
            counts |= {"changed": len(changes.changed), "removed": len(changes.removed)}
            log.warning("server.differs", server=server, **counts)
        else:
            log.info("server.offers", server=server, **counts)

    def _publish(self, catalogue: Catalogue) -> None:
        for server, offer in self._offers.items():
            catalogue = catalogue.observed(server, offer.changes)
        if _callables(catalogue) == _callables(self.catalogue) and (
            catalogue.digest == self.catalogue.digest
        ):
            return
        self.catalogue = catalogue
        self._on_catalogue(catalogue)


def _offer(lock: Lock, server: str, definitions: Sequence[Mapping[str, Json]]) -> Offer:
    pins = cast("list[Json]", [dict(definition) for definition in definitions])
    digest = hashlib.sha256(dump_sorted(pins)).hexdigest()
    return Offer(tuple(definitions), lock.compare(server, definitions), digest)


def _callables(catalogue: Catalogue) -> frozenset[str]:
    return frozenset(tool.qualified for tool in catalogue.tools() if tool.callable)


def _names(names: Sequence[str], most: int = 50) -> list[Json]:
    """Names as an entry can hold them: an upstream must not be able to make it too long."""
    shown: list[Json] = list(names[:most])
    return shown if len(names) <= most else [*shown, f"and {len(names) - most} more"]


def _digest(pins: Mapping[str, Json]) -> str:
    return hashlib.sha256(dump_sorted(dict(pins))).hexdigest()

"""Upstream: the links to every server, and what of these servers was accepted."""

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache

import structlog

from gateway.catalogue.names import RESERVED
from gateway.catalogue.review import Review
from gateway.catalogue.servers import Equipment, build_links
from gateway.catalogue.tools import Catalogue, own_tool
from gateway.errors import LinkDown
from gateway.evidence import Evidence
from gateway.home import Home
from gateway.identity.keys import KeySet
from gateway.identity.subject_tokens import SubjectTokens
from gateway.links.connections import ConnectionFiles, Connections
from gateway.links.credentials import Credentials
from gateway.links.fetch import Fetcher
from gateway.links.link import Link
from gateway.links.local import LocalLink
from gateway.links.masking import Masks
from gateway.links.oauth_client import Means
from gateway.links.sandbox import Sandbox, find_bubblewrap
from gateway.links.short_lived import ShortLived
from gateway.links.user_tokens import Connected, page_of
from gateway.redaction import Redaction
from gateway.settings import Settings

log = structlog.get_logger(__name__)

REACHED_S = 45.0


@dataclass(frozen=True, slots=True)
class Upstream:
    """Links by server, what their credentials come from, and the review of what servers offer.

    links      those of the gateway's own servers among them
    connected  what people let agents use with their own accounts
    """

    links: Mapping[str, Link]
    review: Review
    means: Means
    connected: Connected

    @property
    def credentials(self) -> Credentials:
        """What resolves references to secrets."""
        return self.means.credentials

    @property
    def fetcher(self) -> Fetcher:
        """Asks servers that issue keys and tokens."""
        return self.means.fetcher

    def states(self) -> dict[str, str]:
        """The state of every link that leads out of this process, by server."""
        return {name: link.state for name, link in self.links.items() if name not in RESERVED}

    async def accept_first(self) -> None:
        """Accept every server that never was, as it is first seen; for `dev` only.

        Raises LinkDown when one cannot be reached.
        """
        deadline = time.monotonic() + REACHED_S
        for server in self.states():
            if self.review.is_accepted(server):
                continue
            while (offer := self.review.offer(server)) is None:
                if time.monotonic() > deadline:
                    raise LinkDown(server, f"not reached within {REACHED_S:.0f} s")
                await asyncio.sleep(0.02)
            await self.review.accept(server, offer.digest, by="dev", check=lambda _: None)


@dataclass(frozen=True, slots=True)
class Kept:
    """What outlives the links.

    keys         sign what issuers of upstreams are told about callers
    connections  which agents people let use which servers
    own          makes the links to servers that are part of the gateway
    """

    keys: KeySet
    connections: Connections
    own: Callable[[Means, Masks], Iterable[LocalLink]] = lambda *_: ()


@asynccontextmanager
async def upstream(
    settings: Settings,
    home: Home,
    evidence: Evidence,
    kept: Kept,
    *,
    environ: Mapping[str, str],
    redaction: Redaction,
    allow_unsandboxed: bool,
    on_catalogue: Callable[[Catalogue], None],
) -> AsyncIterator[Upstream]:
    """Open the links; servers are reached in the background.

    environ            for `env:` references and PATH
    redaction          its known secrets are told of every credential that is used
    allow_unsandboxed  whether local servers may run where nothing can confine them
    on_catalogue       told when tools are blocked, unblocked or accepted

    Raises GatewayError for a configuration that cannot be.
    """
    means = _means(settings, evidence, environ, redaction)
    path = environ.get("PATH", os.defpath)
    sandbox = Sandbox(find_bubblewrap(path), home.path, allow_unsandboxed=allow_unsandboxed)
    log.info("sandbox", statement=sandbox.statement)
    around = _equipment(settings, home, kept, means, Masks(redaction.known), sandbox, path)
    links = build_links(settings.servers, around)
    own_links = {link.name: link for link in kept.own(means, around.masks)}
    review = Review(
        links,
        home.lock,
        recorder=evidence.recorder,
        on_catalogue=on_catalogue,
        own=[
            own_tool(link.name, each)
            for link in own_links.values()
            for each in await link.definitions()
        ],
    )
    review.watch()
    try:
        for link in links.values():
            await link.start()
        yield Upstream({**links, **own_links}, review, means, around.connected)
    finally:
        await review.close()
        await asyncio.gather(*(link.close() for link in links.values()))


def _equipment(
    settings: Settings,
    home: Home,
    kept: Kept,
    means: Means,
    masks: Masks,
    sandbox: Sandbox,
    path: str,
) -> Equipment:
    files = ConnectionFiles(home.connections, home.connection_key())
    subjects = SubjectTokens(
        kept.keys, public_url=settings.public_url, now_s=means.now_s, new_id=means.new_id
    )
    return Equipment(
        means=means,
        subject=subjects.sign,
        connected=Connected(kept.connections, files, page_of(settings.public_url)),
        masks=masks,
        sandbox=sandbox,
        path=path,
        own=lambda: _listeners(settings),
        tls=means.fetcher.tls,
    )


def _means(
    settings: Settings, evidence: Evidence, environ: Mapping[str, str], redaction: Redaction
) -> Means:
    def now_s() -> int:
        return evidence.recorder.now() // 1_000_000

    return Means(
        credentials=Credentials(environ, settings.home, redaction.known),
        fetcher=Fetcher(lambda: _listeners(settings), _tls()),
        short_lived=ShortLived(redaction.known, now_s),
        now_s=now_s,
        new_id=evidence.recorder.new_id,
    )


@cache
def _tls() -> ssl.SSLContext:
    """What this machine trusts: read once, since that takes longer than most of a start."""
    return ssl.create_default_context()


def _listeners(settings: Settings) -> tuple[tuple[str, int], ...]:
    return _listener(settings.listen.agents), _listener(settings.listen.operators)


def _listener(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)

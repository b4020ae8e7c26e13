"""The gateway put together: opened from settings in one order, closed in the opposite one.

Order of opening: home and keys, log, state (view and fold), identity, links and catalogue, policy,
gate, applications. What is not whole refuses to start: a log that is older than its state, a
policy that does not compile, a setting that cannot be honoured.
"""

import asyncio
import os
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import Literal

import structlog
from fastapi import FastAPI

from audit.canonical import Json
from audit.errors import AuditError
from audit.files import Files, OsFiles
from audit.index import Index
from audit.log import Log, microseconds
from audit.note import Signer
from audit.sealed import Vault
from audit.tiles import Publisher
from gateway import unfinished
from gateway.activation import Activation, compile_contents, read_stable
from gateway.approval.approvals import Approvals
from gateway.calls import Calls
from gateway.catalogue.review import Review
from gateway.catalogue.servers import Surroundings as LinkSurroundings
from gateway.catalogue.servers import build_links
from gateway.catalogue.tools import Catalogue
from gateway.epoch import Epoch
from gateway.errors import ActivationRefused, LinkDown
from gateway.faces.agents import AgentsApp
from gateway.faces.bearer import Bearer
from gateway.faces.http import EdgeRules
from gateway.faces.mcp import McpFace
from gateway.faces.mcp import Sources as McpSources
from gateway.faces.oauth import OAuthFace
from gateway.faces.own import OwnFace
from gateway.faces.rest import RestFace
from gateway.gate import Gate, Rooms
from gateway.home import Home
from gateway.identity.authorization_server import AuthorizationServer, TokenRules
from gateway.identity.client_authentication import ClientAuthentication
from gateway.identity.clients import Clients
from gateway.identity.keys import KeySet
from gateway.identity.minting import Mint
from gateway.identity.revocation import Revocations
from gateway.identity.tokens import Issuer, TokenCheck
from gateway.links.credentials import Credentials
from gateway.links.masking import Masks
from gateway.links.mcp import McpLink
from gateway.links.sandbox import Sandbox, find_bubblewrap
from gateway.metrics import Metrics, Scrape
from gateway.metrics import Sources as MetricSources
from gateway.operator import routes
from gateway.operator.columns import COLUMNS
from gateway.operator.credentials import Operators
from gateway.operator.services import Services
from gateway.recorder import Recorder
from gateway.refusals import Refusals
from gateway.session.limits import Limits
from gateway.session.session import Sessions
from gateway.settings import Settings, milliseconds
from gateway.state import State
from gateway.store.keeper import Keeper
from gateway.store.view import View
from gateway.world import World, Worlds

log = structlog.get_logger(__name__)

Mode = Literal["dev", "serve"]
TIDY_EVERY_S = 1.0
OFFERS_S = 45.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What only the program around the gateway knows: nothing below reads it by itself.

    environ        the process's environment, for `env:` references and PATH
    accept_policy  digest of a policy that may come into force at this start although another one
                   was last active; None: none
    clock          microseconds since 1970; may jump, the gateway's time does not run backwards
    disk           what the log is written to
    """

    environ: Mapping[str, str]
    accept_policy: str | None = None
    clock: Callable[[], int] = microseconds
    disk: Files = field(default_factory=OsFiles)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that runs: its two applications, and what operators act on."""

    agents: AgentsApp
    operators: FastAPI
    services: Services


@dataclass(frozen=True, slots=True)
class _Evidence:
    log: Log
    recorder: Recorder
    index: Index
    vkey: str


@dataclass(frozen=True, slots=True)
class _Upstream:
    credentials: Credentials
    links: Mapping[str, McpLink]
    review: Review
    activation: list[Activation]  # filled once there is a policy


@asynccontextmanager
async def opened(settings: Settings, mode: Mode, around: Surroundings) -> AsyncIterator[Gateway]:
    """Open a gateway and close it again.

    Raises GatewayError, PolicyError or AuditError for whatever is not whole.
    """
    async with AsyncExitStack() as stack:
        home = Home.at(settings.home)
        evidence = await stack.enter_async_context(_evidence(settings, home, around))
        epoch, metrics = Epoch(), Metrics()
        state = _state(evidence.recorder, epoch)
        view = await stack.enter_async_context(_kept(settings, home, evidence, state))
        refusals = Refusals(evidence.recorder)
        upstream = await stack.enter_async_context(_upstream(settings, mode, home, evidence, around))
        worlds, activation = await _policy(settings, mode, around, evidence, state, upstream)
        rooms = Rooms(
            recorder=evidence.recorder,
            sessions=state.sessions,
            approvals=state.approvals,
            calls=state.calls,
            limits=state.limits,
            refusals=refusals,
            revocations=state.revocations,
            epoch=epoch,
            worlds=worlds,
            links=upstream.links,
            masks=Masks(lambda: upstream.credentials.known),
            metrics=metrics,
            digest_key=home.digest_key(),
        )
        await _begin(evidence, state, worlds, digest_key=rooms.digest_key)
        await stack.enter_async_context(_tidied(rooms, view))
        if mode == "dev":
            await stack.enter_async_context(_running(activation.watch()))
        yield _assemble(settings, home, evidence, state, upstream, activation, rooms)


@asynccontextmanager
async def _evidence(
    settings: Settings, home: Home, around: Surroundings
) -> AsyncIterator[_Evidence]:
    """The log, its published form and its index."""
    signer = Signer(settings.audit.origin, home.log_key())
    entries = Log.open(
        home.log,
        signer=signer,
        segment_bytes=settings.audit.segment_bytes,
        clock=around.clock,
        files=around.disk,
    )
    every_s = milliseconds(settings.audit.checkpoint_every) / 1000
    publisher = Publisher(entries, home.tiles, every_s, alarm=_alarm)
    index = Index(home.search_index, entries, COLUMNS)
    recorder = Recorder(entries, Vault.open(home.subject_keys, home.vault_key()))
    try:
        publisher.start()
        index.start()
        yield _Evidence(entries, recorder, index, signer.vkey)
        await _stopped(recorder)
    finally:
        await asyncio.to_thread(_close, publisher, index)
        await entries.close()


async def _stopped(recorder: Recorder) -> None:
    """Say that the gateway ended; a log that cannot take it ends all the same."""
    try:
        await recorder.write("stop", {})
    except AuditError as error:
        log.error("stop.unrecorded", reason=error.code)


def _close(publisher: Publisher, index: Index) -> None:
    try:
        publisher.close()
    except (AuditError, OSError) as error:
        _alarm(error)
    index.close()


def _alarm(error: Exception) -> None:
    log.error("log.unpublished", reason=str(error))


def _state(recorder: Recorder, epoch: Epoch) -> State:
    return State(
        sessions=Sessions(recorder),
        approvals=Approvals(recorder),
        calls=Calls(),
        limits=Limits(),
        revocations=Revocations(epoch),
        epoch=epoch,
    )


@asynccontextmanager
async def _kept(
    settings: Settings, home: Home, evidence: _Evidence, state: State
) -> AsyncIterator[Keeper]:
    """The state as the log has it, followed from now on and saved in the view."""
    view = View(f"sqlite:///{home.state}" if settings.database == "sqlite" else settings.database)
    keeper = Keeper(state, view, evidence.log)
    keeper.restore()
    evidence.log.subscribe(keeper.follow)
    try:
        async with _running(keeper.run()):
            yield keeper
    finally:
        await keeper.save()
        view.close()


@asynccontextmanager
async def _upstream(
    settings: Settings, mode: Mode, home: Home, evidence: _Evidence, around: Surroundings
) -> AsyncIterator[_Upstream]:
    """Links to every server, and what of them was accepted. Servers start in the background."""
    credentials = Credentials(around.environ, settings.home)
    path = around.environ.get("PATH", os.defpath)
    sandbox = Sandbox(
        find_bubblewrap(path),
        home.path,
        allow_unsandboxed=mode == "dev" or settings.insecure_unsandboxed_stdio,
    )
    log.info("sandbox", statement=sandbox.statement)
    listeners = [_listener(settings.listen.agents), _listener(settings.listen.operators)]
    links = build_links(
        settings.servers,
        LinkSurroundings(
            secret=credentials.resolve,
            sandbox=sandbox,
            path=path,
            own=lambda: listeners,
            tls=ssl.create_default_context(),
        ),
    )
    activation: list[Activation] = []

    def changed(catalogue: Catalogue) -> None:
        for each in activation:
            each.observed(catalogue)

    review = Review(links, home.lock, recorder=evidence.recorder, on_catalogue=changed)
    review.watch()
    try:
        for link in links.values():
            await link.start()
        yield _Upstream(credentials, links, review, activation)
    finally:
        await review.close()
        await asyncio.gather(*(link.close() for link in links.values()))


async def _policy(
    settings: Settings,
    mode: Mode,
    around: Surroundings,
    evidence: _Evidence,
    state: State,
    upstream: _Upstream,
) -> tuple[Worlds, Activation]:
    """Compile the files and put them into force, if they may come into force by a start."""
    if mode == "dev":
        await _accept_first(upstream)
    paths = tuple(map(Path, settings.policy))
    catalogue = upstream.review.catalogue
    contents = read_stable(paths)
    snapshot = compile_contents(contents, catalogue)
    active = state.activations.snapshot
    if active in {None, snapshot.digest}:
        kind = "policy.changed" if active is None else "policy.load"
    elif mode == "dev" or around.accept_policy == snapshot.digest:
        kind = "policy.changed"
    else:
        raise ActivationRefused(
            "policy.not-active",
            f"the files amount to {snapshot.digest}, and {active} was last active: apply the new "
            "policy on the running gateway, or name its digest at this start",
        )
    fields: dict[str, Json] = {"snapshot": snapshot.digest, "before": active, "by": "start"}
    await evidence.recorder.write(kind, fields)
    worlds = Worlds(World(snapshot, catalogue, contents))
    activation = Activation.of(paths, recorder=evidence.recorder, worlds=worlds)
    upstream.activation.append(activation)
    activation.observed(upstream.review.catalogue)
    return worlds, activation


async def _accept_first(upstream: _Upstream) -> None:
    """In `dev` a server that was never accepted is accepted as it is first seen."""
    deadline = time.monotonic() + OFFERS_S
    for server in upstream.links:
        if upstream.review.is_accepted(server):
            continue
        while (offer := upstream.review.offer(server)) is None:
            if time.monotonic() > deadline:
                raise LinkDown(server, f"not reached within {OFFERS_S:.0f} s")
            await asyncio.sleep(0.02)
        await upstream.review.accept(server, offer.digest, by="dev", check=lambda _: None)


async def _begin(evidence: _Evidence, state: State, worlds: Worlds, *, digest_key: bytes) -> None:
    """Close what a crash left open, then say that the gateway is there."""
    origin = evidence.log.origin
    await unfinished.settle(state.calls, evidence.recorder, origin=origin, digest_key=digest_key)
    recovered = evidence.log.recovered
    fields: dict[str, Json] = {
        "version": distribution_version("passavant"),
        "snapshot": worlds.current.snapshot.digest,
        "catalogue": worlds.current.catalogue.digest,
        "recovered": recovered is not None,
    }
    await evidence.recorder.write("start", fields)


@asynccontextmanager
async def _tidied(rooms: Rooms, keeper: Keeper) -> AsyncIterator[None]:
    """Let time do its work: expire, forget, and write down what was only counted."""
    async with _running(_tidy(rooms)):
        yield
    try:
        await rooms.refusals.flush(rooms.recorder.now(), everything=True)
    except AuditError as error:
        log.error("refusals.uncounted", reason=error.code)


async def _tidy(rooms: Rooms) -> None:
    while True:
        await asyncio.sleep(TIDY_EVERY_S)
        now = rooms.recorder.now()
        rooms.calls.sweep(now)
        rooms.sessions.forget(now // 1_000_000)
        rooms.revocations.forget(now // 1_000_000)
        with suppress(AuditError):
            await rooms.approvals.expire(now // 1_000_000)
            await rooms.refusals.flush(now)


@asynccontextmanager
async def _running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _assemble(
    settings: Settings,
    home: Home,
    evidence: _Evidence,
    state: State,
    upstream: _Upstream,
    activation: Activation,
    rooms: Rooms,
) -> Gateway:
    keys = KeySet.open(home.token_keys, rooms.recorder.now() // 1_000_000)
    version = distribution_version("passavant")
    tokens = settings.identity.tokens
    check = TokenCheck(
        keys,
        rooms.revocations,
        rooms.epoch,
        public_url=settings.public_url,
        skew_s=milliseconds(tokens.skew) // 1000,
    )
    mint = Mint(
        Issuer(keys, public_url=settings.public_url),
        rooms.recorder.write,
        lambda: secrets.token_urlsafe(18),
        max_ttl_s=milliseconds(tokens.max_ttl) // 1000,
    )
    services = Services(
        settings=settings,
        home=home,
        log=evidence.log,
        index=evidence.index,
        recorder=evidence.recorder,
        refusals=rooms.refusals,
        state=state,
        worlds=rooms.worlds,
        epoch=rooms.epoch,
        activation=activation,
        review=upstream.review,
        mint=mint,
        tokens=check,
        operators=Operators.open(home.operators),
        scrape=Scrape(rooms.metrics, _sources(evidence, rooms)),
        vkey=evidence.vkey,
        version=version,
        link_states=lambda: {name: link.state for name, link in upstream.links.items()},
    )
    declared = {
        name: client.secret_hash
        for name, client in settings.identity.clients.items()
        if client.secret_hash is not None
    }
    clients = Clients.load(declared, upstream.credentials.resolve)
    agents = _agents(services, rooms, keys, clients)
    return Gateway(agents, routes.build(services), services)


def _agents(services: Services, rooms: Rooms, keys: KeySet, clients: Clients) -> AgentsApp:
    """The agents' listener: faces over one gate."""
    settings, recorder = services.settings, rooms.recorder
    gate = Gate(rooms)
    rules = EdgeRules(settings.public_url, _hosts(settings))

    def now_s() -> int:
        return recorder.now() // 1_000_000

    bearer = Bearer(services.tokens, now_s)
    ttl_s = milliseconds(settings.identity.tokens.ttl) // 1000
    server = AuthorizationServer(
        TokenRules(settings.public_url, ttl_s),
        ClientAuthentication(clients),
        services.mint,
        services.tokens,
        rooms.revocations,
        rooms.sessions,
        recorder.write,
    )
    oauth = OAuthFace(server=server, keys=keys, rules=rules, refuse=gate.refuse, now_s=now_s)
    others = FastAPI(redirect_slashes=False, docs_url=None, redoc_url=None, openapi_url=None)
    others.include_router(oauth.router())
    mcp = McpFace(
        gate=gate,
        worlds=rooms.worlds,
        authenticate=bearer,
        rules=rules,
        sources=McpSources(time.monotonic, recorder.new_id, lambda: secrets.token_urlsafe(24)),
        version=services.version,
    )
    rest = RestFace(
        gate=gate,
        authenticate=bearer,
        rules=rules,
        new_id=recorder.new_id,
        version=services.version,
    )
    own = OwnFace(
        gate=gate,
        authenticate=bearer,
        rules=rules,
        sessions=rooms.sessions,
        approvals=rooms.approvals,
        now_s=now_s,
    )
    faces = {"/mcp": mcp, "/v1/tools": rest, "/v1/openapi.json": rest, "/v1": own}
    return AgentsApp(faces, others=others, ready=lambda: services.log.state != "read_only")


def _sources(evidence: _Evidence, rooms: Rooms) -> MetricSources:
    return MetricSources(
        refusals=rooms.refusals.counts,
        log=evidence.log.stats,
        epoch=lambda: rooms.epoch.value,
        open_approvals=lambda: sum(r.state == "asked" for r in rooms.approvals.all()),
        links_up=lambda: {name: link.state == "up" for name, link in rooms.links.items()},
    )


def _hosts(settings: Settings) -> frozenset[bytes]:
    """What may stand in a Host header: the public name, and where the listener really is."""
    public = settings.public_url.partition("://")[2]
    return frozenset(host.lower().encode() for host in (public, settings.listen.agents))


def _listener(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)

"""The gateway put together: opened from settings in one order, closed in the opposite one.

Order of opening: home and keys, log, state (view and fold), links and catalogue, policy, gate,
applications. What is not whole refuses to start: a log that is older than its state, a policy that
does not compile, a setting that cannot be honoured.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import Literal

import structlog

from audit.canonical import Json
from audit.errors import AuditError
from audit.files import Files, OsFiles
from audit.log import microseconds
from gateway import unfinished
from gateway.activation import Activation, compile_contents, read_stable
from gateway.applications import Gateway, assemble
from gateway.approval import tools as approvals
from gateway.approval.approvals import Approvals
from gateway.approval.tools import approval_tools
from gateway.calls import Calls
from gateway.catalogue.tools import Catalogue
from gateway.epoch import Epoch
from gateway.errors import ActivationRefused
from gateway.evidence import Evidence, evidence
from gateway.fleet import Around, Fleet
from gateway.flow import Flow
from gateway.gate import Rooms
from gateway.guard.watch import Watch
from gateway.home import Home
from gateway.identity.keys import KeySet
from gateway.identity.minting import Mint
from gateway.identity.revocation import Revocations
from gateway.identity.rotation import Rotation
from gateway.identity.single_use import SingleUse
from gateway.identity.tokens import Issuer
from gateway.known_secrets import KnownSecrets
from gateway.links.credentials import Credentials
from gateway.links.local import LocalLink
from gateway.links.masking import Masks
from gateway.links.oauth_client import Means
from gateway.memory.opening import Remembering, remembering
from gateway.memory.tools import memory_link
from gateway.metrics import Metrics
from gateway.notices.delivery import Around as Telling
from gateway.notices.delivery import Delivery
from gateway.operator.credentials import Operators
from gateway.operator.login_codes import LoginCodes
from gateway.parts import Parts
from gateway.recorder import Recorder
from gateway.redaction import Redaction
from gateway.refusals import Refusals
from gateway.runs import tasks as agents
from gateway.runs.doors import doors
from gateway.runs.hop import Hop
from gateway.runs.runs import Runs
from gateway.runs.service import Orchestration, RunService
from gateway.runs.tasks import Tasks
from gateway.session.limits import Limits
from gateway.session.memories import Memories
from gateway.session.secret_finder import SecretFinder
from gateway.session.session import Sessions
from gateway.settings import Settings, milliseconds
from gateway.sharing import Around as Counting
from gateway.sharing import Sharing
from gateway.state import FLEET, State
from gateway.store import code
from gateway.store.claims import FleetClaims
from gateway.store.counters import FleetCounters
from gateway.store.fleet import FleetDatabase
from gateway.store.keeper import Keeper
from gateway.store.view import View
from gateway.tidying import tidy
from gateway.triggers.triggers import Triggers
from gateway.undo.taking_back import TakingBack
from gateway.upstream import Kept, Upstream, upstream
from gateway.world import World, Worlds

log = structlog.get_logger(__name__)

Mode = Literal["dev", "serve"]
MOST_OWED = 1000
"""Answers that a stop can say are owed: what fits into its entry."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What only the program around the gateway knows: nothing below reads it by itself.

    environ        the process's environment, for `env:` references and PATH
    accept_policy  digest of a policy that may come into force at this start although another one
                   was last active; None: none
    new_fleet      belong to the fleet of the database that is configured, although it was another
                   before or its database is gone
    clock          microseconds since 1970; may jump, the gateway's time does not run backwards
    disk           what the log is written to
    redaction      what diagnostics pass; knows the secrets of this process
    console_code   what logs the first administrator in with a browser, once; for `dev` only
    orchestration  runs flows over this gateway; None: there are none
    show_code      brings a code before the eyes of the one person of a development gateway, who
                   says with it that it is them; for `dev` only
    """

    environ: Mapping[str, str]
    accept_policy: str | None = None
    new_fleet: bool = False
    clock: Callable[[], int] = microseconds
    disk: Files = field(default_factory=OsFiles)
    redaction: Redaction = field(default_factory=Redaction)
    console_code: str | None = None
    orchestration: Orchestration | None = None
    show_code: Callable[[str], None] | None = None


@asynccontextmanager
async def opened(settings: Settings, mode: Mode, around: Surroundings) -> AsyncIterator[Gateway]:
    """Open a gateway and close it again.

    Raises GatewayError, PolicyError or AuditError for whatever is not whole.
    """
    given: list[Tasks] = []  # none until flows run
    async with (
        _ground(settings, around) as ground,
        _governed(ground, mode, around, given) as (links, activation),
        AsyncExitStack() as stack,
    ):
        state, log_of = ground.state, ground.evidence
        rooms = _rooms(ground, links, activation.worlds, around)
        operators = Operators.open(ground.home.operators)
        codes = _codes(mode, around, operators, log_of.recorder.now() // 1_000_000)
        await _begin(log_of, state, rooms, operators)
        await ground.mind.retention.begin()
        rotation = Rotation(ground.keys, rooms.recorder.write, kept_s=_kept_s(settings))
        tidying = tidy(rooms, state, rotation, ground.mind.retention)
        await stack.enter_async_context(_tidied(rooms, tidying))
        if ground.keys.shared:
            await stack.enter_async_context(_running(rotation.run()))
        if ground.fleet is not None:
            await stack.enter_async_context(_running(ground.fleet.run(activation)))
        if mode == "dev":
            await stack.enter_async_context(_running(activation.watch()))
        if settings.webhooks:
            delivery = Delivery(settings.webhooks, _around_hooks(ground, links))
            await stack.enter_async_context(_running(delivery.run()))
        mint = _mint(ground)
        runs: RunService | None = None
        tasks: Tasks | None = None
        triggers: Triggers | None = None
        if around.orchestration is not None:
            hop = Hop(rooms, state.runs, mint, state.made)
            runs = await stack.enter_async_context(around.orchestration.opened(hop, ground.home))
            triggers = _triggers(ground, rooms, runs)
            await stack.enter_async_context(triggers.running())
            tasks = Tasks(rooms, hop, runs, state.made)
            given.append(tasks)
        undo = TakingBack(rooms, state.rollbacks, state.runs, mint, log_of.index)
        await stack.enter_async_context(undo.running())
        yield assemble(
            Parts(
                settings=settings,
                home=ground.home,
                evidence=log_of,
                keys=ground.keys,
                rotation=rotation,
                state=state,
                upstream=links,
                activation=activation,
                rooms=rooms,
                operators=operators,
                mint=mint,
                runs=runs,
                tasks=tasks,
                undo=undo,
                triggers=triggers,
                fleet=ground.fleet,
                codes=codes,
                users_by_name=mode == "dev",
                show_code=around.show_code if mode == "dev" else None,
            )
        )


def _kept_s(settings: Settings) -> int:
    """How long a token can be used or renewed after it was signed, in seconds."""
    tokens = settings.identity.tokens
    return (2 * milliseconds(tokens.max_ttl) + milliseconds(tokens.skew)) // 1000


@dataclass(frozen=True, slots=True)
class _Ground:
    """What everything else stands on: what is remembered, and who else remembers it."""

    settings: Settings
    home: Home
    evidence: Evidence
    keys: KeySet
    epoch: Epoch
    state: State
    mind: Remembering
    fleet: Fleet | None
    sharing: Sharing | None


@asynccontextmanager
async def _ground(settings: Settings, around: Surroundings) -> AsyncIterator[_Ground]:
    """Home, log, keys, state and fleet."""
    home = Home.at(settings.home)
    async with evidence(settings, home, clock=around.clock, disk=around.disk) as log_of:
        keys = _keys(settings, home, log_of.recorder.now() // 1_000_000)
        epoch = Epoch() if settings.fleet is None else Epoch.followed()
        state = _state(settings, log_of.recorder, epoch)
        async with (
            _kept(home, log_of, state),
            _fleet(settings, log_of, state, epoch, anew=around.new_fleet) as (fleet, sharing),
        ):
            mind = remembering(state, log_of.recorder, home)
            yield _Ground(settings, home, log_of, keys, epoch, state, mind, fleet, sharing)


@asynccontextmanager
async def _governed(
    ground: _Ground, mode: Mode, around: Surroundings, tasks: list[Tasks]
) -> AsyncIterator[tuple[Upstream, Activation]]:
    """The links, and the policy in force over what they offer.

    tasks  what the tools of `agents` work with, as soon as there is anything
    """
    activations: list[Activation] = []  # none until there is a policy
    memory = memory_link(ground.mind.memory, lambda: activations[0].worlds.current.snapshot)

    def own(means: Means, masks: Masks) -> Iterator[LocalLink]:
        yield memory
        asker = approval_tools(ground.state.approvals)
        if around.orchestration is None:
            yield LocalLink(approvals.SERVER, asker)
            return
        more = {agents.SERVER: doors(lambda: tasks[0]), approvals.SERVER: asker}
        for link in around.orchestration.links(means, masks):
            yield link.joined(more.get(link.name, {}))

    def tell(catalogue: Catalogue) -> None:
        for each in activations:
            each.observed(catalogue)

    async with upstream(
        ground.settings,
        ground.home,
        ground.evidence,
        Kept(ground.keys, ground.state.connections, own),
        environ=around.environ,
        redaction=around.redaction,
        allow_unsandboxed=mode == "dev" or ground.settings.insecure_unsandboxed_stdio,
        on_catalogue=tell,
    ) as links:
        if mode == "dev":
            await links.accept_first()
        accept = "any" if mode == "dev" else around.accept_policy
        activation = await _policy(ground, links, accept=accept)
        activations.append(activation)
        tell(links.review.catalogue)
        yield links, activation


def _codes(mode: Mode, around: Surroundings, operators: Operators, now_s: int) -> LoginCodes:
    codes = LoginCodes(secrets.token_bytes)
    first = next((each for each in operators.all() if each.may("administrator")), None)
    if mode == "dev" and around.console_code is not None and first is not None:
        codes.put_out(first.name, around.console_code, now_s)
    return codes


def _state(settings: Settings, recorder: Recorder, epoch: Epoch) -> State:
    return State(
        sessions=Sessions(recorder, most_own=settings.guards.sessions),
        approvals=Approvals(recorder, most=settings.guards.questions),
        calls=Calls(),
        limits=Limits(),
        revocations=Revocations(epoch),
        single_use=SingleUse(recorder),
        runs=Runs(recorder),
        epoch=epoch,
    )


def _flow(ground: _Ground, around: Surroundings) -> Flow:
    """Raises CredentialMissing for a canary that cannot be read, or is too short to be one."""
    state, settings = ground.state, ground.settings
    # Not among the secrets that are taken out of results: it has to be read to be found again.
    planted = Credentials(around.environ, settings.home, KnownSecrets())
    finder = SecretFinder(map(planted.resolve, settings.canaries))
    digest_key = ground.home.digest_key()
    return Flow(
        state.sessions, Memories(), state.uses, state.objects, state.releases, finder, digest_key
    )


def _rooms(ground: _Ground, links: Upstream, worlds: Worlds, around: Surroundings) -> Rooms:
    state, log_of = ground.state, ground.evidence
    return Rooms(
        recorder=log_of.recorder,
        sessions=state.sessions,
        approvals=state.approvals,
        calls=state.calls,
        limits=state.limits,
        flow=_flow(ground, around),
        refusals=Refusals(log_of.recorder),
        revocations=state.revocations,
        epoch=ground.epoch,
        worlds=worlds,
        links=links.links,
        metrics=Metrics(),
        watch=Watch(ground.settings.guards, state.alarms, log_of.recorder),
        sharing=ground.sharing,
        digest_key=ground.home.digest_key(),
    )


def _triggers(ground: _Ground, rooms: Rooms, runs: RunService) -> Triggers:
    settings, log_of, state = ground.settings, ground.evidence, ground.state
    claims: FleetClaims | None = None
    if settings.fleet is not None:
        claims = FleetClaims(FleetDatabase(settings.fleet.file), log_of.recorder.origin)
    return Triggers(
        log_of.log,
        log_of.recorder,
        state.triggered,
        state.runs,
        rooms.worlds,
        runs,
        None if claims is None else claims.claim,
    )


def _around_hooks(ground: _Ground, links: Upstream) -> Telling:
    return Telling(
        ground.state.notices,
        ground.state.approvals,
        ground.evidence.recorder,
        links.fetcher,
        links.credentials,
        ground.settings.operators_url,
    )


def _mint(ground: _Ground) -> Mint:
    settings, recorder = ground.settings, ground.evidence.recorder
    return Mint(
        Issuer(ground.keys, public_url=settings.public_url),
        recorder.write,
        lambda: secrets.token_urlsafe(18),
        max_ttl_s=milliseconds(settings.identity.tokens.max_ttl) // 1000,
    )


@asynccontextmanager
async def _kept(home: Home, log_of: Evidence, state: State) -> AsyncIterator[None]:
    """The state as the log has it, followed from now on and saved in the view."""
    view = View(f"sqlite:///{home.state}", code=code.of_this_process())
    keeper = Keeper(state, view, log_of.log)
    try:
        keeper.restore()
        log_of.log.subscribe(keeper.follow)
        state.on_abandoned = unfinished.closes_abandoned(log_of.recorder)
        unfinished.hold_owed(state.calls, log_of.recorder, log_of.log, digest_key=home.digest_key())
        async with _running(keeper.run()):
            yield
        await _stopped(log_of.recorder, state)
        await keeper.save()
    finally:
        view.close()


async def _stopped(recorder: Recorder, state: State) -> None:
    """Say that the gateway ended, and which answers it still owes; it ends in any case."""
    owed: list[Json] = [*state.calls.owed()[:MOST_OWED]]
    try:
        await recorder.write("stop", {"owed": owed})
    except AuditError as error:
        log.error("stop.unrecorded", reason=error.code)


def _keys(settings: Settings, home: Home, now_s: int) -> KeySet:
    folder = None if settings.fleet is None else settings.fleet.token_keys
    return KeySet.open(folder or home.token_keys, now_s, shared=folder is not None)


@asynccontextmanager
async def _fleet(
    settings: Settings, log_of: Evidence, state: State, epoch: Epoch, *, anew: bool
) -> AsyncIterator[tuple[Fleet | None, Sharing | None]]:
    """This gateway's part in its fleet, where it has one: what is withdrawn there is known."""
    if settings.fleet is None:
        yield None, None
        return
    database = FleetDatabase(settings.fleet.file)
    around = Around(database, state, epoch, log_of.recorder, lambda: time.monotonic_ns() // 1000)
    counting = Counting(
        FleetCounters(database),
        state.limits,
        log_of.recorder.origin,
        log_of.recorder.now,
        lambda: state.membership.known.fleet,
    )
    with Fleet(around).opened() as fleet, Sharing(counting).opened() as sharing:
        await fleet.join(anew=anew)
        await sharing.begin()
        async with _running(sharing.run()):
            yield fleet, sharing


async def _policy(ground: _Ground, links: Upstream, *, accept: str | None) -> Activation:
    """Compile the files and put them into force, if they may come into force by a start.

    accept  digest of a policy that may replace the last active one, or "any"; the fleet's may
    """
    followed = None if ground.fleet is None else ground.fleet.policy
    paths = tuple(map(Path, ground.settings.policy))
    contents = read_stable(paths)
    catalogue = links.review.catalogue
    snapshot = compile_contents(contents, catalogue)
    active = ground.state.activations.snapshot
    is_known = snapshot.digest in {active, followed, accept} or accept == "any"
    if active is not None and not is_known:
        raise ActivationRefused(
            "policy.not-active",
            f"the files amount to {snapshot.digest}, and {active} was last active: apply the new "
            "policy on the running gateway, or name its digest at this start",
        )
    kind = "policy.load" if active == snapshot.digest else "policy.changed"
    by = FLEET if snapshot.digest == followed else "start"
    fields: dict[str, Json] = {"snapshot": snapshot.digest, "before": active, "by": by}
    await ground.evidence.recorder.write(kind, fields)
    worlds = Worlds(World(snapshot, catalogue, contents))
    return Activation.of(paths, recorder=ground.evidence.recorder, worlds=worlds)


async def _begin(log_of: Evidence, state: State, rooms: Rooms, operators: Operators) -> None:
    """Close what a crash left open, then say that the gateway is there."""
    await unfinished.settle(
        state.calls, rooms.recorder, origin=log_of.log.origin, digest_key=rooms.digest_key
    )
    world = rooms.worlds.current
    fields: dict[str, Json] = {
        "version": distribution_version("passavant"),
        "snapshot": world.snapshot.digest,
        "catalogue": world.catalogue.digest,
        "recovered": log_of.log.recovered is not None,
        "operators": [operator.name for operator in operators.all()],
    }
    await rooms.recorder.write("start", fields)


@asynccontextmanager
async def _tidied(rooms: Rooms, work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Let time do its work; at the end, write down what was only counted."""
    async with _running(work):
        yield
    try:
        await rooms.refusals.flush(rooms.recorder.now(), everything=True)
    except AuditError as error:
        log.error("refusals.uncounted", reason=error.code)


@asynccontextmanager
async def _running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

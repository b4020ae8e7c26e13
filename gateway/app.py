"""The gateway put together: opened from settings in one order, closed in the opposite one.

Order of opening: home and keys, log, state (view and fold), links and catalogue, policy, gate,
applications. What is not whole refuses to start: a log that is older than its state, a policy that
does not compile, a setting that cannot be honoured.
"""

import secrets
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from audit.canonical import Json
from audit.errors import AuditError
from gateway import unfinished
from gateway.activation import Activation
from gateway.applications import VERSION, Gateway, assemble
from gateway.background import in_background
from gateway.evidence import Evidence
from gateway.flow import Flow
from gateway.governing import governed
from gateway.ground import Ground, grounded
from gateway.guard.watch import Watch
from gateway.identity.minting import Mint
from gateway.identity.rotation import Rotation
from gateway.identity.tokens import Issuer
from gateway.known_secrets import KnownSecrets
from gateway.links.credentials import Credentials
from gateway.metrics import Metrics
from gateway.notation import milliseconds
from gateway.notices.delivery import Delivery, Telling
from gateway.operator.credentials import Operators
from gateway.operator.login_codes import LoginCodes
from gateway.parts import Parts
from gateway.refusals import Refusals
from gateway.rooms import Rooms
from gateway.runs.hop import Hop
from gateway.runs.results import Results
from gateway.runs.service import Orchestration, RunService
from gateway.runs.tasks import Tasks
from gateway.session.opening import Openings
from gateway.settings import Settings
from gateway.state import State
from gateway.store.claims import FleetClaims
from gateway.store.fleet import FleetDatabase
from gateway.surroundings import Mode, Surroundings
from gateway.tidying import tidy
from gateway.triggers.triggers import Triggers
from gateway.undo.taking_back import TakingBack
from gateway.upstream import Upstream
from gateway.values.memories import Memories
from gateway.values.secret_finder import SecretFinder
from gateway.world import Worlds

log = structlog.get_logger(__name__)


@asynccontextmanager
async def opened(settings: Settings, mode: Mode, around: Surroundings) -> AsyncIterator[Gateway]:
    """Open a gateway and close it again.

    Raises GatewayError, PolicyError or AuditError for whatever is not whole.
    """
    given: list[Tasks] = []  # none until flows run
    async with (
        grounded(settings, around) as ground,
        governed(ground, mode, around, given) as (links, activation),
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
        for work in _beside(ground, links, rotation, activation, mode):
            await stack.enter_async_context(in_background(work))
        mint = _mint(ground)
        flowing = _flows(ground, rooms, mint, around.orchestration, given)
        runs, tasks, triggers = await stack.enter_async_context(flowing)
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


def _beside(
    ground: Ground, links: Upstream, rotation: Rotation, activation: Activation, mode: Mode
) -> Iterator[Coroutine[None, None, None]]:
    """What goes on beside the calls for as long as the gateway runs."""
    if ground.keys.shared:
        yield rotation.run()
    if ground.fleet is not None:
        yield ground.fleet.run(activation)
    if mode == "dev":
        yield activation.watch()
    if ground.settings.webhooks:
        yield Delivery(ground.settings.webhooks, _around_hooks(ground, links)).run()


def _kept_s(settings: Settings) -> int:
    """How long a token can be used or renewed after it was signed, in seconds."""
    tokens = settings.identity.tokens
    return (2 * milliseconds(tokens.max_ttl) + milliseconds(tokens.skew)) // 1000


def _codes(mode: Mode, around: Surroundings, operators: Operators, now_s: int) -> LoginCodes:
    codes = LoginCodes(secrets.token_bytes)
    first = next((each for each in operators.all() if each.may("administrator")), None)
    if mode == "dev" and around.console_code is not None and first is not None:
        codes.put_out(first.name, around.console_code, now_s)
    return codes


def _flow(ground: Ground, around: Surroundings) -> Flow:
    """Raises CredentialMissing for a canary that cannot be read, or is too short to be one."""
    state, settings = ground.state, ground.settings
    # Not among the secrets that are taken out of results: it has to be read to be found again.
    planted = Credentials(around.environ, settings.home, KnownSecrets())
    finder = SecretFinder(map(planted.resolve, settings.canaries))
    digest_key = ground.home.digest_key()
    return Flow(
        state.sessions, Memories(), state.uses, state.objects, state.releases, finder, digest_key
    )


def _rooms(ground: Ground, links: Upstream, worlds: Worlds, around: Surroundings) -> Rooms:
    state, log_of = ground.state, ground.evidence
    return Rooms(
        recorder=log_of.recorder,
        sessions=state.sessions,
        openings=Openings(
            log_of.recorder, state.sessions, most_own=ground.settings.guards.sessions
        ),
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


_Flowing = tuple[RunService | None, Tasks | None, Triggers | None]
"""What runs flows, what agents start of them, and what starts them by itself."""


@asynccontextmanager
async def _flows(
    ground: Ground,
    rooms: Rooms,
    mint: Mint,
    orchestration: Orchestration | None,
    given: list[Tasks],
) -> AsyncIterator[_Flowing]:
    """Flows run, where there are any; what the tools of `agents` work with is put into `given`."""
    if orchestration is None:
        yield None, None, None
        return
    state = ground.state
    results = Results(ground.mind.memory, state.sessions, rooms.digest_key)
    hop = Hop(rooms, state.runs, mint, state.made, results)
    async with orchestration.opened(hop, ground.home) as runs:
        triggers = _triggers(ground, rooms, runs)
        async with triggers.running():
            given.append(tasks := Tasks(rooms, hop, runs, state.made))
            yield runs, tasks, triggers


def _triggers(ground: Ground, rooms: Rooms, runs: RunService) -> Triggers:
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


def _around_hooks(ground: Ground, links: Upstream) -> Telling:
    return Telling(
        ground.state.notices,
        ground.state.approvals,
        ground.evidence.recorder,
        links.fetcher,
        links.credentials,
        ground.settings.operators_url,
    )


def _mint(ground: Ground) -> Mint:
    settings, recorder = ground.settings, ground.evidence.recorder
    return Mint(
        Issuer(ground.keys, public_url=settings.public_url),
        recorder.write,
        lambda: secrets.token_urlsafe(18),
        max_ttl_s=milliseconds(settings.identity.tokens.max_ttl) // 1000,
    )


async def _begin(log_of: Evidence, state: State, rooms: Rooms, operators: Operators) -> None:
    """Close what a crash left open, then say that the gateway is there."""
    await unfinished.settle(
        state.calls, rooms.recorder, origin=log_of.log.origin, digest_key=rooms.digest_key
    )
    world = rooms.worlds.current
    fields: dict[str, Json] = {
        "version": VERSION,
        "snapshot": world.snapshot.digest,
        "catalogue": world.catalogue.digest,
        "recovered": log_of.log.recovered is not None,
        "operators": [operator.name for operator in operators.all()],
    }
    await rooms.recorder.write("start", fields)


@asynccontextmanager
async def _tidied(rooms: Rooms, work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Let time do its work; at the end, write down what was only counted."""
    async with in_background(work):
        yield
    try:
        await rooms.refusals.flush(rooms.recorder.now(), everything=True)
    except AuditError as error:
        log.error("refusals.uncounted", reason=error.code)

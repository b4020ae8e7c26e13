"""The ground: what everything else stands on.

Home, log, keys, state and fleet, opened in that order. The state is what the log and its view say,
and it follows the log from then on.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from audit.canonical import Json
from audit.errors import AuditError
from gateway import unfinished
from gateway.approval.approvals import Approvals
from gateway.background import in_background
from gateway.calls import Calls
from gateway.epoch import Epoch
from gateway.evidence import Evidence, evidence
from gateway.fleet import Around, Fleet
from gateway.home import Home
from gateway.identity.keys import KeySet
from gateway.identity.revocation import Revocations
from gateway.identity.single_use import SingleUse
from gateway.memory.opening import Remembering, remembering
from gateway.recorder import Recorder
from gateway.runs.runs import Runs
from gateway.session.limits import Limits
from gateway.session.sessions import Sessions
from gateway.settings import Settings
from gateway.sharing import Counting, Sharing
from gateway.state import State
from gateway.store import code
from gateway.store.counters import FleetCounters
from gateway.store.fleet import FleetDatabase
from gateway.store.keeper import Keeper
from gateway.store.view import View
from gateway.surroundings import Surroundings

log = structlog.get_logger(__name__)

MOST_OWED = 1000
"""Answers that a stop can say are owed: what fits into its entry."""


@dataclass(frozen=True, slots=True)
class Ground:
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
async def grounded(settings: Settings, around: Surroundings) -> AsyncIterator[Ground]:
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
            yield Ground(settings, home, log_of, keys, epoch, state, mind, fleet, sharing)


def _state(settings: Settings, recorder: Recorder, epoch: Epoch) -> State:
    return State(
        sessions=Sessions(recorder),
        approvals=Approvals(recorder, most=settings.guards.questions),
        calls=Calls(),
        limits=Limits(),
        revocations=Revocations(epoch),
        single_use=SingleUse(recorder),
        runs=Runs(recorder),
        epoch=epoch,
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
        async with in_background(keeper.run()):
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
        async with in_background(sharing.run()):
            yield fleet, sharing

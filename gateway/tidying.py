"""Tidying: what time does by itself. It expires, forgets, and writes down what was only counted."""

import asyncio
from contextlib import suppress

from audit.errors import AuditError
from gateway.identity.errors import KeyFileRefused
from gateway.identity.rotation import Rotation
from gateway.memory.retention import Retention
from gateway.rooms import Rooms
from gateway.state import State

EVERY_S = 1.0


async def tidy(rooms: Rooms, state: State, rotation: Rotation, retention: Retention) -> None:
    """Do it again and again, until cancelled."""
    while True:
        await asyncio.sleep(EVERY_S)
        now = rooms.recorder.now()
        rooms.calls.sweep(now)
        rooms.sessions.forget(now // 1_000_000)
        rooms.revocations.forget(now // 1_000_000)
        state.single_use.forget(now // 1_000_000)
        state.renewals.forget(now // 1_000_000)
        state.runs.forget(now // 1_000_000)
        state.rollbacks.forget(rooms.sessions)
        state.made.forget(now // 1_000_000)
        state.notices.forget(now)
        rooms.limits.forget(now)
        rooms.flow.forget()
        await retention.sweep()
        with suppress(AuditError):
            await rooms.approvals.pass_time(now // 1_000_000)
            await rooms.refusals.flush(now)
        # A file that cannot be removed or read now.
        with suppress(AuditError, OSError, KeyFileRefused):
            await rotation.retire(now // 1_000_000)

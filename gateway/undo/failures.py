"""Failures: runs whose flow says so are taken back when they have failed, without anybody's order.

That it is to be done follows from entries, so it is still owed after a crash; it is done as a
rollback like any other, which stops for a person where no machine can tell.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from audit.errors import AuditError
from gateway.runs.run import Run
from gateway.runs.runs import Runs
from gateway.session.sessions import Sessions
from gateway.undo.errors import RollbackRefused
from gateway.undo.rollbacks import Rollbacks

log = structlog.get_logger(__name__)

AGAIN_S = 5.0


class Failures:
    """What failed runs have left to be taken back.

    take_back  begins the rollback of one
    """

    def __init__(
        self,
        runs: Runs,
        rollbacks: Rollbacks,
        sessions: Sessions,
        take_back: Callable[[Run], Awaitable[object]],
    ) -> None:
        self._runs = runs
        self._rollbacks = rollbacks
        self._sessions = sessions
        self._take_back = take_back

    async def answer(self) -> None:
        """Begin what is owed, and whatever comes to be owed, until cancelled."""
        while True:
            failed = self._runs.failed()  # before looking, so that none is missed
            left = [run for run in self._owed() if not await self._begun(run)]
            await asyncio.wait((failed,), timeout=AGAIN_S if left else None)

    def _owed(self) -> list[Run]:
        """Runs that nobody has ordered a rollback of; one whose session is forgotten has none."""
        return [
            run
            for run in self._runs.all()
            if run.is_owed_undo
            and self._rollbacks.of(run.session) is None
            and self._sessions.get(run.session) is not None
        ]

    async def _begun(self, run: Run) -> bool:
        try:
            await self._take_back(run)
        except (AuditError, RollbackRefused) as error:
            log.warning("rollback.delayed", run=run.id, reason=error.code)
            return False
        return True

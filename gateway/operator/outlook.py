"""Outlooks: what of a session is to be taken back, in its order, and what has become of each call.

Made before anything is ordered as well as while it goes on, so that whoever confirms a rollback has
seen what it comes to.
"""

import hashlib
from dataclasses import dataclass

from gateway.operator.services import Services
from gateway.undo.deeds import Deed
from gateway.undo.rollback import Rollback


@dataclass(frozen=True, slots=True)
class Line:
    """One call.

    undo       the tool that takes it back; None: nothing does
    state      `to do`, `stopped`, `left`, `undone`, or `nothing done`: that is what it came to
    hindrance  why a person will have to look at it, as far as that is plain; None: nothing is
    undone_by  the entry of the call that takes it back; None: there is none yet
    """

    deed: Deed
    undo: str | None
    state: str
    hindrance: str | None
    undone_by: int | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to be taken back, the last deed first.

    rollback  None: nobody has ordered it
    """

    rollback: Rollback | None
    lines: tuple[Line, ...]

    @property
    def digest(self) -> str:
        """SHA-256, hex, of where everything stands: what somebody confirms is what they saw."""
        ordered = None if self.rollback is None else (self.rollback.state, self.rollback.at)
        calls = [(each.deed.call, each.state, each.undo) for each in self.lines]
        return hashlib.sha256(repr((ordered, calls)).encode()).hexdigest()


async def outlook(services: Services, session_id: str) -> Outlook:
    """What there is to be taken back of a session and of all below it, now.

    Raises RollbackRefused when the session is not known any more, or while the log is not
    searchable to its end; LogDamaged or OSError.
    """
    known = services.state.rollbacks.of(session_id)
    sessions = services.undo.sessions(session_id) if known is None else known.sessions
    deeds = await services.undo.deeds(sessions)
    rollback = services.state.rollbacks.of(session_id)  # somebody may have ordered it meanwhile
    return Outlook(rollback, tuple(_line(services, rollback, each) for each in deeds))


def _line(services: Services, rollback: Rollback | None, deed: Deed) -> Line:
    undo, state = services.undo.undo_of(deed.tool), _state(services, rollback, deed)
    steps = {} if rollback is None else services.state.rollbacks.steps(rollback.id)
    taken = steps.get(deed.call)
    return Line(
        deed=deed,
        undo=None if undo is None else undo.tool,
        state=state,
        hindrance=services.undo.hindrance(deed) if state in {"to do", "stopped"} else None,
        undone_by=None if taken is None else taken.index,
    )


def _state(services: Services, rollback: Rollback | None, deed: Deed) -> str:
    if rollback is not None and deed.call in rollback.left:
        return "left"
    if services.state.rollbacks.is_over(deed.call):
        return "undone"
    if rollback is None:
        return "to do"
    if rollback.at == deed.call:
        return "stopped"
    # Of what is over, only what turned out to have done nothing is in neither list.
    return "nothing done" if rollback.state == "ended" else "to do"

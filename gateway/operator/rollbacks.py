"""`/api/sessions/ID/rollback` and `/api/runs/ID/rollback`: taking back what was done there."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from audit.canonical import Json
from gateway.operator.api import Administrator, Here, Routes, Viewer, body_of
from gateway.operator.credentials import Operator
from gateway.operator.errors import OperatorRefused
from gateway.operator.outlook import Line, Outlook, outlook
from gateway.operator.services import Services
from gateway.undo.rollback import Rollback

of_sessions = Routes()
of_runs = Routes()


class Wanted(BaseModel):
    """How a rollback is to begin, or go on.

    leave   the call at which it stopped is to be left as it is; False: it is tried again
    reason  why, for the log
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    leave: bool = False
    reason: Annotated[str, Field(max_length=500)] = ""


@of_sessions.get("/{session_id}/rollback")
async def show_of_session(services: Here, _: Viewer, session_id: str) -> dict[str, Json]:
    """What is taken back of a session, and how far that is."""
    return await _shown(services, session_id)


@of_sessions.get("/{session_id}/rollback/outlook")
async def foretell_session(services: Here, _: Viewer, session_id: str) -> dict[str, Json]:
    """What there is to be taken back of a session, ordered or not."""
    return _told(await outlook(services, session_id))


@of_sessions.post("/{session_id}/rollback")
async def take_back_session(
    services: Here, operator: Administrator, session_id: str, http: Request
) -> dict[str, Json]:
    """End a session, and take back what was done in it and in all below it."""
    wanted = await body_of(http, Wanted)
    if services.state.runs.in_session(session_id) is not None:
        raise OperatorRefused("rollback.run", "this session is a run's: roll the run back")
    return _row(await order(services, operator, session_id, wanted, run=None))


@of_runs.get("/{run_id}/rollback")
async def show_of_run(services: Here, _: Viewer, run_id: str) -> dict[str, Json]:
    """What is taken back of a run, and how far that is."""
    return await _shown(services, services.state.runs.get(run_id).session)


@of_runs.get("/{run_id}/rollback/outlook")
async def foretell_run(services: Here, _: Viewer, run_id: str) -> dict[str, Json]:
    """What there is to be taken back of a run, ordered or not; of one that goes on: so far."""
    return _told(await outlook(services, services.state.runs.get(run_id).session))


@of_runs.post("/{run_id}/rollback")
async def take_back_run(
    services: Here, operator: Administrator, run_id: str, http: Request
) -> dict[str, Json]:
    """Stop a run, where it goes on, and take back what it has done."""
    wanted = await body_of(http, Wanted)
    run = services.state.runs.get(run_id)
    if services.runs is not None and run.state in {"running", "paused"}:
        await services.runs.cancel(run_id, by=f"operator:{operator.name}")
    return _row(await order(services, operator, run.session, wanted, run=run_id))


async def order(
    services: Services,
    operator: Operator,
    session_id: str,
    wanted: Wanted,
    *,
    run: str | None,
    seen: str | None = None,
) -> Rollback:
    """Begin a rollback of a session, or let the one that has stopped go on.

    run   whose session it is
    seen  the call at which it was seen to have stopped; None: wherever it has

    Raises OperatorRefused, RollbackRefused and AuditUnavailable.
    """
    by = f"operator:{operator.name}"
    if wanted.leave and not wanted.reason:
        raise OperatorRefused("operator.body", "expected the reason why it is to be left")
    known = services.state.rollbacks.of(session_id)
    if known is not None and known.state == "stopped":
        return await services.undo.resume(
            known.id, by=by, leave=wanted.leave, reason=wanted.reason, seen=seen
        )
    if wanted.leave:
        raise OperatorRefused("rollback.state", "no rollback has stopped here")
    return await services.undo.begin(session_id, by=by, run=run)


async def _shown(services: Services, session_id: str) -> dict[str, Json]:
    found = await outlook(services, session_id)
    if found.rollback is None:
        raise OperatorRefused("rollback.unknown", "nothing of this is taken back")
    return {**_row(found.rollback), **_told(found)}


def _told(found: Outlook) -> dict[str, Json]:
    return {"deeds": [_line(each) for each in found.lines]}


def _line(line: Line) -> dict[str, Json]:
    """One call, and what has become of it."""
    return {
        "call": line.deed.call,
        "tool": line.deed.tool,
        "agent": line.deed.agent,
        "decision": line.deed.decided,
        "undo": line.undo,
        "state": line.state,
        "undone_by": line.undone_by,
        "hindrance": line.hindrance,
    }


def _row(rollback: Rollback) -> dict[str, Json]:
    return {
        "id": rollback.id,
        "session": rollback.session,
        "run": rollback.run,
        "by": rollback.by,
        "state": rollback.state,
        "at": rollback.at,
        "why": rollback.why,
        "started": rollback.started,
        "ended": rollback.ended,
    }

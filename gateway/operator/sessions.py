"""`/api/sessions`: what is open, what it has touched, and ending it."""

from audit.canonical import Json
from gateway.operator.api import Administrator, Here, Routes, Viewer
from gateway.operator.errors import OperatorRefused
from gateway.session.session import Session

router = Routes()


@router.get("")
async def list_sessions(services: Here, _: Viewer) -> list[dict[str, Json]]:
    """Every known session, newest first."""
    return [_row(session) for session in reversed(services.state.sessions.all())]


@router.get("/{session_id}")
async def show_session(services: Here, _: Viewer, session_id: str) -> dict[str, Json]:
    """One session."""
    found = services.state.sessions.get(session_id)
    if found is None:
        raise OperatorRefused("operator.unknown", "there is no such session")
    return _row(found)


@router.post("/{session_id}/end")
async def end_session(services: Here, operator: Administrator, session_id: str) -> dict[str, Json]:
    """End a session: its tokens are refused from the next call on."""
    if services.state.sessions.get(session_id) is None:
        raise OperatorRefused("operator.unknown", "there is no such session")
    await services.state.sessions.end(session_id, by=f"operator:{operator.name}")
    return await show_session(services, operator, session_id)


def _row(session: Session) -> dict[str, Json]:
    return {
        "id": session.id,
        "agent": session.agent,
        "user": session.user,
        "opened": session.opened,
        "ends": session.ends,
        "ended": session.ended,
        "labels": sorted(session.labels),  # type: ignore[dict-item]  # a list of text is Json
    }

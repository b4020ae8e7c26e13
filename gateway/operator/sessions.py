"""`/api/sessions`: what is open, what it has touched, letting it use more, and ending it."""

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from audit import canonical
from audit.canonical import Json
from gateway.identity import scopes
from gateway.operator.api import Administrator, Here, Routes, Viewer, body_of
from gateway.operator.errors import OperatorRefused
from gateway.operator.services import Services
from gateway.session.session import Session
from gateway.values.releases import is_releasable

router = Routes()


class Release(BaseModel):
    """One value, and what it is released from."""

    model_config = ConfigDict(extra="forbid", strict=True)

    value: str = Field(max_length=64_000)
    labels: list[str] = Field(min_length=1, max_length=32)
    reason: str = Field(min_length=1, max_length=500)


class Further(BaseModel):
    """What else a task needs."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tools: list[str] = Field(min_length=1)


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


@router.post("/{session_id}/widen")
async def widen_session(
    services: Here, operator: Administrator, session_id: str, http: Request
) -> dict[str, Json]:
    """Let a task use further tools, which its policy must allow all the same."""
    wanted = await body_of(http, Further)
    found = _going_on(services, session_id)
    if found.tools is None:
        raise OperatorRefused("operator.body", "the purpose of this session limits no tools")
    tools = scopes.parse(" ".join(wanted.tools))
    await services.state.sessions.widen(found, tools, by=f"operator:{operator.name}")
    return await show_session(services, operator, session_id)


@router.post("/{session_id}/release")
async def release_value(
    services: Here, operator: Administrator, session_id: str, http: Request
) -> dict[str, Json]:
    """Take labels off one value, which a person has looked at; the session keeps them."""
    wanted = await body_of(http, Release)
    found = _going_on(services, session_id)
    if not is_releasable(wanted.value):
        raise OperatorRefused("operator.body", "expected a value that is what it seems to be")
    if not set(wanted.labels) <= found.labels:
        raise OperatorRefused("operator.body", "the session has no such label")
    fields: dict[str, Json] = {
        "session": session_id,
        "labels": list[Json](sorted(set(wanted.labels))),
        "match": list[Json](services.flow.match(wanted.value)),
        "by": f"operator:{operator.name}",
    }
    await services.recorder.write_sealed(
        "label.released",
        fields,
        subject=found.user or found.agent,
        name="value",
        words=canonical.write({"value": wanted.value, "reason": wanted.reason}),
    )
    return await show_session(services, operator, session_id)


def _going_on(services: Services, session_id: str) -> Session:
    found = services.state.sessions.get(session_id)
    if found is None or found.ended:
        raise OperatorRefused("operator.unknown", "there is no such session")
    return found


def _row(session: Session) -> dict[str, Json]:
    return {
        "id": session.id,
        "agent": session.agent,
        "user": session.user,
        "opened": session.opened,
        "ends": session.ends,
        "ended": session.ended,
        "labels": list[Json](sorted(session.labels)),
        "tools": None if session.tools is None else list[Json](session.tools),
        "by": session.by,
        "parent": session.parent,
        "root": session.root,
    }

"""`/api/runs`: the flows of this gateway, their runs, and where each has come."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Header
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.requests import Request

from audit.canonical import Json
from gateway.operator import run_events
from gateway.operator.access import check_may
from gateway.operator.api import Administrator, Here, Routes, Viewer, body_of
from gateway.operator.credentials import Operator
from gateway.operator.errors import OperatorRefused
from gateway.operator.run_rows import row, steps, waiting
from gateway.operator.services import Services
from gateway.runs.errors import RunRefused
from gateway.runs.run import Run
from gateway.runs.service import RunService

router = Routes()


class Wanted(BaseModel):
    """What is to be started.

    key  the starter's own name for it: the same start again is the same run
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    flow: str
    input: JsonValue = None
    key: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class Fork(BaseModel):
    """Where a fork begins.

    step     number of a step as `run show` tells them, from 1: those before it are taken over
    instead  what that step is given; left out: what it was given there
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    step: Annotated[int, Field(ge=1)]
    instead: JsonValue = None


@router.get("")
async def list_runs(services: Here, _: Viewer) -> list[dict[str, Json]]:
    """Every known run, newest first."""
    return [row(run) for run in reversed(services.state.runs.all())]


@router.get("/flows")
async def list_flows(services: Here, _: Viewer) -> Mapping[str, Json]:
    """The flows that can be started, by name, each as it is written."""
    return {} if services.runs is None else services.runs.flows()


@router.get("/{run_id}")
async def show_run(services: Here, _: Viewer, run_id: str) -> dict[str, Json]:
    """One run with its steps, in the order in which they were last decided."""
    run = services.state.runs.get(run_id)
    taken: list[Json] = [
        {"path": path, **step.to_json()} for path, step in steps(services.state.runs, run_id)
    ]
    asked: list[Json] = [each.id for each in waiting(services.state.approvals, run_id)]
    grants: dict[str, Json] = {path: grant.to_json() for path, grant in run.grants.items()}
    whole: dict[str, Json] = {
        "digest": run.digest,
        "grants": grants,
        "steps": taken,
        "progress": [said.to_json() for said in services.state.runs.progress.of(run_id)],
        "waiting": asked,
        "reused": list[Json](services.state.runs.reused(run_id)),
    }
    return {**row(run), **whole}


@router.get("/{run_id}/events")
async def follow_run(
    services: Here,
    _: Viewer,
    http: Request,
    run_id: str,
    last_event_id: Annotated[str, Header()] = "",
) -> StreamingResponse:
    """A run as it goes on (`gateway.operator.run_events`)."""
    services.state.runs.get(run_id)
    services.bell.check()
    events = run_events.told(
        services, run_id, run_events.place(last_event_id), lambda: check_may(services, http)
    )
    return StreamingResponse(events, media_type="text/event-stream")


@router.get("/{run_id}/output")
async def show_output(services: Here, operator: Viewer, run_id: str) -> dict[str, Json]:
    """What came out of a run; that it was opened is an entry itself."""
    run = services.state.runs.get(run_id)
    if run.ended_at is None:
        raise OperatorRefused("run.state", "this run has not ended")
    output = await service(services).output(run)
    fields: dict[str, Json] = {"opened": run.ended_at, "by": f"operator:{operator.name}"}
    await services.recorder.write("audit.opened", fields)
    return {"output": output}


@router.post("")
async def start_run(services: Here, operator: Administrator, http: Request) -> dict[str, Json]:
    """Start a flow; it goes on by itself."""
    return row(await begin(services, operator, await body_of(http, Wanted)))


async def begin(services: Services, operator: Operator, wanted: Wanted) -> Run:
    """Start a flow. Raises RunRefused, AuditUnavailable, and OperatorRefused without flows."""
    by, given = f"operator:{operator.name}", wanted.input
    return await service(services).start(wanted.flow, given, by=by, key=wanted.key)


@router.post("/{run_id}/fork")
async def fork_run(
    services: Here, operator: Administrator, run_id: str, http: Request
) -> dict[str, Json]:
    """Go on anew from a step of a run, in a run of one's own; the first stays as it is."""
    return row(await forked(services, operator, run_id, await body_of(http, Fork)))


async def forked(services: Services, operator: Operator, run_id: str, wanted: Fork) -> Run:
    """Go on anew from a step of a run. Raises as `begin`."""
    run, runs = services.state.runs.get(run_id), services.state.runs
    takes_over = wanted.step > 1 or runs.reused(run_id)
    if takes_over and _taken_back(services, run):
        raise RunRefused("run.fork", "what this run has done is taken back: nothing stands on it")
    instead = (wanted.instead,) if "instead" in wanted.model_fields_set else ()
    by = f"operator:{operator.name}"
    return await service(services).fork(run_id, wanted.step, instead, by=by)


@router.post("/{run_id}/pause")
async def pause_run(services: Here, operator: Administrator, run_id: str) -> dict[str, Json]:
    """Let no further step of a run begin; what is under way ends."""
    by = f"operator:{operator.name}"
    return row(await services.state.runs.move(run_id, "run.paused", by=by))


@router.post("/{run_id}/resume")
async def resume_run(services: Here, operator: Administrator, run_id: str) -> dict[str, Json]:
    """Let a paused run go on."""
    by = f"operator:{operator.name}"
    return row(await services.state.runs.move(run_id, "run.resumed", by=by))


@router.post("/{run_id}/cancel")
async def cancel_run(services: Here, operator: Administrator, run_id: str) -> dict[str, Json]:
    """Stop a run and all that it has handed on; what is under way is cut short."""
    return row(await service(services).cancel(run_id, by=f"operator:{operator.name}"))


def service(services: Services) -> RunService:
    """What runs flows here. Raises OperatorRefused where there are none."""
    if services.runs is None:
        raise OperatorRefused("operator.unknown", "this gateway runs no flows")
    return services.runs


def _taken_back(services: Services, run: Run) -> bool:
    """Whether a rollback is, or is to be, of a run or of one that it has taken steps over from."""
    rolled = {session for each in services.state.rollbacks.all() for session in each.sessions}
    before: Run | None = run
    while before is not None:
        acted = {grant.session for grant in before.grants.values()}
        if before.is_owed_undo or not rolled.isdisjoint(acted):
            return True
        before = services.state.runs.find(before.forked.run) if before.forked is not None else None
    return False

"""`/runs`: the runs of flows, one of them step by step, and what may be done with it."""

import asyncio
from collections.abc import Mapping
from typing import Any, Literal

from fastapi import Request, Response

from audit import canonical
from audit.errors import NotStrict
from console import frame
from console.drawing import svg
from console.routes import Pages, see, see_again
from console.runs import timeline
from console.runs.graph import graph
from console.runs.length import length
from console.runs.tree import Row, find, shown, total, tree
from console.visitors import Administrator, Viewer, Visitor
from gateway.operator import runs
from gateway.operator.api import Here, validated
from gateway.operator.errors import OperatorRefused
from gateway.operator.run_rows import steps, waiting
from gateway.operator.services import Services
from gateway.runs.progress import Said
from gateway.runs.run import ROOT, Grant, Run, place_of
from gateway.runs.steps import Taken

PAGE = 100
MOST_SAID = 50
MAX_INPUT = 48 * 1024

View = Literal["table", "graph", "time"]
VIEWS: Mapping[View, str] = {"table": "Steps", "graph": "Graph", "time": "Time"}
ACTS = {"pause": runs.pause_run, "resume": runs.resume_run, "cancel": runs.cancel_run}

router = Pages()


@router.get("/runs")
async def listed(services: Here, visitor: Viewer, request: Request, first: int = 0) -> Response:
    """Runs, newest first."""
    every = list(reversed(services.state.runs.all()))
    first = max(0, first)
    page = every[first : first + PAGE]
    asked = {
        place_of(each.key.step)[0]
        for each in services.state.approvals.all()
        if each.state == "asked"
    }
    return frame.show(
        request,
        visitor,
        "runs/list.html",
        runs=page,
        waiting=asked,
        all=len(every),
        next=first + PAGE if first + PAGE < len(every) else None,
        flows=sorted({} if services.runs is None else services.runs.flows()),
    )


@router.post("/runs/start")
async def start(services: Here, visitor: Administrator) -> Response:
    """Start a flow; it goes on by itself."""
    try:
        given = canonical.read((visitor.field("input") or "null").encode(), max_bytes=MAX_INPUT)
    except (NotStrict, UnicodeEncodeError) as error:
        raise OperatorRefused("operator.body", f"the input: {error}") from error
    wanted = {"flow": visitor.field("flow"), "input": given, "key": visitor.field("key") or None}
    run = await runs.begin(services, visitor.operator, validated(runs.Wanted, wanted))
    return see(f"/runs/{run.id}")


@router.get("/runs/{run_id}")
async def one(
    services: Here,
    visitor: Viewer,
    request: Request,
    run_id: str,
    view: View = "table",
    at: str = "",
    first: int = 0,
) -> Response:
    """One run.

    at     the part that is shown, by its path; "": all of it
    first  how many parts of that are left out at the beginning
    """
    return await _show(services, visitor, request, run_id, view=view, at=at, first=max(0, first))


@router.post("/runs/{run_id}/output")
async def output(services: Here, visitor: Viewer, request: Request, run_id: str) -> Response:
    """One run with what came out of it; that somebody read it becomes an entry."""
    told = await runs.show_output(services, visitor.operator, run_id)
    return await _show(services, visitor, request, run_id, output=told)


@router.post("/runs/{run_id}/{act}")
async def move(
    services: Here, visitor: Administrator, run_id: str, act: Literal["pause", "resume", "cancel"]
) -> Response:
    """Hold a run up, let it go on, or stop it."""
    await ACTS[act](services, visitor.operator, run_id)
    return see_again(visitor, f"/runs/{run_id}")


async def _show(
    services: Services,
    visitor: Visitor,
    request: Request,
    run_id: str,
    *,
    view: View = "table",
    at: str = "",
    first: int = 0,
    output: Mapping[str, Any] | None = None,
) -> Response:
    run = services.state.runs.get(run_id)
    rows, size = _rows(services, run), services.log.size
    now = services.recorder.now()
    told = await asyncio.to_thread(_told, rows, f"/runs/{run_id}", view, at, first, now)
    return frame.show(
        request,
        visitor,
        "runs/run.html",
        run=run,
        progress=_progress(services, run, at),
        lent=_lent(run, at),
        rollback=services.state.rollbacks.of(run.session),
        views=VIEWS,
        view=view,
        asked=waiting(services.state.approvals, run_id),
        size=size,
        output=output,
        length=length,
        lasted=length(((run.ended or now // 1_000_000) - run.started) * 1_000_000),
        **told,
    )


def _progress(services: Services, run: Run, at: str) -> list[Said]:
    """What the run has said of a part of it last, the newest first."""
    every = services.state.runs.progress.of(run.id)
    there = [said for said in every if not at or f"{said.path}/".startswith(f"{at}/")]
    return there[: -MOST_SAID - 1 : -1]


def _lent(run: Run, at: str) -> list[tuple[str, Grant]]:
    """What was lent on the way, to agents that work was handed to and by contracts."""
    given = [(path, grant) for path, grant in run.grants.items() if path != ROOT]
    return [each for each in given if not at or f"{each[0]}/".startswith(f"{at}/")][:MOST_SAID]


def _told(rows: list[Row], here: str, view: View, at: str, first: int, now: int) -> dict[str, Any]:
    """What the page shows of the steps."""
    part = find(tree(rows), at)
    found = shown(part, first)
    picture = None
    if found.top and view == "graph":
        picture = svg(graph(found, here, now), "Steps in their order")
    elif found.top and view == "time":
        picture = timeline.draw(found.lines, now)
    behind = first + len(found.top)
    return {
        "lines": found.lines,
        "rest": found.rest,
        "behind": behind,
        "at": part.path,
        "picture": picture,
        "sum": total(rows),
    }


def _rows(services: Services, run: Run) -> list[Row]:
    """The steps of a run, and those for which people were asked before there was any decision."""
    found = {path: _row(path, taken) for path, taken in steps(services.state.runs, run.id)}
    for request in waiting(services.state.approvals, run.id):
        path = place_of(request.key.step)[1]
        known = found.get(path)
        found[path] = Row(
            path=path,
            tool=request.key.tool,
            agent=request.key.agent,
            status="waiting",
            at=_made(request.id) if known is None else known.at,
            entry=request.index,
            approval=request.id,
        )
    return list(found.values())


def _made(uuid7: str) -> int:
    """When an id was made, in microseconds since 1970: it begins with the milliseconds."""
    return int(uuid7.replace("-", "")[:12], 16) * 1000 + 999


def _row(path: str, taken: Taken) -> Row:
    until = None if taken.us is None else taken.at + taken.us
    return Row(
        path=path,
        tool=taken.tool,
        agent=taken.agent,
        status=taken.status,
        at=taken.at,
        until=taken.at if taken.status == "denied" else until,
        entry=taken.index,
        outcome=taken.outcome,
        asked=taken.asked,
        tokens=taken.tokens,
        cost=taken.cost,
    )

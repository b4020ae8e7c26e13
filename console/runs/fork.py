"""`/runs/RUN/fork`: go on anew from a step of a run, picked from those that it has made."""

from fastapi import Request, Response

from audit import canonical
from audit.errors import NotStrict
from console import frame
from console.paging import part_of
from console.routes import Pages, see
from console.visitors import Administrator, Viewer, Visitor
from gateway.operator import runs
from gateway.operator.api import Here, validated
from gateway.operator.errors import OperatorRefused
from gateway.operator.run_rows import steps
from gateway.operator.services import Services
from gateway.runs.errors import RunRefused

MAX_INPUT = 48 * 1024

router = Pages()


@router.get("/runs/{run_id}/fork")
async def pick(
    services: Here, visitor: Viewer, request: Request, run_id: str, first: int = 0
) -> Response:
    """The steps of a run, one of which is to be the first that is made anew.

    first  how many of them are left out at the beginning
    """
    run = services.state.runs.get(run_id)
    part = part_of(steps(services.state.runs, run_id), first)
    return frame.show(
        request,
        visitor,
        "runs/fork.html",
        run=run,
        steps=part.lines,
        next=part.next,
    )


@router.post("/runs/{run_id}/fork")
async def fork(services: Here, visitor: Administrator, run_id: str) -> Response:
    """Start the run that goes on from there."""
    services.state.runs.get(run_id)
    wanted = {"step": _number(services, run_id, visitor.field("step"))} | _instead(visitor)
    run = await runs.forked(services, visitor.operator, run_id, validated(runs.Fork, wanted))
    return see(f"/runs/{run.id}")


def _number(services: Services, run_id: str, decided: str) -> int:
    """The number of the step whose decision is that entry: numbers move while a run goes on."""
    for number, (_, taken) in enumerate(steps(services.state.runs, run_id), start=1):
        if str(taken.index) == decided:
            return number
    raise RunRefused(
        "run.fork", "that step is not, or no longer, what the run has made: look again"
    )


def _instead(visitor: Visitor) -> dict[str, canonical.Json]:
    """What the step is given instead, where somebody wrote anything."""
    written = visitor.field("instead").strip()
    try:
        given = canonical.read(written.encode(), max_bytes=MAX_INPUT) if written else None
    except (NotStrict, UnicodeEncodeError) as error:
        raise OperatorRefused("operator.body", f"the value: {error}") from error
    return {"instead": given} if written else {}

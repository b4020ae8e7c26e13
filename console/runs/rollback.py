"""`/runs/RUN/rollback`: what would be taken back of a run, the order to, and how far that is."""

from fastapi import Request, Response

from console import frame
from console.paging import part_of
from console.routes import Pages, see
from console.visitors import Administrator, Viewer
from gateway.operator import rollbacks
from gateway.operator.api import Here, validated
from gateway.operator.errors import OperatorRefused
from gateway.operator.outlook import outlook

CONFIRM = "take it back"
"""What has to be typed: some of what takes calls back cannot itself be taken back."""

router = Pages()


@router.get("/runs/{run_id}/rollback")
async def outlined(
    services: Here, visitor: Viewer, request: Request, run_id: str, first: int = 0
) -> Response:
    """Every call in the order in which it is taken back, with where people will have to look.

    first  how many of them are left out at the beginning
    """
    run = services.state.runs.get(run_id)
    size = services.log.size
    found = await outlook(services, run.session)
    part = part_of(found.lines, first)
    return frame.show(
        request,
        visitor,
        "runs/rollback.html",
        run=run,
        size=size,
        outlook=found,
        lines=part.lines,
        next=part.next,
        hindered=sum(each.hindrance is not None for each in found.lines),
        confirm=CONFIRM,
    )


@router.post("/runs/{run_id}/rollback")
async def take_back(services: Here, visitor: Administrator, run_id: str) -> Response:
    """Take back what a run did, as the page has shown it; or go on with that."""
    run = services.state.runs.get(run_id)
    if run.state != "ended":
        raise OperatorRefused("run.state", "this run has not ended: cancel it first")
    found = await outlook(services, run.session)
    if visitor.field("seen") != found.digest:
        raise OperatorRefused("rollback.changed", "it is no longer as it was shown: look again")
    if found.rollback is None:
        visitor.confirm(CONFIRM)
    wanted = {"leave": bool(visitor.field("leave")), "reason": visitor.field("reason")}
    await rollbacks.order(
        services,
        visitor.operator,
        run.session,
        validated(rollbacks.Wanted, wanted),
        run=run_id,
        seen=None if found.rollback is None else found.rollback.at,
    )
    return see(f"/runs/{run_id}/rollback")

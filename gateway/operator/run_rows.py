"""Runs as operators are shown them: a row for each, its steps, and the questions that wait."""

from audit.canonical import Json
from gateway.approval.approvals import Approvals
from gateway.approval.request import Request
from gateway.runs.run import ROOT, UNDO, Run, place_of
from gateway.runs.runs import Runs
from gateway.runs.steps import Taken


def row(run: Run) -> dict[str, Json]:
    """Where a run is; times in seconds since 1970."""
    return {
        "id": run.id,
        "flow": run.flow,
        "agent": run.grants[ROOT].agent,
        "session": run.session,
        "by": run.by,
        "key": run.key,
        "state": run.state,
        "started": run.started,
        "ended": run.ended,
        "result": run.result,
        "detail": run.detail,
        "cause": None if run.cause is None else run.cause.to_json(),
        "on_failure": UNDO if run.takes_back else "leave",
        "forked": None if run.forked is None else run.forked.to_json(),
    }


def steps(runs: Runs, run_id: str, after: int = 0) -> list[tuple[str, Taken]]:
    """Steps with their paths, in the order in which they were last decided.

    after  how many entries the log had: those of which none of its further entries says anything
           are left out
    """
    taken = [each for each in runs.steps(run_id).items() if last(each[1]) >= after]
    return sorted(taken, key=lambda each: each[1].index)


def last(taken: Taken) -> int:
    """The newest entry that says something of a step."""
    return taken.index if taken.outcome is None else max(taken.index, taken.outcome)


def waiting(approvals: Approvals, run_id: str) -> list[Request]:
    """The questions of a run that nobody has answered."""
    return [
        request
        for request in approvals.all()
        if request.state == "asked" and place_of(request.key.step)[0] == run_id
    ]

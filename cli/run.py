"""`passavant run`: flows, and what they are doing."""

from collections.abc import Callable
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from audit import canonical
from audit.errors import NotStrict
from cli.arguments import MAX_BYTES
from cli.client import Operators, operated, quoted
from cli.errors import Exit, stop
from cli.following import Event, follow
from cli.interrupt import Stopping, until_stopped
from cli.options import AsJson
from cli.output import as_card, as_json, as_table, moment, say
from cli.rollback import DryRun, Leave, Reason, Show, Wait, taken_back
from policies.inert import inert

app = typer.Typer(no_args_is_help=True, help="Runs of flows.")

Id = Annotated[str, typer.Argument(help="Id of the run.")]
COLUMNS = ("id", "flow", "state", "result", "by", "started", "ended")
STEPS = ("n", "path", "tool", "status", "asked", "index", "outcome")

PROGRESS = ("path", "event", "facts", "index")

Tell = Callable[[Event], None]
"""Says what happened, in one way or another."""


@app.command("list")
@operated
def list_runs(api: Operators, *, json: AsJson = False) -> None:
    """List runs, newest first."""
    rows = api.get("/api/runs")
    as_json(rows) if json else as_table([_row(row) for row in rows], COLUMNS)


@app.command()
@operated
def flows(api: Operators, *, json: AsJson = False) -> None:
    """List the flows that can be started."""
    found = api.get("/api/runs/flows")
    rows = [{"name": name, "title": flow["title"]} for name, flow in sorted(found.items())]
    as_json(found) if json else as_table(rows, ("name", "title"))


@app.command()
@operated
def show(
    api: Operators,
    run: Id,
    *,
    output: Annotated[
        bool, typer.Option("--output", help="What came out, too; opening it is recorded.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Show one run and its steps."""
    found = api.get(f"/api/runs/{quoted(run)}")
    if output:
        found |= api.get(f"/api/runs/{quoted(run)}/output")
    if json:
        as_json(found)
        return
    steps, said = found.pop("steps"), found.pop("progress")
    as_card(_row(found))
    typer.echo()
    as_table([{"n": n, **step} for n, step in enumerate(steps, start=1)], STEPS)
    if said:
        typer.echo()
        as_table([{**each, "facts": _facts(each)} for each in said], PROGRESS)


@app.command()
@operated
def start(
    api: Operators,
    flow: Annotated[str, typer.Argument(help="Name of the flow.")],
    *,
    given: Annotated[str, typer.Option("--input", help="JSON, or @FILE.")] = "null",
    key: Annotated[
        str | None, typer.Option(help="Your name for it: the same start again is the same run.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended.")] = False,
    json: AsJson = False,
) -> None:
    """Start a flow; it goes on by itself."""
    body = {"flow": flow, "input": _read(given, "--input")} | (
        {"key": key} if key is not None else {}
    )
    run = api.post("/api/runs", body)
    if not wait:
        as_json(run) if json else typer.echo(run["id"])
        return
    with until_stopped() as stopping:
        found = _watched(api, run["id"], stopping, _keep_quiet if json else _tell)
    if json:
        as_json(found)
    _ended(found)


@app.command()
@operated
def watch(api: Operators, run: Id, *, json: AsJson = False) -> None:
    """Print each step of a run as it is made, until the run has ended; exit 1 when it failed.

    What the run says of itself stands between them. As JSON, one event a line.
    """
    with until_stopped() as stopping:
        found = _watched(api, run, stopping, _as_line if json else _tell)
    _ended(found)


@app.command()
@operated
def pause(api: Operators, run: Id) -> None:
    """Let no further step of a run begin."""
    _moved(api, run, "pause")


@app.command()
@operated
def resume(api: Operators, run: Id) -> None:
    """Let a paused run go on."""
    _moved(api, run, "resume")


@app.command()
@operated
def cancel(api: Operators, run: Id) -> None:
    """Stop a run and all that it has handed on."""
    _moved(api, run, "cancel")


@app.command()
@operated
def fork(
    api: Operators,
    run: Id,
    *,
    step: Annotated[int, typer.Option(help="Number of the first step that is made anew.")],
    instead: Annotated[
        str | None, typer.Option("--with", help="What that step is given: JSON, or @FILE.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Go on anew from a step of a run, as a run of your own; what was done before is taken over."""
    body = {"step": step} | ({} if instead is None else {"instead": _read(instead, "--with")})
    found = api.post(f"/api/runs/{quoted(run)}/fork", body)
    as_json(found) if json else typer.echo(found["id"])


@app.command()
@operated
def rollback(
    api: Operators,
    run: Id,
    *,
    show: Show = False,
    dry_run: DryRun = False,
    leave: Leave = False,
    reason: Reason = "",
    wait: Wait = False,
    json: AsJson = False,
) -> None:
    """Stop a run and take back what it has done, the last deed first; or go on with that."""
    place = f"/api/runs/{quoted(run)}/rollback"
    taken_back(
        api,
        place,
        show=show,
        dry_run=dry_run,
        leave=leave,
        reason=reason,
        wait=wait,
        json=json,
    )


def _moved(api: Operators, run: str, where: str) -> None:
    found = api.post(f"/api/runs/{quoted(run)}/{where}")
    say(f"run {run} is {found['state']}")


def _watched(api: Operators, run: str, stopping: Stopping, tell: Tell) -> dict[str, Any]:
    """Follow a run to its end, or as long as wanted; where it is then."""
    found: dict[str, Any] = {}
    for event in follow(api, run, stopping):
        if event.kind == "run":
            found = event.data
        tell(event)
    return found or dict(api.get(f"/api/runs/{quoted(run)}"))


def _keep_quiet(_: Event) -> None:
    """Whoever waits for JSON wants the end alone."""


def _as_line(event: Event) -> None:
    typer.echo(dumps({"event": event.kind, **event.data}, sort_keys=True))


def _facts(said: dict[str, Any]) -> str:
    return ", ".join(f"{name} {fact}" for name, fact in said["facts"].items())


def _tell(event: Event) -> None:
    told = event.data
    if event.kind == "step":
        typer.echo(inert(f"{told['path']}  {told['tool']}  {told['status']}"))
    elif event.kind == "progress":
        typer.echo(inert(f"{told['path']}  {told['event']}  {_facts(told)}".strip()))
    elif told["state"] == "ended":
        say(f"{told['result']} {told['detail']}".strip())
    for request in told.get("waiting", ()):
        say(f"waits for people: {request['tool']}, passavant approval show {request['id']}")


def _ended(found: dict[str, Any]) -> None:
    """Leave with what a run has come to."""
    if found["state"] != "ended":
        raise typer.Exit(Exit.UNDECIDED)
    raise typer.Exit(Exit.DONE if found["result"] == "done" else Exit.FAILED)


def _read(text: str, option: str) -> Any:  # noqa: ANN401 - JSON
    """What a run or a step is given, strictly."""
    try:
        raw = Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
        return canonical.read(raw, max_bytes=MAX_BYTES)
    except (OSError, NotStrict) as error:
        stop(f"{option}: {error}", Exit.USAGE)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    ended = row["ended"]
    times = {"started": moment(row["started"]), "ended": None if ended is None else moment(ended)}
    return {**row, **times}

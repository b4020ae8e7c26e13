"""`passavant session`: what agents work in."""

from typing import Annotated, Any

import typer

from cli.client import Operators, operated, quoted
from cli.options import AsJson
from cli.output import as_card, as_json, as_table, moment, say
from cli.rollback import DryRun, Leave, Reason, Show, Wait, taken_back

app = typer.Typer(no_args_is_help=True, help="Sessions of agents.")

Id = Annotated[str, typer.Argument(help="Id of the session.")]
COLUMNS = ("id", "agent", "user", "opened", "ends", "ended", "labels")


@app.command("list")
@operated
def list_sessions(api: Operators, *, json: AsJson = False) -> None:
    """List sessions, newest first."""
    rows = api.get("/api/sessions")
    as_json(rows) if json else as_table([_row(row) for row in rows], COLUMNS)


@app.command()
@operated
def show(api: Operators, session: Id, *, json: AsJson = False) -> None:
    """Show one session."""
    found = api.get(f"/api/sessions/{quoted(session)}")
    as_json(found) if json else as_card(_row(found))


@app.command()
@operated
def widen(
    api: Operators,
    session: Id,
    tools: Annotated[str, typer.Option(help="Tools it may use from now on too, as A,B.")],
) -> None:
    """Let a task use further tools; what no rule allows stays denied."""
    widened = api.post(f"/api/sessions/{quoted(session)}/widen", {"tools": tools.split(",")})
    say(f"session {session} may use {', '.join(widened['tools'])}")


@app.command()
@operated
def release(
    api: Operators,
    session: Id,
    label: Annotated[list[str], typer.Option(help="A label that is taken off the value.")],
    reason: Annotated[str, typer.Option(help="Why, for the log.")],
) -> None:
    """Take labels off one value, read from standard input; the session keeps them."""
    value = typer.get_text_stream("stdin").read().removesuffix("\n")
    body = {"value": value, "labels": label, "reason": reason}
    api.post(f"/api/sessions/{quoted(session)}/release", body)
    say(f"that value is released from {', '.join(label)} in session {session}")


@app.command()
@operated
def end(api: Operators, session: Id) -> None:
    """End a session: its tokens are refused from the next call on."""
    api.post(f"/api/sessions/{quoted(session)}/end")
    say(f"session {session} has ended")


@app.command()
@operated
def rollback(
    api: Operators,
    session: Id,
    *,
    show: Show = False,
    dry_run: DryRun = False,
    leave: Leave = False,
    reason: Reason = "",
    wait: Wait = False,
    json: AsJson = False,
) -> None:
    """End a session and take back what was done in it, the last deed first; or go on with that."""
    place = f"/api/sessions/{quoted(session)}/rollback"
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


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "opened": moment(row["opened"]), "ends": moment(row["ends"])}

"""`passavant session`: what agents work in."""

from typing import Annotated, Any

import typer

from cli.client import operators
from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import as_card, as_json, as_table, moment, say

app = typer.Typer(no_args_is_help=True, help="Sessions of agents.")

Id = Annotated[str, typer.Argument(help="Id of the session.")]
COLUMNS = ("id", "agent", "user", "opened", "ends", "ended", "labels")


@app.command("list")
def list_sessions(home: Home = DEFAULT_HOME, json: AsJson = False) -> None:
    """List sessions, newest first."""
    with operators(home) as api:
        rows = api.get("/api/sessions")
    as_json(rows) if json else as_table([_row(row) for row in rows], COLUMNS)


@app.command()
def show(session: Id, home: Home = DEFAULT_HOME, json: AsJson = False) -> None:
    """Show one session."""
    with operators(home) as api:
        found = api.get(f"/api/sessions/{session}")
    as_json(found) if json else as_card(_row(found))


@app.command()
def end(session: Id, home: Home = DEFAULT_HOME) -> None:
    """End a session: its tokens are refused from the next call on."""
    with operators(home) as api:
        api.post(f"/api/sessions/{session}/end")
    say(f"session {session} has ended")


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "opened": moment(row["opened"]), "ends": moment(row["ends"])}

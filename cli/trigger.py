"""`passavant trigger`: what starts flows by itself."""

from typing import Any

import typer

from cli.client import Operators, operated
from cli.options import AsJson
from cli.output import as_json, as_table, moment

app = typer.Typer(no_args_is_help=True, help="What starts flows by itself.")

COLUMNS = ("name", "flow", "cause", "next", "runs", "last")


@app.callback()
def triggers() -> None:
    """Keep `list` a command of its own."""


@app.command("list")
@operated
def list_triggers(api: Operators, *, json: AsJson = False) -> None:
    """List the triggers of the policy in force."""
    rows = api.get("/api/triggers")
    as_json(rows) if json else as_table([_row(row) for row in rows], COLUMNS)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    cause = row["schedule"] or row["entry"] or row["webhook"]
    return {**row, "cause": cause, "next": None if row["next"] is None else moment(row["next"])}

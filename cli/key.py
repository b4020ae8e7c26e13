"""`passavant key`: what the gateway signs with."""

from typing import Any

import typer

from cli.client import Operators, operated
from cli.options import AsJson
from cli.output import as_json, as_table, moment

app = typer.Typer(no_args_is_help=True, help="Keys of the gateway.")


@app.callback()
def key() -> None:
    """Keys of the gateway."""


@app.command("list")
@operated
def list_keys(api: Operators, *, json: AsJson = False) -> None:
    """List the keys that sign the log and access tokens; never a private one."""
    rows = api.get("/api/keys")
    as_json(rows) if json else as_table([_row(row) for row in rows], ("use", "id", "made", "state"))


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "made": None if row["made"] is None else moment(row["made"])}

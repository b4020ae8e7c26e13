"""`passavant key`: what the gateway signs with."""

from typing import Any

import typer

from cli.client import Operators, operated
from cli.options import AsJson
from cli.output import as_json, as_table, moment, say

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


@app.command()
@operated
def rotate(api: Operators, *, json: AsJson = False) -> None:
    """Sign tokens with a new key from now on; those that are out stay good until they end."""
    made = api.post("/api/keys/rotate", {"use": "tokens"})
    as_json(made) if json else say(f"key {made['id']} signs; the one before verifies until it ends")


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "made": None if row["made"] is None else moment(row["made"])}

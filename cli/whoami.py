"""`passavant whoami`: whose key this is."""

import typer

from cli.client import Operators, operated
from cli.options import AsJson
from cli.output import as_card, as_json

app = typer.Typer()


@app.command()
@operated
def whoami(api: Operators, *, json: AsJson = False) -> None:
    """Show who the operator's key belongs to, and their roles."""
    found = api.get("/api/whoami")
    shown = {"name": found["name"], "roles": found["roles"]}
    as_json(shown) if json else as_card({**shown, "roles": ", ".join(shown["roles"])})

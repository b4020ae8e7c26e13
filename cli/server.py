"""`passavant server`: the upstreams, and what they offer now beside what was accepted."""

from typing import Annotated

import typer

from cli.client import operators
from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import as_card, as_json, as_table, say

app = typer.Typer(no_args_is_help=True, help="Upstream servers and their tools.")

Name = Annotated[str, typer.Argument(help="Name of the server.")]


@app.command("list")
def list_servers(home: Home = DEFAULT_HOME, json: AsJson = False) -> None:
    """List the servers of this deployment."""
    with operators(home) as api:
        rows = api.get("/api/servers")
    as_json(rows) if json else as_table(rows, ("name", "state", "tools", "waiting"))


@app.command()
def show(server: Name, home: Home = DEFAULT_HOME, json: AsJson = False) -> None:
    """Show the tools of one server: name, pin, and whether it may be called."""
    with operators(home) as api:
        found = api.get(f"/api/servers/{server}")
    if json:
        as_json(found)
    else:
        as_table(found["tools"], ("name", "published", "status", "pin"))


@app.command()
def review(server: Name, home: Home = DEFAULT_HOME, json: AsJson = False) -> None:
    """Show every difference between what the server offers now and what was accepted."""
    with operators(home) as api:
        found = api.get(f"/api/servers/{server}/review")
    if json:
        as_json(found)
        return
    say(f"digest of what is offered: {found['digest']}")
    for change in found["changes"]:
        as_card(change)
        typer.echo()


@app.command()
def accept(
    server: Name,
    digest: Annotated[str, typer.Option("--digest", help="As `server review` printed it.")],
    home: Home = DEFAULT_HOME,
) -> None:
    """Accept what the server offers, if it is still what was reviewed."""
    with operators(home) as api:
        accepted = api.post(f"/api/servers/{server}/accept", {"digest": digest})
    say(f"{accepted['tools']} tools of {server} are accepted")

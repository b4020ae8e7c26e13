"""`passavant server`: the upstreams, and what they offer now beside what was accepted."""

from typing import Annotated

import typer

from cli.client import Operators, operated, quoted
from cli.options import AsJson
from cli.output import as_json, as_lines, as_table, say
from policies.inert import inert

app = typer.Typer(no_args_is_help=True, help="Upstream servers and their tools.")

Name = Annotated[str, typer.Argument(help="Name of the server.")]


@app.command("list")
@operated
def list_servers(api: Operators, *, json: AsJson = False) -> None:
    """List the servers of this deployment."""
    rows = api.get("/api/servers")
    as_json(rows) if json else as_table(rows, ("name", "state", "tools", "waiting"))


@app.command()
@operated
def show(api: Operators, server: Name, *, json: AsJson = False) -> None:
    """Show the tools of one server: name, pin, and whether it may be called."""
    found = api.get(f"/api/servers/{quoted(server)}")
    if json:
        as_json(found)
    else:
        as_table(found["tools"], ("name", "published", "status", "pin"))


@app.command()
@operated
def review(api: Operators, server: Name, *, json: AsJson = False) -> None:
    """Show every difference between what the server offers now and what was accepted."""
    found = api.get(f"/api/servers/{quoted(server)}/review")
    if json:
        as_json(found)
        return
    for change in found["changes"]:
        refused = f" (refused: {change['refused']})" if change["refused"] else ""
        typer.echo(inert(f"{change['change']} tool {change['tool']}{refused}"))
        as_lines(change["difference"], indent="  ")
    say(f"{len(found['changes'])} differences; digest of what is offered: {found['digest']}")


@app.command()
@operated
def accept(
    api: Operators,
    server: Name,
    digest: Annotated[str, typer.Option("--digest", help="As `server review` printed it.")],
) -> None:
    """Accept what the server offers, if it is still what was reviewed."""
    accepted = api.post(f"/api/servers/{quoted(server)}/accept", {"digest": digest})
    say(f"{accepted['tools']} tools of {server} are accepted")

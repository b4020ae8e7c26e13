"""`passavant agent`: who calls, and how an agent proves to be itself."""

import os
import secrets
from typing import Annotated

import typer

from cli.client import Operators, operated, quoted
from cli.errors import Exit, stop
from cli.options import AsJson, Out
from cli.output import as_card, as_json, as_table, say
from cli.secret import check_out, hand_over
from cli.stop import Reason
from gateway.identity import names
from gateway.identity.errors import NameInvalid
from gateway.identity.secret_hash import SALT_BYTES, SecretHash

app = typer.Typer(no_args_is_help=True, help="Agents, and how they prove who they are.")

Name = Annotated[str, typer.Argument(help="Name of the agent, as policies write it.")]
COLUMNS = ("name", "owner", "roles", "client", "sessions", "suspended")
SECRET_BYTES = 32


@app.command("list")
@operated
def list_agents(api: Operators, *, json: AsJson = False) -> None:
    """List the agents of the policy in force; `client`: it can get tokens by itself."""
    rows = api.get("/api/agents")
    if json:
        as_json(rows)
    else:
        as_table([{**row, "roles": ", ".join(row["roles"])} for row in rows], COLUMNS)


@app.command()
@operated
def show(
    api: Operators,
    name: Name,
    *,
    user: Annotated[str | None, typer.Option("--for", help="On whose behalf.")] = None,
    json: AsJson = False,
) -> None:
    """Show one agent, and every tool that a rule speaks of for it."""
    found = api.get(f"/api/agents/{quoted(name)}", user=user)
    if json:
        as_json(found)
        return
    tools = found.pop("tools")
    as_card({**found, "roles": ", ".join(found["roles"])})
    as_card({f"  {tool}": marks for tool, marks in tools.items()})


@app.command()
@operated
def suspend(api: Operators, name: Name, reason: Reason) -> None:
    """Let nothing pass that this agent does or had done, until it is resumed."""
    api.post(f"/api/agents/{quoted(name)}/suspend", {"reason": reason})
    say(f"agent {name} is suspended")


@app.command()
@operated
def resume(api: Operators, name: Name, reason: Reason) -> None:
    """Take a suspension back; what was stopped is to be sent anew."""
    api.post(f"/api/agents/{quoted(name)}/resume", {"reason": reason})
    say(f"agent {name} goes on")


@app.command()
def secret(name: Name, out: Out = None, json: AsJson = False) -> None:
    """Make a client secret, shown once, and the line for `identity.clients` of passavant.yaml."""
    try:
        names.agent(name)
    except NameInvalid as error:
        stop(str(error), Exit.USAGE)
    check_out(out)
    made = secrets.token_urlsafe(SECRET_BYTES)
    kept = str(SecretHash.of(made, os.urandom(SALT_BYTES)))
    if json and out is None:
        as_json({"agent": name, "secret": made, "secret_hash": kept})
        return
    hand_over(made, out)
    if json:
        as_json({"agent": name, "secret_hash": kept})
    else:
        typer.echo(f'{name}: {{secret_hash: "{kept}"}}')

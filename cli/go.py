"""`passavant go`: end a stop. Nothing is made up for: what was stopped is to be sent anew."""

from typing import Annotated

import typer

from cli.client import Operators, operated, quoted
from cli.output import say
from cli.stop import Agent, Reason, Server, Tool, User, one_of

app = typer.Typer()


@app.command()
@operated
def go(
    api: Operators,
    reason: Reason,
    agent: Agent = None,
    user: User = None,
    server: Server = None,
    tool: Tool = None,
    everything: Annotated[bool, typer.Option("--all", help="A stop of everything.")] = False,
) -> None:
    """End a stop of everything, unless one thing is named."""
    named = {"agent": agent, "user": user, "server": server, "tool": tool}
    everything = everything or not any(named.values())
    kind, name = one_of(named, everything=everything)
    path = f"/api/{kind}s/{quoted(name)}/resume" if name else "/api/go"
    stops = api.post(path, {"reason": reason})
    say(f"{kind} {name} goes on" if name else "the gateway goes on")
    if stops["everything"]:
        say("everything is still stopped: passavant go --all ends that")

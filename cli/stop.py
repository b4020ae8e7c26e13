"""`passavant stop`: cut off one agent, user, server, tool or session, or everything at once."""

from typing import Annotated

import typer

from cli.client import Operators, operated, quoted
from cli.errors import Exit
from cli.errors import stop as give_up
from cli.output import say

app = typer.Typer()

Agent = Annotated[str | None, typer.Option("--agent", help="What this agent does, or had done.")]
User = Annotated[str | None, typer.Option("--user", help="What is done for this person.")]
Server = Annotated[str | None, typer.Option("--server", help="Every tool of this server.")]
Tool = Annotated[str | None, typer.Option("--tool", help="One tool, as server.tool.")]
Session = Annotated[str | None, typer.Option("--session", help="This session, for good.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; recorded with the act.")]


@app.command()
@operated
def stop(
    api: Operators,
    agent: Agent = None,
    user: User = None,
    server: Server = None,
    tool: Tool = None,
    session: Session = None,
    everything: Annotated[bool, typer.Option("--all", help="Every call of everybody.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; recorded with it.")] = None,
) -> None:
    """Stop calls now, those that wait or run too, until `passavant go`. Name one thing."""
    named = {"agent": agent, "user": user, "server": server, "tool": tool, "session": session}
    kind, name = one_of(named, everything=everything)
    if kind == "session":
        if reason is not None:
            give_up("the end of a session is recorded without a reason", Exit.USAGE)
        api.post(f"/api/sessions/{quoted(name)}/end")
        say(f"session {name} has ended")
        return
    if not reason:
        give_up("say why, with --reason: it is recorded", Exit.USAGE)
    path = f"/api/{kind}s/{quoted(name)}/suspend" if name else "/api/stop"
    api.post(path, {"reason": reason})
    say(f"{kind} {name} is suspended" if name else "everything is stopped")


def one_of(named: dict[str, str | None], *, everything: bool) -> tuple[str, str]:
    """The one thing that was named: what it is and its name, or `everything` and nothing."""
    found = [(kind, name) for kind, name in named.items() if name]
    found += [("everything", "")] if everything else []
    if len(found) != 1:
        give_up(f"name one of --{', --'.join(named)} or --all", Exit.USAGE)
    return found[0]

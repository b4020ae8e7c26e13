"""`passavant call`: one tool call as an agent makes it, recorded with the operator behind it."""

import json as jsonlib
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import typer

from audit import canonical
from audit.errors import NotStrict
from cli.arguments import MAX_BYTES, read_object
from cli.client import TIMEOUT_S, Operators, operated
from cli.errors import Exit, stop
from cli.options import AsJson
from cli.output import as_json, as_lines, say
from cli.token import UserToken, spoken_for
from policies.inert import inert

app = typer.Typer()

EFFECTS = {"allow": Exit.DONE, "ask": Exit.UNDECIDED, "deny": Exit.DENIED}
EXITS = {200: Exit.DONE, 202: Exit.UNDECIDED, 401: Exit.AUTHENTICATION, 403: Exit.DENIED}


@app.command()
@operated
def call(
    api: Operators,
    tool: Annotated[str, typer.Argument(help="SERVER.TOOL")],
    values: Annotated[
        list[str] | None, typer.Argument(help="KEY=VALUE; a value that is JSON is taken as such.")
    ] = None,
    *,
    args: Annotated[str | None, typer.Option("--args", help="All arguments, as JSON.")] = None,
    agent: Annotated[str | None, typer.Option(help="As which agent.")] = None,
    user: Annotated[str | None, typer.Option("--for", help="On whose behalf.")] = None,
    user_token: UserToken = None,
    session: Annotated[str | None, typer.Option(help="In which of its sessions.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only explain the decision.")] = False,
    json: AsJson = False,
) -> None:
    """Call a tool through the gateway as one of its agents."""
    server, dot, name = tool.partition(".")
    if not (server and dot and name):
        stop("a tool is written SERVER.TOOL", Exit.USAGE)
    arguments = _arguments(values or [], args)
    agent = agent or _only_agent(api)
    if dry_run:
        supposed = {"user": user} if user is not None else {}
        told = api.post(
            "/api/policy/explain", {"agent": agent, "tool": tool, "args": arguments} | supposed
        )
        as_json(told) if json else as_lines(told["text"])
        raise typer.Exit(EFFECTS[told["decision"]["effect"]])
    optional = spoken_for(user, user_token)
    optional |= {"session": session} if session is not None else {}
    token = api.post("/api/tokens", {"agent": agent, "tools": [tool]} | optional)["access_token"]
    path = f"/v1/tools/{quote(server, safe='')}/{quote(name, safe='')}"
    answer = _send(f"{api.agents_url()}{path}", token, arguments)
    if json:
        as_json(answer.json())
    else:
        _print(answer)
    raise typer.Exit(EXITS.get(answer.status_code, Exit.FAILED))


def _send(url: str, token: str, arguments: dict[str, Any]) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    try:
        return httpx.post(
            url,
            content=canonical.write(arguments),
            headers=headers,
            timeout=TIMEOUT_S,
            trust_env=False,
        )
    except httpx.HTTPError as error:
        stop(f"the gateway does not answer ({type(error).__name__})")


def _print(answer: httpx.Response) -> None:
    if "audit-receipt" in answer.headers:
        say(f"receipt {answer.headers['audit-receipt']}")
    body = answer.json()
    if not answer.is_success or answer.status_code == 202:
        typer.echo(inert(body.get("detail", "refused")))
        return
    for part in body.get("content", []):
        text = part.get("text") if isinstance(part, dict) else None
        as_lines(text if isinstance(text, str) else jsonlib.dumps(part))


def _arguments(values: list[str], text: str | None) -> dict[str, Any]:
    if text is not None and values:
        stop("either KEY=VALUE or --args, not both", Exit.USAGE)
    return read_object(text, "--args") if text is not None else dict(map(_pair, values))


def _pair(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign:
        stop(f"{text!r} is not KEY=VALUE", Exit.USAGE)
    try:
        return name, canonical.read(value.encode("utf-8", "replace"), max_bytes=MAX_BYTES)
    except NotStrict:
        return name, value


def _only_agent(api: Operators) -> str:
    names = [agent["name"] for agent in api.get("/api/agents")]
    if len(names) != 1:
        stop(f"name the agent with --agent: {', '.join(names)}", Exit.USAGE)
    return str(names[0])

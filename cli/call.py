"""`passavant call`: one tool call as an agent makes it, recorded with the operator behind it."""

import json as jsonlib
from typing import Annotated, Any

import httpx
import typer

from cli.client import TIMEOUT_S, Address, Operators, operators
from cli.errors import Exit, stop
from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import as_json, inert, say

EXITS = {200: Exit.DONE, 202: Exit.UNDECIDED, 401: Exit.AUTHENTICATION, 403: Exit.DENIED}


def call(
    tool: Annotated[str, typer.Argument(help="SERVER.TOOL")],
    values: Annotated[
        list[str] | None, typer.Argument(help="KEY=VALUE; a value that is JSON is taken as such.")
    ] = None,
    args: Annotated[str | None, typer.Option("--args", help="All arguments, as JSON.")] = None,
    agent: Annotated[str | None, typer.Option(help="As which agent.")] = None,
    session: Annotated[str | None, typer.Option(help="In which of its sessions.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only explain the decision.")] = False,
    home: Home = DEFAULT_HOME,
    json: AsJson = False,
) -> None:
    """Call a tool through the gateway as one of its agents."""
    server, dot, name = tool.partition(".")
    if not dot:
        stop("a tool is written SERVER.TOOL", Exit.USAGE)
    arguments = _arguments(values or [], args)
    with operators(home) as api:
        agent = agent or _only_agent(api)
        if dry_run:
            body = {"agent": agent, "tool": tool, "args": arguments}
            as_json(api.post("/api/policy/explain", body))
            return
        wanted = {"agent": agent, "tools": [tool]} | ({"session": session} if session else {})
        token = api.post("/api/tokens", wanted)["access_token"]
    answer = _send(Address.read(home), f"/v1/tools/{server}/{name}", token, arguments)
    if json:
        as_json(answer.json())
    else:
        _print(answer)
    raise typer.Exit(EXITS.get(answer.status_code, Exit.FAILED))


def _send(address: Address, path: str, token: str, arguments: dict[str, Any]) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"}
    try:
        return httpx.post(
            f"http://{address.agents}{path}",
            json=arguments,
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
        typer.echo("\n".join(map(inert, text.splitlines())) if text else jsonlib.dumps(part))


def _arguments(values: list[str], text: str | None) -> dict[str, Any]:
    if text is not None and values:
        stop("either KEY=VALUE or --args, not both", Exit.USAGE)
    if text is not None:
        try:
            found = jsonlib.loads(text)
        except ValueError:
            stop("--args is no JSON", Exit.USAGE)
        if not isinstance(found, dict):
            stop("--args must be a JSON object", Exit.USAGE)
        return found
    return dict(map(_pair, values))


def _pair(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign:
        stop(f"{text!r} is not KEY=VALUE", Exit.USAGE)
    try:
        return name, jsonlib.loads(value)
    except ValueError:
        return name, value


def _only_agent(api: Operators) -> str:
    names = [agent["name"] for agent in api.get("/api/policy/agents")]
    if len(names) != 1:
        stop(f"name the agent with --agent: {', '.join(names)}", Exit.USAGE)
    return str(names[0])

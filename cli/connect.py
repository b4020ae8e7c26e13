"""`passavant connect`: a stdio MCP server for desktop clients, which is this gateway."""

import asyncio
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

import httpx
import typer

from cli.bridge.bridge import Bridge
from cli.bridge.credential import Credential, NoToken
from cli.bridge.gateway import Endpoint, Gateway
from cli.bridge.stdio import lines, write
from cli.client import Operators, operated, quoted
from cli.errors import stop

CONNECT_S = 10.0
ANSWER_S = 600.0
"""How long a call may take: the gateway itself gives up on servers before."""

app = typer.Typer()


@app.command()
@operated
def connect(
    api: Operators,
    agent: Annotated[str, typer.Option("--agent", help="As which agent.")],
    *,
    server: Annotated[
        str | None, typer.Option(help="One server under its own names of tools; else all.")
    ] = None,
    user: Annotated[str | None, typer.Option("--for", help="On whose behalf, in `dev`.")] = None,
    tools: Annotated[str, typer.Option(help="Tools it may use, as A,B.")] = "*",
) -> None:
    """Speak MCP over standard input and output, for a client that starts this by itself.

    Its session and its short-lived token are the gateway's, on your key; they end with the input.
    """
    wanted: dict[str, object] = {"agent": agent, "tools": tools.split(",")}
    wanted |= {} if user is None else {"user": user}

    def issue(members: Mapping[str, object]) -> Mapping[str, Any]:
        try:
            issued: Mapping[str, Any] = api.post("/api/tokens", members)
        except typer.Exit as error:
            raise NoToken from error
        return issued

    credential = Credential(issue, wanted, time.time)
    path = "/mcp" if server is None else f"/mcp/{quoted(server)}"
    stated = str(api.get("/api/status")["public_url"])
    endpoint = Endpoint(f"{api.agents_url()}{path}", f"{stated}{path}")
    try:
        asyncio.run(_carry(endpoint, credential))
    except KeyboardInterrupt:
        pass  # whoever pressed it knows
    finally:
        if credential.session is not None:
            with suppress(typer.Exit):
                api.post(f"/api/sessions/{quoted(credential.session)}/end")


async def _carry(endpoint: Endpoint, credential: Credential) -> None:
    timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
    async with httpx.AsyncClient(timeout=timeout, trust_env=False) as http:
        try:
            await credential.headers("POST", endpoint.stated)  # who may not is told at once
        except NoToken:
            stop("no token for this agent")
        await Bridge(Gateway(endpoint, credential, http), write).run(lines(sys.stdin.buffer))

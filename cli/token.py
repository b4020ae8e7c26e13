"""`passavant token`: credentials of agents."""

from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Annotated, Any

import typer

from audit import canonical
from audit.errors import NotStrict
from cli.arguments import MAX_BYTES
from cli.client import Operators, operated
from cli.errors import Exit, stop
from cli.options import AsJson
from cli.output import as_card, as_json, say
from gateway.notation import milliseconds

app = typer.Typer(no_args_is_help=True, help="Access tokens of agents.")

UserToken = Annotated[
    Path | None,
    typer.Option(
        "--user-token", help="File with the user's own token, needed outside dev; `-` reads input."
    ),
]
Token = Annotated[str, typer.Argument(help="The token; `-` reads it from standard input.")]


@app.command()
@operated
def issue(
    api: Operators,
    agent: Annotated[str, typer.Option("--agent", help="An agent that the policy names.")],
    session: Annotated[str | None, typer.Option(help="A session that it has.")] = None,
    user: Annotated[str | None, typer.Option("--for", help="On whose behalf it acts.")] = None,
    user_token: UserToken = None,
    bound_to: Annotated[
        str | None, typer.Option(help="Thumbprint of the key that must be proven with it (DPoP).")
    ] = None,
    tools: Annotated[str, typer.Option(help="Tools it may use, as A,B.")] = "*",
    ttl: Annotated[str | None, typer.Option(help="How long, as 15m.")] = None,
    purpose: Annotated[
        str | None, typer.Option(help="What the new session is for, in the person's words.")
    ] = None,
    purpose_tools: Annotated[
        str | None, typer.Option(help="Tools that takes, as A,B; no others are let through.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Issue a token, in a new session unless one is named. Prints the token alone."""
    body: dict[str, object] = {"agent": agent, "tools": tools.split(",")}
    body |= spoken_for(user, user_token)
    body |= {} if bound_to is None else {"bound_to": bound_to}
    body |= {} if session is None else {"session": session}
    body |= {} if ttl is None else {"ttl_s": seconds(ttl)}
    body |= {} if purpose is None else {"purpose": purpose}
    body |= {} if purpose_tools is None else {"purpose_tools": purpose_tools.split(",")}
    issued = api.post("/api/tokens", body)
    if json:
        as_json(issued)
        return
    say(f"session {issued['session']}, good for {issued['expires_in']} s")
    typer.echo(issued["access_token"])


@app.command()
@operated
def revoke(api: Operators, token: Token) -> None:
    """Withdraw a token; it is refused from the next call on."""
    revoked = api.post("/api/tokens/revoke", {"token": _given(token)})
    say(f"token {revoked['revoked']} is revoked")


@app.command()
def inspect(token: Token, json: AsJson = False) -> None:
    """Print what a token says. Nothing is verified, and nothing leaves this machine."""
    parts = _given(token).split(".")
    if len(parts) != 3:
        stop("this is no token: it has not three parts", Exit.USAGE)
    header, claims = _read(parts[0]), _read(parts[1])
    if json:
        as_json({"header": header, "claims": claims})
    else:
        as_card({**header, **claims})


def _read(part: str) -> dict[str, Any]:
    """One part of a token, or the end of the command."""
    try:
        raw = urlsafe_b64decode(part + "=" * (-len(part) % 4))
        found = canonical.read(raw, max_bytes=MAX_BYTES)
    except (ValueError, NotStrict):
        stop("this is no token: its parts are no JSON", Exit.USAGE)
    if not isinstance(found, dict):
        stop("this is no token: its parts are no JSON objects", Exit.USAGE)
    return found


def _given(token: str) -> str:
    return typer.get_text_stream("stdin").read().strip() if token == "-" else token  # noqa: S105 - a file name


def spoken_for(user: str | None, token: Path | None) -> dict[str, object]:
    """The members of a request that say on whose behalf; ends the command for a file not there."""
    members: dict[str, object] = {} if user is None else {"user": user}
    if token is None:
        return members
    try:
        text = _given("-") if token == Path("-") else token.read_text("ascii").strip()
    except (OSError, ValueError):
        stop(f"{token} cannot be read", Exit.USAGE)
    return {**members, "user_token": text}


def seconds(text: str) -> int:
    """A duration as somebody types it, in whole seconds; ends the command for another text."""
    try:
        return max(1, milliseconds(text) // 1000)
    except ValueError as error:
        stop(str(error), Exit.USAGE)

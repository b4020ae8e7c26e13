"""`passavant operator`: who may operate a gateway."""

import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from audit.errors import AuditError
from cli.client import Operators, operated, quoted
from cli.errors import Exit, stop
from cli.options import AsJson, Out
from cli.output import as_json, as_table, moment, say
from cli.secret import check_out, hand_over
from cli.token import seconds
from gateway.errors import GatewayError
from gateway.home import Home
from gateway.operator.bootstrap import invite_first, is_running
from gateway.operator.credentials import KEY_BYTES, ROLES, Operator, Role

app = typer.Typer(no_args_is_help=True, help="People who may operate this gateway.")

Name = Annotated[str, typer.Argument(help="Name of the person.")]


@app.command("list")
@operated
def list_operators(api: Operators, *, json: AsJson = False) -> None:
    """List everyone who holds a key."""
    rows = api.get("/api/operators")
    shown = ("name", "roles", "groups", "expires")
    as_json(rows) if json else as_table([_row(row) for row in rows], shown)


@app.command()
@operated
def invite(
    api: Operators,
    name: Name,
    role: Annotated[
        list[str], typer.Option("--role", help=f"One of {', '.join(sorted(ROLES))}; several times.")
    ],
    *,
    group: Annotated[
        list[str] | None, typer.Option("--group", help="Group of approvers that policies name.")
    ] = None,
    ttl: Annotated[str | None, typer.Option(help="How long the key is good, as 90d.")] = None,
    out: Out = None,
) -> None:
    """Give somebody a key, shown once; one that they had ends.

    Where no gateway runs with the home and nobody holds a key, this makes the first operator.
    """
    unknown = set(role) - ROLES
    if unknown:
        stop(f"no such role: {', '.join(sorted(unknown))}", Exit.USAGE)
    ttl_s = None if ttl is None else seconds(ttl)
    if api.target.url is None and not is_running(api.target.home):
        key = _first(api.target.home, name, role, group or [], ttl_s, out)
    else:
        check_out(out)
        body: dict[str, object] = {"name": name, "roles": role, "groups": group or []}
        body |= {} if ttl_s is None else {"ttl_s": ttl_s}
        key = api.post("/api/operators", body)["key"]
    hand_over(key, out)
    say(f"{name} is an operator; this key is not shown again")


@app.command()
@operated
def remove(api: Operators, name: Name) -> None:
    """End somebody's key: it is refused from the next request on."""
    api.post(f"/api/operators/{quoted(name)}/remove")
    say(f"{name} is no operator any more")


@app.command()
@operated
def code(api: Operators, *, json: AsJson = False) -> None:
    """Get a code that logs you in with a browser: once, within half an hour."""
    given = api.post("/api/operators/code")
    if json:
        as_json(given)
        return
    say(f"type it at {given['url']}")
    typer.echo(given["code"])


def _first(
    folder: Path,
    name: str,
    roles: list[str],
    groups: list[str],
    ttl_s: int | None,
    out: Path | None,
) -> str:
    if ttl_s is not None:
        stop("the first operator's key does not expire: nobody could renew it", Exit.USAGE)
    granted: frozenset[Role] = frozenset(known for known in ROLES if known in roles)
    operator = Operator(name, granted, frozenset(groups))
    try:
        home = Home.at(folder)
        check_out(out)  # only now: it may lie in the home
        return invite_first(home, operator, secrets.token_bytes(KEY_BYTES))
    except (GatewayError, AuditError) as error:
        stop(f"{error.code}: {error}")
    except OSError as error:
        stop(f"{error.filename}: {error.strerror}")


def _row(row: dict[str, Any]) -> dict[str, Any]:
    ends = "never" if row["expires"] is None else moment(row["expires"])
    return {
        "name": row["name"],
        "roles": ", ".join(row["roles"]),
        "groups": ", ".join(row["groups"]) or None,
        "expires": ends,
    }

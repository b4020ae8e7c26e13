"""`passavant approval`: see what waits for people, and decide."""

import time
from typing import Annotated, Any

import typer

from cli.client import Operators, operated, quoted
from cli.errors import Exit, stop
from cli.interrupt import until_stopped
from cli.options import AsJson
from cli.output import as_card, as_json, as_table, moment, say

app = typer.Typer(no_args_is_help=True, help="Requests for approval.")

Id = Annotated[str, typer.Argument(help="Id of the request.")]
Reason = Annotated[str, typer.Option("--reason", help="Kept, sealed, in the log.")]
Digest = Annotated[
    str | None,
    typer.Option("--digest", help="Digest of what you were shown; refused when it differs."),
]
State = Annotated[str | None, typer.Option("--state", help="asked, approved, denied, ...")]

COLUMNS = ("id", "state", "agent", "user", "tool", "expires")
WATCH_EVERY_S = 1.0


@app.command("list")
@operated
def list_requests(api: Operators, *, state: State = None, json: AsJson = False) -> None:
    """List requests, newest first."""
    rows = api.get("/api/approvals", state=state)
    as_json(rows) if json else as_table([_row(row) for row in rows], COLUMNS)


@app.command()
@operated
def show(api: Operators, request: Id, *, json: AsJson = False) -> None:
    """Show one request, whole."""
    found = api.get(f"/api/approvals/{quoted(request)}")
    as_json(found) if json else _card(found)


@app.command()
@operated
def approve(api: Operators, request: Id, *, reason: Reason = "", digest: Digest = None) -> None:
    """Approve a request, once, as it is shown."""
    _decide(api, request, "approve", reason, digest)


@app.command()
@operated
def deny(api: Operators, request: Id, *, reason: Reason = "", digest: Digest = None) -> None:
    """Deny a request."""
    _decide(api, request, "deny", reason, digest)


@app.command()
@operated
def retract(api: Operators, request: Id) -> None:
    """Take your own yes back, before the last one that is needed."""
    decided = api.post(f"/api/approvals/{quoted(request)}/retract", {})
    say(f"{request} is {decided['state']}")


@app.command()
@operated
def watch(api: Operators) -> None:
    """Print each new request as it comes in, until stopped."""
    seen: set[str] = set()
    with until_stopped() as stopping:
        while not stopping.asked:
            for row in reversed(api.get("/api/approvals", state="asked")):
                if row["id"] not in seen:
                    seen.add(row["id"])
                    _card(api.get(f"/api/approvals/{row['id']}"))
                    typer.echo()
            time.sleep(WATCH_EVERY_S)


def _decide(api: Operators, request: str, verdict: str, reason: str, digest: str | None) -> None:
    """Show the whole request before it is answered, and answer exactly what was shown."""
    found = api.get(f"/api/approvals/{quoted(request)}")
    if digest is not None and digest != found["digest"]:
        stop("this is not the request that you were shown", Exit.DENIED)
    _card(found)
    body = {"digest": found["digest"], "reason": reason}
    decided = api.post(f"/api/approvals/{quoted(request)}/{verdict}", body)
    say(f"{request} is {decided['state']}")


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "expires": moment(row["expires"])}


def _card(found: dict[str, Any]) -> None:
    times = {"asked": moment(found["asked"]), "expires": moment(found["expires"])}
    as_card({**found, **times})

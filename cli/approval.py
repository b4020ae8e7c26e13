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
RATES = ("rule", "asked", "approved", "denied", "alone", "over", "percent", "median_s")
WATCH_EVERY_S = 1.0


@app.command("list")
@operated
def list_requests(api: Operators, *, state: State = None, json: AsJson = False) -> None:
    """List requests, newest first."""
    rows = api.get("/api/approvals", state=state)
    as_json(rows) if json else as_table([_row(row) for row in rows], COLUMNS)


@app.command()
@operated
def rates(api: Operators, *, json: AsJson = False) -> None:
    """Show how often each rule asks, and what people make of it."""
    rows = api.get("/api/approvals/rates")
    as_json(rows) if json else as_table(rows, RATES)


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


@app.command("break-glass")
@operated
def break_glass(
    api: Operators,
    request: Id,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why it cannot wait; kept in the log.")],
    minutes: Annotated[int, typer.Option("--for", min=1, help="Minutes it can be used.")] = 10,
    digest: Digest = None,
) -> None:
    """Approve a request alone, in an emergency. Everybody is told, and it has to be reviewed."""
    found = _shown(api, request, digest)
    body = {"digest": found["digest"], "reason": reason, "for_s": 60 * minutes}
    broken = api.post(f"/api/approvals/{quoted(request)}/break-glass", body)
    say(f"{request} is {broken['state']} until {moment(broken['expires'])}; a review is owed")


@app.command()
@operated
def review(
    api: Operators,
    request: Id,
    finding: Annotated[str, typer.Argument(help="`justified` or `unjustified`.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Kept, sealed, in the log.")],
) -> None:
    """Say what it was that somebody else approved alone."""
    body = {"finding": finding, "reason": reason}
    api.post(f"/api/approvals/{quoted(request)}/review", body)
    say(f"{request} is reviewed: {finding}")


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
    found = _shown(api, request, digest)
    body = {"digest": found["digest"], "reason": reason}
    decided = api.post(f"/api/approvals/{quoted(request)}/{verdict}", body)
    say(f"{request} is {decided['state']}")


def _shown(api: Operators, request: str, digest: str | None) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/api/approvals/{quoted(request)}")
    if digest is not None and digest != found["digest"]:
        stop("this is not the request that you were shown", Exit.DENIED)
    _card(found)
    return found


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "expires": moment(row["expires"])}


def _card(found: dict[str, Any]) -> None:
    times = {"asked": moment(found["asked"]), "expires": moment(found["expires"])}
    as_card({**found, **times})

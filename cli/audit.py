"""`passavant audit`: search the log, take proofs from it, and verify it without its operator."""

import json as jsonlib
import time
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from audit.errors import AuditError
from audit.pin import read_pins
from audit.verify import Report, verify_directory
from cli.client import Operators, operated
from cli.errors import Exit, stop
from cli.interrupt import until_stopped
from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import as_card, as_json, moment, say
from cli.taking import take
from gateway.approval.signed_answers import SignedAnswers
from gateway.errors import GatewayError
from gateway.home import Home as HomeFolder
from gateway.operator.export_form import ExportForm
from policies.inert import inert

app = typer.Typer(no_args_is_help=True, help="The log and its evidence.")

Index = Annotated[int, typer.Argument(min=0, help="Position of the entry, from 0.")]
TAIL = 20
TAIL_EVERY_S = 0.5
SHOWN_FINDINGS = 50


@app.command()
@operated
def search(
    api: Operators,
    query: Annotated[
        list[str] | None,
        typer.Argument(help="Words and qualifiers, as `agent:clerk effect:deny after:2026-11-01`."),
    ] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    cursor: Annotated[int | None, typer.Option(help="Where the page before ended.")] = None,
    json: AsJson = False,
) -> None:
    """Find entries, newest first."""
    page = api.get("/api/audit/search", q=" ".join(query or []), limit=limit, cursor=cursor)
    if json:
        as_json(page)
        return
    for entry in page["entries"]:
        typer.echo(_line(entry))
    if page["cursor"]:
        say(f"more: --cursor {page['cursor']}")


@app.command()
@operated
def show(api: Operators, index: Index, *, json: AsJson = False) -> None:
    """Show one entry, with what it holds sealed."""
    found = api.get(f"/api/audit/entries/{index}")
    as_json(found) if json else as_card(found)


@app.command()
@operated
def tail(
    api: Operators,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until stopped.")] = False,
    json: AsJson = False,
) -> None:
    """Print the newest entries; as JSON, one a line."""
    start = max(0, api.get("/api/status")["log"]["size"] - TAIL)
    with until_stopped() as stopping:
        while not stopping.asked:
            entries = api.get("/api/audit/entries", start=start)
            for entry in entries:
                typer.echo(jsonlib.dumps(entry, sort_keys=True) if json else _line(entry))
            start += len(entries)
            if not entries and not follow:
                return
            if not entries:
                time.sleep(TAIL_EVERY_S)


@app.command()
@operated
def prove(api: Operators, index: Index) -> None:
    """Print a proof (c2sp.org/tlog-proof) that the entry is in the signed log."""
    typer.echo(api.text(f"/api/audit/proof/{index}"), nl=False)


@app.command()
@operated
def checkpoint(api: Operators) -> None:
    """Print the newest signed checkpoint: keep it, it is a pin."""
    typer.echo(api.text("/api/audit/checkpoint"), nl=False)


@app.command()
@operated
def export(
    api: Operators,
    query: Annotated[
        list[str] | None, typer.Argument(help="As for `audit search`; nothing: every entry.")
    ] = None,
    *,
    form: Annotated[
        ExportForm,
        typer.Option("--as", help="With a proof in each line, or a table without formulas."),
    ] = "jsonl",
    out: Annotated[
        Path | None, typer.Option(help="A file that is not there yet; else standard output.")
    ] = None,
) -> None:
    """Take entries away, with the checkpoint that they rest on; that you did is recorded.

    Exit code 1 when the search would have found more than is in the file.
    """
    missing = take(api, " ".join(query or []), form, out)
    if missing:
        stop(missing)


@app.command()
def vkey(home: Home = DEFAULT_HOME) -> None:
    """Print the key that verifies the log of this home; hand it to whoever is to verify."""
    try:
        typer.echo(HomeFolder.existing(home).verifier_key())
    except (AuditError, GatewayError, OSError) as error:
        stop(str(error))


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Published log.")],
    vkey: Annotated[str, typer.Option("--vkey", help="Verifier key, or a file that holds it.")],
    pin: Annotated[
        list[Path] | None,
        typer.Option("--pin", exists=True, help="Receipts and checkpoints that you kept."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Verify a published log from its folder alone. Exit code 3 when anything is wrong."""
    try:
        key = Path(vkey).read_text().strip() if Path(vkey).is_file() else vkey
        pins = [found for path in pin or [] for found in read_pins(path.read_text())]
        report = verify_directory(folder, key, pins, [SignedAnswers()])
    except (AuditError, OSError, UnicodeDecodeError) as error:
        stop(str(error), Exit.USAGE)
    _print(report, json=json)
    if not report.ok:
        raise typer.Exit(Exit.DENIED)


def _print(report: Report, *, json: bool) -> None:
    members = {
        "ok": report.ok,
        "origin": report.origin,
        "size": report.size,
        "root": None if report.root is None else report.root.hex(),
        "rollback": report.rollback,
        "pinned": report.pinned,
    }
    findings = [{"place": found.place, "message": found.message} for found in report.findings]
    if json:
        as_json({**members, "findings": findings})
        return
    as_card({**members, "rollback": f"rollback {report.rollback}"})
    for found in islice(findings, SHOWN_FINDINGS):
        typer.echo(f"{inert(found['place'])}: {inert(found['message'])}")


def _line(entry: dict[str, Any]) -> str:
    """One entry as a sentence."""
    body = entry["body"]
    actor = body.get("actor") or {}
    who = actor.get("agent") or body.get("by") or body.get("source") or "-"
    user = f" for {actor['sub']}" if actor.get("sub") else ""
    parts = [str(entry["index"]), moment(body["ts"] // 1_000_000), body["kind"], f"{who}{user}"]
    decision, tool = body.get("decision"), body.get("tool")
    if isinstance(tool, dict):
        parts.append(tool["name"])
    elif isinstance(tool, str):
        parts.append(tool)
    if isinstance(decision, dict) and "effect" in decision:
        parts += [decision["effect"], ",".join(decision["rules"]) or "no rule"]
    parts += [str(body[name]) for name in ("status", "state", "code") if body.get(name)]
    return inert("  ".join(parts))

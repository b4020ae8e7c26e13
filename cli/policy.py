"""`passavant policy`: check, test and explain rules, and put them into force."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from audit import canonical
from audit.errors import NotStrict
from cli.client import operators
from cli.errors import Exit, stop
from cli.options import DEFAULT_HOME, AsJson, Home
from cli.output import as_card, as_json, inert, say
from gateway.activation import schemas
from gateway.catalogue.pins import Lock
from gateway.catalogue.tools import Catalogue
from gateway.errors import GatewayError
from policies.cases import run
from policies.compile import compile_snapshot
from policies.decision import Facts
from policies.document import PolicyDocument
from policies.errors import PolicyInvalid
from policies.explain import explain as explain_facts
from policies.finding import Finding
from policies.lint import lint
from policies.loader import load_policies, load_tests
from policies.snapshot import Snapshot

app = typer.Typer(no_args_is_help=True, help="Rules: check, test, explain, apply.")

Files = Annotated[
    list[Path], typer.Argument(exists=True, dir_okay=False, help="Policy files of one set.")
]
LockFile = Annotated[
    Path | None,
    typer.Option(
        "--lock", exists=True, help="A catalogue lock: conditions are checked against its schemas."
    ),
]
MAX_ARGS = 1 << 20


@app.command()
def check(files: Files, lock: LockFile = None, json: AsJson = False) -> None:
    """Check policy files: spelling, names, types, and what a careful reviewer would ask about."""
    findings = _findings(files, lock)
    if json:
        as_json([_finding(found) for found in findings])
    else:
        for found in findings:
            typer.echo(inert(str(found)))
    errors = sum(found.severity == "error" for found in findings)
    say(f"{errors} errors, {len(findings) - errors} warnings")
    if errors:
        raise typer.Exit(Exit.FAILED)


@app.command()
def test(files: Files, lock: LockFile = None, json: AsJson = False) -> None:
    """Play test files (*.test.yaml) against the policies that they name."""
    reports = []
    for path in files:
        try:
            tests = load_tests(path)
            snapshot = _compiled([path.parent / name for name in tests.content.policies], lock)
            reports.append((path, run(tests, snapshot, now=time.time_ns() // 1000)))
        except PolicyInvalid as error:
            stop("\n".join(map(inert, map(str, error.findings))))
    for path, report in reports:
        if json:
            as_json({"file": str(path), "ok": report.passed, "lines": list(report.lines())})
        else:
            typer.echo("\n".join(map(inert, report.lines())))
    if not all(report.passed for _, report in reports):
        raise typer.Exit(Exit.FAILED)


@app.command()
def explain(
    tool: Annotated[str, typer.Argument(help="SERVER.TOOL")],
    agent: Annotated[str, typer.Option("--agent")],
    args: Annotated[str, typer.Option("--args", help="Arguments, as JSON.")] = "{}",
    user: Annotated[str | None, typer.Option("--for")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="What the session has touched.")
    ] = None,
    policy: Annotated[
        list[Path] | None,
        typer.Option("--policy", exists=True, help="Files instead of the policy in force."),
    ] = None,
    lock: LockFile = None,
    home: Home = DEFAULT_HOME,
    json: AsJson = False,
) -> None:
    """Say how a call would be decided, and which rules were looked at."""
    labels = label or []
    if policy:
        facts = Facts(
            agent,
            tool,
            _arguments(args),
            user=user,
            labels=frozenset(labels),
            now=time.time_ns() // 1000,
        )
        text = str(explain_facts(_compiled(policy, lock), facts))
        as_json({"text": text}) if json else typer.echo("\n".join(map(inert, text.splitlines())))
        return
    body = {"agent": agent, "tool": tool, "args": _arguments(args), "labels": labels}
    with operators(home) as api:
        told = api.post("/api/policy/explain", body | ({"user": user} if user else {}))
    as_json(told) if json else typer.echo("\n".join(map(inert, told["text"].splitlines())))


@app.command()
def show(home: Home = DEFAULT_HOME, json: AsJson = False) -> None:
    """Show what is in force, and what the files amount to now."""
    with operators(home) as api:
        found = api.get("/api/policy")
    if json:
        as_json(found)
        return
    as_card({name: found[name] for name in ("snapshot", "proposed", "warnings", "findings")})


@app.command()
def apply(
    digest: Annotated[str, typer.Argument(help="As `policy show` printed it under `proposed`.")],
    home: Home = DEFAULT_HOME,
) -> None:
    """Put what the files amount to into force, if it is still what that digest names."""
    with operators(home) as api:
        applied = api.post("/api/policy/apply", {"digest": digest})
    say(f"in force: {applied['snapshot']}")


@app.command()
def history(home: Home = DEFAULT_HOME, json: AsJson = False) -> None:
    """List every policy that came into force, newest first, from the log."""
    with operators(home) as api:
        page = api.get("/api/audit/search", q="kind:policy.changed", limit=200)
    if json:
        as_json(page["entries"])
        return
    for entry in page["entries"]:
        body = entry["body"]
        at = datetime.fromtimestamp(body["ts"] / 1e6, UTC)
        typer.echo(
            f"{entry['index']:>8}  {at:%Y-%m-%d %H:%M:%S}Z  {body['snapshot']}  {body['by']}"
        )


def _findings(files: Sequence[Path], lock: Path | None) -> tuple[Finding, ...]:
    try:
        documents = load_policies(files)
        snapshot = _compile(documents, lock)
    except PolicyInvalid as error:
        return error.findings
    return (*snapshot.warnings, *lint(documents, today=datetime.now(UTC).date()))


def _compiled(files: Sequence[Path], lock: Path | None) -> Snapshot:
    try:
        return _compile(load_policies(files), lock)
    except PolicyInvalid as error:
        stop("\n".join(map(inert, map(str, error.findings))))


def _compile(documents: Sequence[PolicyDocument], lock: Path | None) -> Snapshot:
    if lock is None:
        return compile_snapshot(documents, None)
    try:
        catalogue = Catalogue.of(Lock.read(lock))
    except GatewayError as error:
        stop(str(error))
    return compile_snapshot(documents, schemas(catalogue), lock_digest=catalogue.digest)


def _arguments(text: str) -> dict[str, Any]:
    try:
        found = canonical.read(text.encode(), max_bytes=MAX_ARGS)
    except NotStrict as error:
        stop(f"--args: {error}", Exit.USAGE)
    if not isinstance(found, dict):
        stop("--args must be a JSON object", Exit.USAGE)
    return found


def _finding(found: Finding) -> dict[str, Any]:
    return {
        "code": found.code,
        "severity": found.severity,
        "at": str(found.at),
        "message": found.message,
        "hint": found.hint,
    }

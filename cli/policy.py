"""`passavant policy`: check, test and explain rules, and put them into force."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.arguments import read_object
from cli.client import Operators, operated
from cli.errors import Exit, stop
from cli.options import AsJson
from cli.output import as_card, as_json, as_lines, as_table, moment, say
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
from policies.inert import inert
from policies.lint import lint
from policies.loader import load_policies, load_tests
from policies.matrix import matrix as lines_of
from policies.pack import PACKS
from policies.pack import pack as read_pack
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
PolicyFiles = Annotated[
    list[Path] | None,
    typer.Option("--policy", exists=True, help="Files instead of the policy in force."),
]
OwnFiles = Annotated[
    list[Path] | None,
    typer.Argument(exists=True, dir_okay=False, help="One whole set; none: the gateway's files."),
]
MOST_CHANGES = 200


@app.command()
def check(
    files: Files,
    lock: LockFile = None,
    flow: Annotated[
        list[Path] | None,
        typer.Option("--flow", exists=True, dir_okay=False, help="Flows that run under them."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Check policy files: spelling, names, types, and what a careful reviewer would ask about."""
    findings = _findings(files, lock)
    if flow and not any(found.severity == "error" for found in findings):
        findings += _of_flows(flow, _compiled(files, lock))
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
            stop("\n".join(map(str, error.findings)))
    for path, report in reports:
        if json:
            as_json({"file": str(path), "ok": report.passed, "lines": list(report.lines())})
        else:
            typer.echo("\n".join(map(inert, report.lines())))
    if not all(report.passed for _, report in reports):
        raise typer.Exit(Exit.FAILED)


@app.command()
@operated
def explain(
    api: Operators,
    tool: Annotated[str, typer.Argument(help="SERVER.TOOL")],
    agent: Annotated[str, typer.Option("--agent")],
    *,
    args: Annotated[str, typer.Option("--args", help="Arguments, as JSON.")] = "{}",
    user: Annotated[str | None, typer.Option("--for")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="What the session has touched.")
    ] = None,
    policy: PolicyFiles = None,
    lock: LockFile = None,
    json: AsJson = False,
) -> None:
    """Say how a call would be decided, and which rules were looked at."""
    arguments, labels = read_object(args, "--args"), label or []
    if policy:
        facts = Facts(
            agent, tool, arguments, user=user, labels=frozenset(labels), now=time.time_ns() // 1000
        )
        text = str(explain_facts(_compiled(policy, lock), facts))
        as_json({"text": text}) if json else as_lines(text)
        return
    body = {"agent": agent, "tool": tool, "args": arguments, "labels": labels}
    told = api.post("/api/policy/explain", body | ({"user": user} if user else {}))
    as_json(told) if json else as_lines(told["text"])


@app.command()
@operated
def matrix(
    api: Operators,
    *,
    policy: PolicyFiles = None,
    lock: LockFile = None,
    user: Annotated[str | None, typer.Option("--for", help="On whose behalf.")] = None,
    json: AsJson = False,
) -> None:
    """Print what every agent's calls of every tool can come to."""
    if policy:
        now = time.time_ns() // 1000
        rows: list[dict[str, Any]] = [
            line.row() for line in lines_of(_compiled(policy, lock), user=user, now=now)
        ]
    else:
        rows = api.get("/api/policy/matrix", user=user)
    if json:
        as_json(rows)
        return
    agents = sorted({agent for row in rows for agent in row["agents"]})
    cells = [
        {"tool": row["tool"], "risk": row["risk"]}
        | {agent: " ".join(marks) or None for agent, marks in row["agents"].items()}
        for row in rows
    ]
    as_table(cells, ["tool", "risk", *agents])
    say("? under a condition    - no rule: denied")


@app.command()
def pack(
    name: Annotated[str | None, typer.Argument(help=f"One of: {', '.join(PACKS)}.")] = None,
    json: AsJson = False,
) -> None:
    """Print a policy that comes with the program, to keep beside your own; or list them."""
    if name is not None and name not in PACKS:
        stop(f"there is no pack {name!r}: {', '.join(PACKS)}", Exit.USAGE)
    if name is None:
        as_json(list(PACKS)) if json else as_lines("\n".join(PACKS))
        return
    text = read_pack(name).decode()
    as_json({"pack": name, "policy": text}) if json else typer.echo(text, nl=False)


@app.command()
@operated
def show(api: Operators, *, json: AsJson = False) -> None:
    """Show what is in force, and what the files amount to now."""
    found = api.get("/api/policy")
    if json:
        as_json(found)
        return
    as_card({name: found[name] for name in ("snapshot", "proposed")})
    for line in (*found["warnings"], *found["findings"]):
        typer.echo(inert(line))


@app.command()
@operated
def apply(
    api: Operators,
    digest: Annotated[str, typer.Argument(help="As `policy show` printed it under `proposed`.")],
) -> None:
    """Put what the files amount to into force, if it is still what that digest names."""
    applied = api.post("/api/policy/apply", {"digest": digest})
    say(f"in force: {applied['snapshot']}")


@app.command()
@operated
def diff(api: Operators, files: OwnFiles = None, *, json: AsJson = False) -> None:
    """Say what files would change, by rule and by cell of the matrix, if they were in force."""
    told = api.post("/api/policy/diff", _draft(files))
    if json:
        as_json(told)
        return
    for found in told["findings"]:
        typer.echo(inert(found))
    for each in told["changes"]:
        place = f"  {each['at']}" if each["at"] else ""
        typer.echo(inert(f"{each['kind']:<8} {each['what']} {each['name']}{place}"))
    for cell in told["cells"]:
        before, after = (" ".join(cell[side]) or "-" for side in ("before", "after"))
        mark = "WIDER" if cell["is_wider"] else ""
        typer.echo(inert(f"{mark:<8} {cell['agent']}: {cell['tool']}: {before} -> {after}"))
    if not (told["changes"] or told["cells"]):
        say("no difference")


@app.command()
@operated
def replay(
    api: Operators,
    files: OwnFiles = None,
    *,
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many calls, the newest.")] = 1000,
    json: AsJson = False,
) -> None:
    """Say which of the newest calls would be decided otherwise by these files. It is recorded."""
    told = api.post("/api/policy/replay", {**_draft(files), "last": last})
    if json:
        as_json(told)
        return
    for each in told["changed"]:
        who = f"{each['agent']} for {each['user']}" if each["user"] else each["agent"]
        turn = f"{each['before']['effect']} -> {each['after']['effect']}"
        mark = "  WIDER" if each["wider"] else ""
        guess = f"  not known then: {', '.join(each['unknown'])}" if each["unknown"] else ""
        at = moment(each["ts"] // 1_000_000)
        typer.echo(inert(f"{each['index']:>8}  {at}  {who}: {each['tool']}  {turn}{mark}{guess}"))
    say(f"{len(told['changed'])} of {told['looked']} calls differ; {told['unkept']} are not kept")


@app.command()
@operated
def history(api: Operators, *, json: AsJson = False) -> None:
    """List every policy that came into force, newest first, from the log."""
    page = api.get("/api/audit/search", q="kind:policy.changed", limit=MOST_CHANGES)
    if json:
        as_json(page["entries"])
        return
    for entry in page["entries"]:
        body = entry["body"]
        at = moment(body["ts"] // 1_000_000)
        typer.echo(inert(f"{entry['index']:>8}  {at}  {body['snapshot']}  {body['by']}"))


def _findings(files: Sequence[Path], lock: Path | None) -> tuple[Finding, ...]:
    try:
        documents = load_policies(files)
        snapshot = _compile(documents, lock)
    except PolicyInvalid as error:
        return error.findings
    return (*snapshot.warnings, *lint(documents, today=datetime.now(UTC).date()))


def _of_flows(files: Sequence[Path], snapshot: Snapshot) -> tuple[Finding, ...]:
    """What is to be said of flows; they are loaded where there are any."""
    from orchestration.errors import FlowInvalid  # noqa: PLC0415 - most checks have no flow
    from orchestration.files import load_flows  # noqa: PLC0415
    from orchestration.review import Reviewed, review  # noqa: PLC0415

    try:
        flows = load_flows(files)
    except FlowInvalid as error:
        stop(str(error))
    reviewed = map(Reviewed, map(str, files), flows)
    return review(reviewed, snapshot, now=time.time_ns() // 1000)


def _compiled(files: Sequence[Path], lock: Path | None) -> Snapshot:
    try:
        return _compile(load_policies(files), lock)
    except PolicyInvalid as error:
        stop("\n".join(map(str, error.findings)))


def _compile(documents: Sequence[PolicyDocument], lock: Path | None) -> Snapshot:
    if lock is None:
        return compile_snapshot(documents, None)
    try:
        catalogue = Catalogue.of(Lock.read(lock))
    except GatewayError as error:
        stop(str(error))
    return compile_snapshot(documents, schemas(catalogue), lock_digest=catalogue.digest)


def _draft(files: Sequence[Path] | None) -> dict[str, Any]:
    try:
        return {"files": {str(path): path.read_text() for path in files}} if files else {}
    except (OSError, UnicodeDecodeError) as error:
        stop(str(error))


def _finding(found: Finding) -> dict[str, Any]:
    return {
        "code": found.code,
        "severity": found.severity,
        "at": str(found.at),
        "message": found.message,
        "hint": found.hint,
    }

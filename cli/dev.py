"""`passavant dev`: everything on this machine, with a demonstration to govern."""

import secrets
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from audit.errors import AuditError
from cli.client import KEY_FILE
from cli.demo.workspace import AGENT, APPLICATION, OPERATOR, Workspace
from cli.errors import stop
from cli.options import DEFAULT_HOME, Home
from cli.output import say
from cli.running import listen, run
from gateway.errors import GatewayError
from gateway.home import Home as HomeFolder
from gateway.identity import private_files
from gateway.listeners import address_of
from gateway.operator import console_code
from gateway.operator.bootstrap import invite_first
from gateway.operator.credentials import KEY_BYTES, ROLES, Operator
from gateway.settings import Settings
from gateway.volatile import is_volatile

app = typer.Typer()


@app.command()
def dev(
    home: Home = DEFAULT_HOME,
    port: Annotated[
        int, typer.Option(min=0, max=65_534, help="Agents; operators on the next. 0: free ones.")
    ] = 7300,
    once: Annotated[bool, typer.Option("--once", help="Play the demonstration and end.")] = False,
) -> None:
    """Run everything on this machine with a demonstration."""
    if once:
        _perform()
        return
    if is_volatile(home):
        say(f"{home} lies in memory: this log ends with the machine. `serve` would refuse it.")
    workspace = Workspace(home.resolve())
    workspace.prepare()
    make_operator(workspace.home)
    listeners = listen(f"127.0.0.1:{port}", f"127.0.0.1:{port + 1 if port else 0}")
    agents, operators = map(address_of, listeners)
    settings = workspace.settings(agents=agents, operators=operators)
    code = console_code.make(secrets.token_bytes(console_code.RANDOM_BYTES))
    run(
        settings,
        "dev",
        listeners,
        lambda: _welcome(workspace, settings, code),
        console_code=code,
        show_code=lambda shown: say(f"A browser asks who you are. The code to type there: {shown}"),
    )


def _perform() -> None:
    # Only the play needs the MCP SDK, which takes as long to load as everything else together.
    from cli.demo.child import GatewayFailed  # noqa: PLC0415
    from cli.demo.play import Unexpected, perform  # noqa: PLC0415

    home = Path(tempfile.mkdtemp(prefix="passavant-demo-")) / "home"
    say(f"passavant dev --once: a gateway of its own, with its home in {home}")
    try:
        perform(home)
    except Unexpected as error:
        stop(f"this did not hold: {error}\nSee {home}.log and {home}")
    except GatewayFailed as error:
        stop(f"the gateway {error}\nSee {home}.log")


def make_operator(home: Path) -> None:
    """Give the command line of this machine an operator's key, once."""
    path = home / KEY_FILE
    if path.exists():
        return
    try:
        operator = Operator(OPERATOR, ROLES)
        key = invite_first(HomeFolder.at(home), operator, secrets.token_bytes(KEY_BYTES))
        private_files.create(path, key.encode())
    except (GatewayError, AuditError) as error:
        stop(f"{error.code}: {error}")


def _welcome(workspace: Workspace, settings: Settings, code: str) -> None:
    repository = workspace.repository
    say(
        f"""
Passavant is running: development, with keys in {settings.home}. Not for production.

  agents     {settings.public_url}/mcp   (MCP, both eras)   and   {settings.public_url}/v1/tools/...
  operators  {settings.operators_url}    (API; the commands below use it)
  browser    {settings.operators_url}/login    with the code {code}, once, within half an hour
  desktop    client id {APPLICATION}, or as a program: passavant connect --agent {AGENT}
  policy     {workspace.policy}   (edit it: a change that compiles is in force at once)

Three calls to try, from another terminal:

  passavant call --home {settings.home} --agent {AGENT} git.git_log repo_path={repository}
  passavant call --home {settings.home} --agent {AGENT} ledger.pay from=office to=paper amount=400
  passavant call --home {settings.home} --agent {AGENT} git.git_reset repo_path={repository}

The second waits for a person:  passavant approval list --home {settings.home}
Stop with Ctrl-C.
"""
    )

"""`passavant dev` and `passavant serve`: run a gateway in the foreground until it is stopped."""

import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from audit.errors import AuditError
from cli.client import KEY_FILE, Address
from cli.demo.child import GatewayFailed
from cli.demo.play import Unexpected, perform
from cli.demo.workspace import AGENT, OPERATOR, Workspace
from cli.errors import stop
from cli.options import DEFAULT_HOME, Home
from cli.output import say
from gateway.app import Mode, Surroundings, opened
from gateway.applications import Gateway
from gateway.diagnostics import configure
from gateway.errors import GatewayError
from gateway.identity import private_files
from gateway.listeners import address_of, bind, serving, until_stopped
from gateway.operator.credentials import KEY_BYTES, Operator, Role
from gateway.redaction import Redaction
from gateway.settings import Settings, load
from policies.errors import PolicyError

ROLES: frozenset[Role] = frozenset({"viewer", "approver", "author", "administrator"})

Announce = Callable[[Gateway], None]


def dev(
    home: Home = DEFAULT_HOME,
    port: Annotated[
        int, typer.Option(min=0, max=65_534, help="Agents; operators on the next.")
    ] = 7300,
    once: Annotated[bool, typer.Option("--once", help="Play the demonstration and end.")] = False,
) -> None:
    """Run everything on this machine with a demonstration."""
    if once:
        _perform()
        return
    workspace = Workspace(home.resolve())
    workspace.prepare()
    listeners = _bind(f"127.0.0.1:{port}", f"127.0.0.1:{port + 1 if port else 0}")
    agents, operators = map(address_of, listeners)
    settings = workspace.settings(agents=agents, operators=operators)

    def announce(gateway: Gateway) -> None:
        _make_operator(gateway, home.resolve())
        _welcome(workspace, settings)

    _run(settings, "dev", listeners, announce)


def serve(
    config: Annotated[Path, typer.Option("--config", exists=True, dir_okay=False)],
    policy_digest: Annotated[
        str | None, typer.Option(help="A policy that may come into force at this start.")
    ] = None,
) -> None:
    """Run a deployment."""
    try:
        settings = load(config)
    except GatewayError as error:
        stop(str(error))
    listeners = _bind(settings.listen.agents, settings.listen.operators)
    _run(settings, "serve", listeners, lambda _: None, accept_policy=policy_digest)


def _perform() -> None:
    home = Path(tempfile.mkdtemp(prefix="passavant-demo-")) / "home"
    say(f"passavant dev --once: a gateway of its own, with its home in {home}")
    try:
        perform(home)
    except Unexpected as error:
        stop(f"this did not hold: {error}\nSee {home}.log and {home}")
    except GatewayFailed as error:
        stop(f"the gateway {error}\nSee {home}.log")


def _bind(agents: str, operators: str) -> tuple[socket.socket, socket.socket]:
    try:
        return bind(agents), bind(operators)
    except OSError as error:
        stop(f"cannot listen on {agents} and {operators}: {error.strerror}")


def _run(
    settings: Settings,
    mode: Mode,
    listeners: tuple[socket.socket, socket.socket],
    announce: Announce,
    *,
    accept_policy: str | None = None,
) -> None:
    os.umask(0o077)  # whatever is written below belongs to this account alone
    around = Surroundings(dict(os.environ), accept_policy, redaction=Redaction())
    configure(level="info", redaction=around.redaction, stream=sys.stderr)
    try:
        uvloop.run(_serve(settings, mode, listeners, around, announce))
    except (GatewayError, PolicyError, AuditError) as error:
        stop(f"{error}\nThe gateway does not start.")


async def _serve(
    settings: Settings,
    mode: Mode,
    listeners: tuple[socket.socket, socket.socket],
    around: Surroundings,
    announce: Announce,
) -> None:
    agents, operators = listeners
    async with (
        opened(settings, mode, around) as gateway,
        serving(gateway.operators, operators),
        serving(gateway.agents, agents),
    ):
        Address(address_of(agents), address_of(operators)).write(settings.home)
        announce(gateway)
        await until_stopped()


def _make_operator(gateway: Gateway, home: Path) -> None:
    """Give the command line of this machine an operator's key, once."""
    path = home / KEY_FILE
    operators = gateway.services.operators
    if path.exists() and any(operator.name == OPERATOR for operator in operators.all()):
        return
    key = operators.add(Operator(OPERATOR, ROLES), secrets.token_bytes(KEY_BYTES))
    path.unlink(missing_ok=True)
    private_files.create(path, key.encode())


def _welcome(workspace: Workspace, settings: Settings) -> None:
    repository = workspace.repository
    say(
        f"""
Passavant is running: development, with keys in {settings.home}. Not for production.

  agents     {settings.public_url}/mcp   (MCP, both eras)   and   {settings.public_url}/v1/tools/...
  operators  {settings.operators_url}    (API; the commands below use it)
  policy     {workspace.policy}   (edit it: a change that compiles is in force at once)

Three calls to try, from another terminal:

  passavant call --home {settings.home} --agent {AGENT} git.git_log repo_path={repository}
  passavant call --home {settings.home} --agent {AGENT} ledger.pay from=office to=paper amount=400
  passavant call --home {settings.home} --agent {AGENT} git.git_reset repo_path={repository}

The second waits for a person:  passavant approval list --home {settings.home}
Stop with Ctrl-C.
"""
    )

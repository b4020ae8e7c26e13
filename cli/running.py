"""Running a gateway in the foreground until it is stopped; `dev` and `serve` are two ways in."""

import gc
import os
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import typer
import uvloop

from audit.errors import AuditError
from cli.address import Address
from cli.errors import stop
from cli.help import texts
from console.app import shown
from gateway.app import opened
from gateway.diagnostics import configure
from gateway.errors import GatewayError
from gateway.faces.listener import answering
from gateway.known_secrets import KnownSecrets
from gateway.links.credentials import Credentials
from gateway.listeners import address_of, bind, serving, until_stopped
from gateway.redaction import Redaction
from gateway.runs.service import Orchestration
from gateway.settings import Settings
from gateway.surroundings import Mode, Surroundings
from policies.errors import PolicyError

COLLECT_AFTER = (50_000, 20, 50)
"""Objects made and not freed before the collector looks at the youngest, and so on (`gc`)."""

Listeners = tuple[socket.socket, socket.socket]


def listen(agents: str, operators: str) -> Listeners:
    """Take both addresses, or end the command."""
    first = _bind(agents)
    try:
        return first, _bind(operators)
    except typer.Exit:
        first.close()
        raise


def _bind(address: str) -> socket.socket:
    try:
        return bind(address)
    except OSError as error:
        stop(f"cannot listen on {address}: {error.strerror}")


def run(
    settings: Settings,
    mode: Mode,
    listeners: Listeners,
    announce: Callable[[], None],
    *,
    accept_policy: str | None = None,
    console_code: str | None = None,
    show_code: Callable[[str], None] | None = None,
    new_fleet: bool = False,
) -> None:
    """Run a gateway until SIGINT or SIGTERM; ends the command when it cannot start.

    listeners      agents' and operators'
    announce       called when both answer
    accept_policy  digest of a policy that may come into force at this start
    console_code   what logs the one person of `dev` in with a browser
    show_code      brings later codes before the eyes of that person
    new_fleet      it may belong to another fleet than before
    """
    os.umask(0o077)  # whatever is written below belongs to this account alone
    redaction = Redaction()
    if console_code is not None:
        redaction.known.learn(console_code)
    configure(level="info", redaction=redaction, stream=sys.stderr)
    around = Surroundings(
        dict(os.environ),
        accept_policy,
        new_fleet,
        redaction=redaction,
        console_code=console_code,
        show_code=show_code,
    )
    gc.disable()  # until everything is open: nothing of it is garbage
    agents, operators = listeners
    try:
        with closing(agents), closing(operators):
            around = replace(around, orchestration=_orchestration(settings, redaction.known))
            uvloop.run(_run(settings, mode, listeners, around, announce))
    except (GatewayError, PolicyError, AuditError) as error:
        stop(f"{error}\n{error.code}: the gateway of {settings.home} does not start")
    except OSError as error:
        stop(f"{error}\nThe gateway of {settings.home} does not start")
    finally:
        gc.enable()


def _orchestration(settings: Settings, known: KnownSecrets) -> Orchestration | None:
    """What runs the flows of a deployment; it is loaded where there are any.

    Raises FlowInvalid, EngineRefused and CredentialMissing.
    """
    if not (settings.flows or settings.agents or settings.models):
        return None
    from orchestration.files import load_flows  # noqa: PLC0415 - half a second at start
    from orchestration.service import Flows  # noqa: PLC0415
    from orchestration.store import Store  # noqa: PLC0415

    store: Store | None = None
    if settings.runs.database is not None:
        secrets = Credentials(os.environ, settings.home, known)
        url = secrets.resolve(settings.runs.database)
        store = Store.parse(url, origin=settings.audit.origin)
    flows = load_flows(settings.flows)
    return Flows(
        flows,
        remote=settings.agents,
        models=settings.models,
        store=store,
        pools=settings.runs.pools,
    )


async def _run(
    settings: Settings,
    mode: Mode,
    listeners: Listeners,
    around: Surroundings,
    announce: Callable[[], None],
) -> None:
    agents, operators = listeners
    async with (
        opened(settings, mode, around) as gateway,
        serving(gateway.operators, operators),
        answering(gateway.agents, agents),
    ):
        with (
            shown(gateway, texts()),
            Address(address_of(agents), address_of(operators)).announced(settings.home),
        ):
            announce()
            _settle_memory()
            await until_stopped()


def _settle_memory() -> None:
    """Collect what the start left, and never again look at what it built: calls would wait.

    What a call makes is freed when it ends, without the collector: that need not look after every
    700 objects (its default), two or three calls, which took a tenth of their time.
    """
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)

"""`passavant serve`: run a deployment."""

from pathlib import Path
from typing import Annotated

import typer

from cli.errors import stop
from cli.output import say
from cli.running import listen, run
from gateway.deployment import load
from gateway.errors import GatewayError
from gateway.listeners import address_of
from gateway.settings import Listen, Settings
from gateway.volatile import is_volatile

app = typer.Typer()


@app.command()
def serve(
    config: Annotated[
        Path, typer.Option("--config", exists=True, dir_okay=False, help="passavant.yaml")
    ],
    policy_digest: Annotated[
        str | None, typer.Option(help="A policy that may come into force at this start.")
    ] = None,
    new_fleet: Annotated[
        bool,
        typer.Option("--new-fleet", help="Belong to this fleet, though it was another before."),
    ] = False,
) -> None:
    """Run a deployment in the foreground, until SIGTERM or Ctrl-C."""
    try:
        settings = load(config)
    except GatewayError as error:
        stop(str(error))
    if is_volatile(settings.home) and not settings.insecure_volatile_log:
        stop(
            f"{config}: home: {settings.home} lies in memory, where the log would not survive the"
            " machine: move it to a disk, or set insecure_volatile_log"
        )
    listeners = listen(settings.listen.agents, settings.listen.operators)
    agents, operators = map(address_of, listeners)
    taken = settings.model_copy(update={"listen": Listen(agents=agents, operators=operators)})
    run(
        taken,
        "serve",
        listeners,
        lambda: _welcome(taken),
        accept_policy=policy_digest,
        new_fleet=new_fleet,
    )


def _welcome(settings: Settings) -> None:
    say(
        f"Passavant serves agents on {settings.listen.agents} (as {settings.public_url}) and"
        f" operators on {settings.listen.operators} (as {settings.operators_url})"
    )
